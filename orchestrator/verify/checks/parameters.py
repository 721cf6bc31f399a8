"""Data-parallel ranks hold the same parameters. Pure."""

from __future__ import annotations

from collections import Counter

from orchestrator.playbook.health import ParametersInSync
from orchestrator.verify.checks.run import Run, count, is_over, rank_findings
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
    if common:
        steps = f"{count(len(common), 'step')}, the last one {common[-1]}"
        return CheckResult(
            check.kind, Status.OK, f"equal on {count(len(ranks), 'rank')} at {steps}"
        )
    return _without_a_common_step(check, run)


def _odd_ones(run: Run, step: int) -> tuple[Finding, ...]:
    """The ranks whose checksum after a step is not that of most."""
    sums = {rank: facts.checksums[step] for rank, facts in run.facts.ranks.items()}
    usual, times = Counter(sums.values()).most_common(1)[0]
    expected = f"checksum {usual} after step {step}, as on {count(times, 'rank')}"
    return tuple(
        Finding(run.node_of(rank), rank, expected, own)
        for rank, own in sums.items()
        if own != usual
    )


def _without_a_common_step(check: ParametersInSync, run: Run) -> CheckResult:
    without = {rank: facts for rank, facts in run.facts.ranks.items() if not facts.checksums}
    if not is_over(run, run.facts.ranks, run.deadline_s(check.within_s)):
        done = len(run.facts.ranks) - len(without)
        why = f"{done} of {count(len(run.facts.ranks), 'rank')} took a checksum"
        return CheckResult(check.kind, Status.PENDING, why)
    if len(without) == len(run.facts.ranks):
        return CheckResult(check.kind, Status.SKIPPED, "no probe took a checksum")
    if without:
        findings = rank_findings(run, without, "a checksum over the parameters", lambda _: "none")
        why = f"{len(without)} of {count(len(run.facts.ranks), 'rank')} took no checksum"
        return CheckResult(check.kind, Status.FAILED, why, findings)
    findings = rank_findings(
        run,
        run.facts.ranks,
        "a checksum after a step of all ranks",
        lambda facts: f"the last one after step {max(facts.checksums)}",
    )
    return CheckResult(check.kind, Status.FAILED, "no step is common to all ranks", findings)
