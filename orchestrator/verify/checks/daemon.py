"""The MPS daemon runs and answers, and every rank was its client. Pure."""

from __future__ import annotations

from orchestrator.gpus.mps_clients import most_clients
from orchestrator.playbook.health import Mps
from orchestrator.verify.checks.beside import loss_of_sidecar
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.results import CheckResult, Status

LATE_S = 3.0
"""The daemon is asked for its clients once a second: how long after the last node's end an answer
may still tell of one."""


def check_mps(check: Mps, run: Run) -> CheckResult:
    """The daemon is in order as long as a node needs it, and had a client for each rank at once.

    Which ranks those were it does not tell: it counts processes that use CUDA.
    """
    if loss := loss_of_sidecar(run):
        return CheckResult(check.kind, Status.FAILED, str(loss))
    num_ranks = run.facts.desired.world_size
    sidecar = run.sidecar
    seen = most_clients(sidecar.health.output) if sidecar and sidecar.health else 0
    if seen >= num_ranks:
        return CheckResult(check.kind, Status.OK, f"the daemon answers, {count(seen, 'client')}")
    if run.now_s <= min(run.started_at_s + check.within_s, _until_s(run)):
        return CheckResult(check.kind, Status.PENDING, f"{seen} of {count(num_ranks, 'client')}")
    why = (
        f"expected {count(num_ranks, 'client')} of the daemon at once, found {seen} at most:"
        " a rank ran without it, or used no CUDA"
    )
    return CheckResult(check.kind, Status.FAILED, why)


def _until_s(run: Run) -> float:
    """No client comes after that; never, as long as a node runs."""
    if not run.nodes or any(node.is_active for node in run.nodes):
        return float("inf")
    return max(node.finished_at_s or 0.0 for node in run.nodes) + LATE_S
