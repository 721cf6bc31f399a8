"""Data-parallel ranks hold the same parameters. Pure."""

from __future__ import annotations

from collections import Counter

from orchestrator.playbook.health import ParametersInSync
from orchestrator.verify.checks.run import Run, count, rank_findings
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Finding, Status


def check_parameters_in_sync(check: ParametersInSync, run: Run) -> CheckResult:
    """The checksums that the ranks took after a step are equal, at every step that all took one.

    Of a long run only the latest are kept; ranks that drifted apart do not meet again.
    """
    ranks = run.facts.ranks
    common = sorted(set.intersection(*(set(facts.checksums) for facts in ranks.values())))
    for step in common:
        if odd := _odd_ones(run, step):
            why = f"the ranks hold different parameters after step {step}"
            return CheckResult(check.kind, Status.FAILED, why, odd)
    if common and (common[-1] >= check.steps or run.has_ended):
        steps = f"{count(len(common), 'step')}, the last one {common[-1]}"
        return CheckResult(
            check.kind, Status.OK, f"equal on {count(len(ranks), 'rank')} at {steps}"
        )
    return _while_too_early(check, run, common[-1] if common else 0)


def _odd_ones(run: Run, step: int) -> tuple[Finding, ...]:
    """The ranks whose checksum after a step is not that of most."""
    sums = {rank: facts.checksums[step] for rank, facts in run.facts.ranks.items()}
    usual, times = Counter(sums.values()).most_common(1)[0]
    others = (
        count(times, "rank") if times > 1 else f"rank {min(sums, key=lambda r: sums[r] != usual)}"
    )
    expected = f"checksum {usual} after step {step}, as on {others}"
    return tuple(
        Finding(run.node_of(rank), rank, expected, own)
        for rank, own in sums.items()
        if own != usual
    )


def _while_too_early(check: ParametersInSync, run: Run, equal_until: int) -> CheckResult:
    """What is to be said while the ranks were not compared for long enough."""
    ranks = run.facts.ranks
    without = {rank: facts for rank, facts in ranks.items() if not facts.checksums}
    lost = any(run.is_silent(run.node_of(rank)) for rank in without)
    if run.now_s <= run.deadline_s(check.within_s) and not lost and not run.has_ended:
        compared = f"{len(ranks) - len(without)} of {count(len(ranks), 'rank')} took a checksum"
        why = f"equal up to step {equal_until}" if equal_until else compared
        return CheckResult(check.kind, Status.PENDING, why)
    if len(without) == len(ranks):
        return CheckResult(check.kind, Status.SKIPPED, "no probe took a checksum")
    late = without or ranks
    expected = f"a checksum that all took, of step {check.steps} or one after it"
    findings = rank_findings(run, late, f"{expected}, within {check.within_s:g} s", _last)
    why = f"the ranks were not compared up to step {check.steps}"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _last(facts: RankFacts) -> str:
    return f"the last one of step {max(facts.checksums)}" if facts.checksums else "none"
