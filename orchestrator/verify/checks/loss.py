"""The losses that the ranks report are sane. Pure."""

from __future__ import annotations

from orchestrator.playbook.models import Loss
from orchestrator.verify.checks.run import Run, count, rank_findings
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Status


def check_loss(check: Loss, run: Run) -> CheckResult:
    """The reported losses are finite, and lower at the end than at the beginning."""
    if check.finite:
        bad = {
            rank: facts
            for rank, facts in run.facts.ranks.items()
            if facts.bad_loss_at_step is not None
        }
        if bad:
            findings = rank_findings(
                run, bad, "a finite loss", lambda f: f"not finite at step {f.bad_loss_at_step}"
            )
            return CheckResult(check.kind, Status.FAILED, "a loss is not finite", findings)
    if not check.decreases:
        return CheckResult(check.kind, Status.OK, "finite")
    if not run.has_ended:
        return CheckResult(check.kind, Status.PENDING, "judged at the end of the run")
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
