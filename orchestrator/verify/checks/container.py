"""Every node's health command says that it is well. Pure."""

from __future__ import annotations

from orchestrator.playbook.health import ContainerHealth
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.results import CheckResult, Finding, Status


def check_container(check: ContainerHealth, run: Run) -> CheckResult:
    """Every node is healthy by the deadline, and stays so; one that has ended was healthy once.

    Of a node that has ended Docker says `unhealthy` whatever it was before: then the last
    times that its command was run speak for it.
    """
    seen = {node.node_rank: node for node in run.nodes}
    ill = {rank: node for rank in run.facts.nodes if not _is_well(node := seen.get(rank))}
    num_nodes = len(run.facts.nodes)
    if not ill:
        return CheckResult(check.kind, Status.OK, f"{count(num_nodes, 'node')} healthy")
    may_recover = all(node is not None and _may_recover(node) for node in ill.values())
    if may_recover and run.now_s <= run.started_at_s + check.within_s:
        why = f"{num_nodes - len(ill)} of {count(num_nodes, 'node')} healthy"
        return CheckResult(check.kind, Status.PENDING, why)
    expected = f"healthy within {check.within_s:g} s"
    findings = tuple(Finding(rank, None, expected, _found(node)) for rank, node in ill.items())
    why = f"{len(ill)} of {count(num_nodes, 'node')} not healthy"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _is_well(node: ObservedNode | None) -> bool:
    if node is None or node.health is None:
        return False
    if node.status is NodeStatus.RUNNING:
        return node.health.status == "healthy"
    return node.health.has_passed


def _may_recover(node: ObservedNode) -> bool:
    return node.is_active and node.health is not None


def _found(node: ObservedNode | None) -> str:
    if node is None:
        return "is gone"
    health = node.health
    if health is None:
        return "no health command: the image has none, and the check gives none"
    if health.exit_code is None:
        return (
            "its health command did not run before it ended" if not node.is_active else "starting"
        )
    said = f": {health.output}" if health.output else ""
    state = health.status if node.is_active else "ended"
    return f"{state}; its health command last exited with code {health.exit_code}{said}"
