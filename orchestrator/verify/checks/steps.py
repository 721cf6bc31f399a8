"""Every rank gets to its optimizer steps, and goes on. Pure."""

from __future__ import annotations

from orchestrator.playbook.models import Progress, Training
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks.run import Run, count, is_over, rank_findings
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Finding, Status


def check_training(check: Training, run: Run) -> CheckResult:
    """Every rank has done `steps` optimizer steps within the time from the join."""
    deadline_s = run.deadline_s(check.within_s)
    late = {
        rank: facts
        for rank, facts in run.facts.ranks.items()
        if facts.milestone_at_s is None or facts.milestone_at_s > deadline_s
    }
    if not late:
        return CheckResult(check.kind, Status.OK, f"{count(check.steps, 'step')} on every rank")
    if not is_over(run, late, deadline_s):
        done = len(run.facts.ranks) - len(late)
        return CheckResult(
            check.kind, Status.PENDING, f"{done} of {len(run.facts.ranks)} ranks there"
        )
    expected = f"step {check.steps} within {check.within_s:g} s of the join"
    findings = rank_findings(run, late, expected, lambda facts: f"step {facts.last_step}")
    why = f"{len(late)} of {count(len(run.facts.ranks), 'rank')} got no further"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def check_progress(check: Progress, run: Run) -> CheckResult:
    """No rank went longer than `every_s` without an optimizer step."""
    active = {node.node_rank for node in run.nodes if node.status is NodeStatus.RUNNING}
    silences = {
        rank: _silence(facts, run.now_s if run.node_of(rank) in active else None)
        for rank, facts in run.facts.ranks.items()
    }
    findings = tuple(
        Finding(
            run.node_of(rank),
            rank,
            f"a step every {check.every_s:g} s",
            f"no step for {length_s:.0f} s {when}",
        )
        for rank, (length_s, when) in silences.items()
        if length_s > check.every_s
    )
    if not findings:
        return CheckResult(check.kind, Status.OK, f"a step at least every {check.every_s:g} s")
    return CheckResult(check.kind, Status.FAILED, "a rank hangs", findings)


def _silence(facts: RankFacts, now_s: float | None) -> tuple[float, str]:
    """The longest time without a step, in seconds, and when; `now_s` None: the node has ended.

    What follows the last step of a finished rank is no silence: it may export a large model.
    """
    since = facts.last_step_at_s or facts.joined_at_s
    waited_s = 0.0
    if now_s is not None and since is not None and not facts.has_finished:
        waited_s = now_s - since
    if waited_s > facts.longest_gap_s:
        return waited_s, f"after step {facts.last_step}"
    return facts.longest_gap_s, f"before step {facts.longest_gap_before}"
