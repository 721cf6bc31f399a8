"""What became of a sidecar while nodes needed it. Pure."""

from __future__ import annotations

from msgspec import Struct

from orchestrator.state.observed import NodeStatus, ObservedSidecar
from orchestrator.verify.checks.run import Run


class SidecarLoss(Struct, frozen=True):
    """A sidecar that was lost to nodes that needed it.

    `who` is what it is called, `found` what became of it, after that, and `at_s` when.
    """

    who: str
    found: str
    at_s: float

    def __str__(self) -> str:
        return f"expected {self.who} to run and answer; found that it {self.found}"


def loss_of_sidecar(run: Run) -> SidecarLoss | None:
    """How the run lost its sidecar; None where it has it, had it long enough, or needs none."""
    wanted = run.facts.desired.sidecar
    if wanted is None:
        return None
    who = f"the {wanted.title} {wanted.name}"
    if run.sidecar is None:
        return SidecarLoss(who, "is gone", run.now_s)
    found = _found(run.sidecar, run)
    at_s = run.sidecar.finished_at_s or run.now_s
    return SidecarLoss(who, found, at_s) if found else None


def _found(sidecar: ObservedSidecar, run: Run) -> str:
    if sidecar.exit_code is not None:
        return "" if _was_needed_no_more(sidecar, run) else sidecar.ending
    if sidecar.status is not NodeStatus.RUNNING:
        return f"is {sidecar.status.value}"
    if sidecar.was_restarted:
        return "was started again, and the ranks knew another process"
    health = sidecar.health
    if health is None or health.status == "unhealthy":
        said = f": {health.output}" if health and health.output else ""
        return f"does not answer{said}"
    return ""


def _was_needed_no_more(sidecar: ObservedSidecar, run: Run) -> bool:
    """True when every node had ended before it did."""
    if not run.nodes or any(node.is_active for node in run.nodes):
        return False
    last_s = max(node.finished_at_s or 0.0 for node in run.nodes)
    return sidecar.finished_at_s is not None and sidecar.finished_at_s >= last_s
