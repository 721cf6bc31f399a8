"""Every node ended with 0, in time. Pure."""

from __future__ import annotations

from orchestrator.playbook.models import Completed
from orchestrator.state.observed import ObservedNode
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.results import CheckResult, Finding, Status


def check_completed(check: Completed, run: Run) -> CheckResult:
    """Every node ended with exit code 0 within the time from the start of the last one."""
    deadline_s = run.started_at_s + check.within_s
    gone = _nodes_gone(run)
    unfinished = [
        node
        for node in run.nodes
        if not node.has_finished_well or (node.finished_at_s or 0.0) > deadline_s
    ]
    if not unfinished and not gone:
        took_s = max(node.finished_at_s or 0.0 for node in run.nodes) - run.started_at_s
        why = f"{count(len(run.nodes), 'node')} ended with 0 after {max(took_s, 0):.1f} s"
        return CheckResult(check.kind, Status.OK, why)
    none_failed = not gone and all(n.is_active or n.has_finished_well for n in unfinished)
    if none_failed and run.now_s <= deadline_s:
        done = len(run.nodes) - len(unfinished)
        return CheckResult(check.kind, Status.PENDING, f"{done} of {len(run.nodes)} nodes")
    found = dict.fromkeys(gone, "is gone") | {
        node.node_rank: _how_it_stands(node, run, deadline_s) for node in unfinished
    }
    expected = f"exit code 0 within {check.within_s:g} s"
    findings = tuple(Finding(rank, None, expected, found[rank]) for rank in sorted(found))
    why = f"{len(found)} of {count(len(run.nodes) + len(gone), 'node')} did not complete"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _nodes_gone(run: Run) -> tuple[int, ...]:
    seen = {node.node_rank for node in run.nodes}
    return tuple(rank for rank in run.facts.nodes if rank not in seen)


def _how_it_stands(node: ObservedNode, run: Run, deadline_s: float) -> str:
    if node.is_active:
        return "still runs"
    if node.has_finished_well:
        return f"ended with 0, {(node.finished_at_s or 0.0) - deadline_s:.1f} s too late"
    return how_it_ended(node, run.facts)
