"""The losses that the ranks report are sane, fall, or are those of a single process. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from orchestrator.playbook.models import Loss
from orchestrator.verify.checks.run import Run, count, rank_findings
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Finding, Status

FINITE = "finite"

_WORST_FIRST = (Status.FAILED, Status.SKIPPED, Status.PENDING, Status.OK)


def check_loss(check: Loss, run: Run) -> CheckResult:
    """All that is asked of the losses; of several answers the worst one, else all of them."""
    asked: tuple[tuple[bool, Callable[[Loss, Run], CheckResult]], ...] = (
        (check.finite, _finite),
        (check.decreases, _decreases),
        (check.below is not None, _below),
        (check.matches == "single-process", _matches),
    )
    answers = [judge(check, run) for is_asked, judge in asked if is_asked]
    if not answers:
        return CheckResult(check.kind, Status.OK, "nothing is asked of it")
    worst = min(answers, key=lambda each: _WORST_FIRST.index(each.status))
    if worst.status is not Status.OK:
        return worst
    # To be finite goes without saying where more is asked.
    said = [each.why for each in answers if each.why != FINITE] or [FINITE]
    return CheckResult(check.kind, Status.OK, ", ".join(said))


def _finite(check: Loss, run: Run) -> CheckResult:
    bad = {
        rank: facts for rank, facts in run.facts.ranks.items() if facts.bad_loss_at_step is not None
    }
    if not bad:
        return CheckResult(check.kind, Status.OK, FINITE)
    findings = rank_findings(
        run, bad, "a finite loss", lambda f: f"not finite at step {f.bad_loss_at_step}"
    )
    return CheckResult(check.kind, Status.FAILED, "a loss is not finite", findings)


def _at_the_end(check: Loss) -> CheckResult:
    return CheckResult(check.kind, Status.PENDING, "judged at the end of the run")


def _decreases(check: Loss, run: Run) -> CheckResult:
    """Lower at the end than at the beginning, on every rank."""
    if not run.has_ended:
        return _at_the_end(check)
    flat = {rank: facts for rank, facts in run.facts.ranks.items() if not _decreased(facts)}
    if flat:
        findings = rank_findings(run, flat, "a loss that decreases", _loss_course)
        return CheckResult(check.kind, Status.FAILED, "the loss did not decrease", findings)
    return CheckResult(check.kind, Status.OK, _loss_course(run.facts.ranks[0]))


def _means(facts: RankFacts) -> tuple[float, float] | None:
    """Means over the first and the last few losses, which never share one; None if too few."""
    window = min(len(facts.first_losses), facts.num_losses // 2)
    if window == 0:
        return None
    first = facts.first_losses[:window]
    last = list(facts.last_losses)[-window:]
    return sum(first) / window, sum(last) / window


def _decreased(facts: RankFacts) -> bool:
    means = _means(facts)
    return means is not None and means[1] < means[0]


def _loss_course(facts: RankFacts) -> str:
    means = _means(facts)
    if means is None:
        return f"{count(facts.num_losses, 'loss', 'losses')} reported"
    return f"from {means[0]:.4g} to {means[1]:.4g}"


def _below(check: Loss, run: Run) -> CheckResult:
    """Below a bound at the end, on every rank that reports a loss; one at least must."""
    if not run.has_ended:
        return _at_the_end(check)
    ends = {rank: _end(facts) for rank, facts in run.facts.ranks.items() if facts.last_losses}
    if not ends:
        return CheckResult(check.kind, Status.SKIPPED, "no rank reported a loss")
    bound = check.below or 0.0
    findings = tuple(
        Finding(run.node_of(rank), rank, f"a loss below {bound:g} at the end", f"{end:.4g}")
        for rank, end in ends.items()
        if end >= bound
    )
    if findings:
        return CheckResult(check.kind, Status.FAILED, f"the loss is not below {bound:g}", findings)
    return CheckResult(check.kind, Status.OK, f"{max(ends.values()):.4g} at the end")


def _end(facts: RankFacts) -> float:
    return sum(facts.last_losses) / len(facts.last_losses)


def _matches(check: Loss, run: Run) -> CheckResult:
    """Rank 0's losses are those of the same command in a single process, step by step."""
    if run.reference is None:
        why = "there is no run in a single process to compare with"
        return CheckResult(check.kind, Status.SKIPPED, why)
    own = run.facts.ranks[0].losses
    common = sorted(own.keys() & run.reference.keys())
    apart = next((step for step in common if not _is_equal(own, run.reference, step, check)), None)
    if apart is not None:
        why = f"the loss is not that of a single process, from step {apart} on"
        expected = f"{run.reference[apart]:.7g} at step {apart}, within {check.tolerance:g}"
        finding = Finding(run.node_of(0), 0, expected, f"{own[apart]:.7g}")
        return CheckResult(check.kind, Status.FAILED, why, (finding,))
    if not run.has_ended:
        return _at_the_end(check)
    if not common:
        why = "no step has a loss both here and in a single process"
        return CheckResult(check.kind, Status.SKIPPED, why)
    furthest = max(abs(own[step] - run.reference[step]) for step in common)
    why = f"as in a single process at {count(len(common), 'step')}, to {furthest:.1g}"
    return CheckResult(check.kind, Status.OK, why)


def _is_equal(
    own: Mapping[int, float], reference: Mapping[int, float], step: int, check: Loss
) -> bool:
    """Apart by no more than the tolerance, and as much of the loss itself again."""
    allowed = check.tolerance * (1.0 + abs(reference[step]))
    return abs(own[step] - reference[step]) <= allowed
