"""Nodes answer at a port: `http` and `tcp`. Pure: what they answered comes in as facts."""

from __future__ import annotations

from orchestrator.playbook.health import Http, Tcp
from orchestrator.verify.answers import wanted_answer
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.results import CheckResult, Finding, Status


def check_port(check: Http | Tcp, run: Run) -> CheckResult:
    """Every node that is asked has answered as it should, once, by the deadline."""
    deadline_s = run.started_at_s + check.within_s
    asked = [check.node] if check.node is not None else list(run.facts.nodes)
    times = {node_rank: _answered_at_s(check, run, node_rank) for node_rank in asked}
    late = [rank for rank, at_s in times.items() if at_s is None or at_s > deadline_s]
    what = f"{_asked(check)} answered"
    if not late:
        took_s = max(at_s or 0.0 for at_s in times.values()) - run.started_at_s
        why = f"{what} by {count(len(asked), 'node')} after {max(took_s, 0):.1f} s"
        return CheckResult(check.kind, Status.OK, why)
    active = {node.node_rank for node in run.nodes if node.is_active}
    if run.now_s <= deadline_s and active.issuperset(late):
        done = len(asked) - len(late)
        why = f"{what} by {done} of {count(len(asked), 'node')}"
        return CheckResult(check.kind, Status.PENDING, why)
    expected = f"{_asked(check)} within {check.within_s:g} s"
    findings = tuple(Finding(rank, None, expected, _found(check, run, rank)) for rank in late)
    why = f"{what} by {len(asked) - len(late)} of {count(len(asked), 'node')}"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _asked(check: Http | Tcp) -> str:
    if isinstance(check, Http):
        return f"status {check.status} of GET :{check.port}{check.path}"
    return f"port {check.port}"


def _answered_at_s(check: Http | Tcp, run: Run, node_rank: int) -> float | None:
    answers = run.facts.answers.get((check.kind, node_rank))
    return answers.first.get(wanted_answer(check)) if answers else None


def _found(check: Http | Tcp, run: Run, node_rank: int) -> str:
    node = next((each for each in run.nodes if each.node_rank == node_rank), None)
    if node is None:
        return "is gone"
    answers = run.facts.answers.get((check.kind, node_rank))
    if answers is None:
        reached = node.address or not node.is_active
        return "it was not asked" if reached else "its engine gives it no address to be asked at"
    said = f"status {answers.last}" if answers.last.isdigit() else answers.last
    return said if node.is_active else f"{said}, and then it ended"
