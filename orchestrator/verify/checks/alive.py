"""No node has died: judged in every run, declared or not. Pure."""

from __future__ import annotations

from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.results import CheckResult, Finding, Status


def check_alive(run: Run) -> CheckResult:
    """No node has died, been paused or vanished. Declared or not, this must hold."""
    seen = {node.node_rank: node for node in run.nodes}
    findings = tuple(
        Finding(spec.node_rank, None, "runs, or has ended with 0", found)
        for spec in run.facts.desired.nodes
        if (found := _death(seen.get(spec.node_rank), run.facts))
    )
    if not findings:
        return CheckResult("alive", Status.OK, f"{count(len(run.nodes), 'node')} in order")
    return CheckResult("alive", Status.FAILED, "a node is not in order", findings)


def _death(node: ObservedNode | None, facts: RunFacts) -> str:
    if node is None:
        return "is gone"
    if node.status is NodeStatus.RUNNING or node.has_finished_well:
        return ""
    if node.status is not NodeStatus.EXITED:
        return f"is {node.status.value}" + (f": {node.error}" if node.error else "")
    return how_it_ended(node, facts)
