"""How fast the group goes, and whether one rank holds up the others. Pure."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from msgspec import Struct

from orchestrator.playbook.health import Skew, Throughput
from orchestrator.verify.checks.run import Run, count, is_over
from orchestrator.verify.rank_facts import RankFacts, Series
from orchestrator.verify.results import CheckResult, Finding, Status

Measures = dict[int, tuple[float, ...]]


def check_throughput(check: Throughput, run: Run) -> CheckResult:
    """The group makes at least so many steps, or gets through so many tokens, a second.

    A step of the group is one step of each rank, so its rate is that of the slowest rank.
    What a rank says of tokens is said of the whole group: it is averaged, never added up.
    """
    times = _after(run, check.warmup, lambda facts: facts.step_times_s)
    if unsettled := _unmeasured(check, run, times, "no rank's steps were timed"):
        return unsettled
    rates = {rank: len(each) / sum(each) if sum(each) else 0.0 for rank, each in times.items()}
    told = [f"{min(rates.values()):.4g} steps/s"]
    findings = _too_slow(run, rates, check.steps_per_s, "steps/s")
    if check.tokens_per_s is not None:
        said = _after(run, check.warmup, lambda facts: facts.tokens_per_s)
        tokens = {rank: sum(each) / len(each) for rank, each in said.items() if each}
        if not tokens:
            return CheckResult(check.kind, Status.SKIPPED, "no rank says tokens_per_s")
        told.append(f"{min(tokens.values()):.4g} tokens/s")
        findings += _too_slow(run, tokens, check.tokens_per_s, "tokens/s")
    if findings:
        return CheckResult(check.kind, Status.FAILED, f"only {', '.join(told)}", findings)
    return CheckResult(check.kind, Status.OK, ", ".join(told))


def _after(run: Run, warmup: int, series: Callable[[RankFacts], Series]) -> Measures:
    return {rank: series(facts).after(warmup) for rank, facts in run.facts.ranks.items()}


def _unmeasured(
    check: Throughput | Skew, run: Run, measures: Measures, without: str
) -> CheckResult | None:
    """What is to be said while too little was measured; None once there is enough."""
    short = {rank: run.facts.ranks[rank] for rank, m in measures.items() if len(m) < check.steps}
    if not short:
        return None
    if not is_over(run, short, run.deadline_s(check.within_s)):
        done = min(map(len, measures.values()))
        why = f"{done} of {count(check.steps, 'step')} measured"
        return CheckResult(check.kind, Status.PENDING, why)
    if not any(measures.values()):
        return CheckResult(check.kind, Status.SKIPPED, without)
    after = f" after the first {check.warmup}" if check.warmup else ""
    expected = f"{count(check.steps, 'step')}{after} within {check.within_s:g} s of the join"
    findings = tuple(
        Finding(run.node_of(rank), rank, expected, f"{count(len(measures[rank]), 'step')}")
        for rank in short
    )
    return CheckResult(check.kind, Status.FAILED, "too few steps to judge", findings)


def _too_slow(
    run: Run, rates: dict[int, float], least: float | None, unit: str
) -> tuple[Finding, ...]:
    if least is None:
        return ()
    return tuple(
        Finding(run.node_of(rank), rank, f"at least {least:g} {unit}", f"{rate:.4g} {unit}")
        for rank, rate in rates.items()
        if rate < least
    )


class Slowest(Struct, frozen=True):
    """The rank that works longest in a step, and what becomes of the others meanwhile.

    Seconds of a step, each the median over the steps: what all ranks need for one, what this
    rank works in it, and the median of what each other rank works.
    """

    rank: int
    step_s: float
    work_s: float
    others_s: float

    @property
    def ratio(self) -> float:
        """How many times as long as without this rank's extra work the steps take."""
        # A step is never shorter than the work in it.
        without_s = max(self.step_s - (self.work_s - self.others_s), self.others_s)
        return self.step_s / without_s if without_s else 1.0


def check_skew(check: Skew, run: Run) -> CheckResult:
    """No rank makes the steps of all much longer than they would be without it.

    Steps of a group take equally long on all ranks, as the quick ones wait for the slow one;
    what tells them apart is how much of a step each was at work. So much more as the slowest
    one worked than the others' median, so much shorter the step would have been.
    """
    if len(run.facts.ranks) == 1:
        return CheckResult(check.kind, Status.OK, "a single rank waits for nobody")
    busy = _after(run, check.warmup, lambda facts: facts.busy_s)
    if unsettled := _unmeasured(check, run, busy, "no probe could tell work from waiting"):
        return unsettled
    slowest = _slowest(run, busy, check.warmup)
    said = f"makes steps {slowest.ratio:.2f} times as long"
    if slowest.ratio <= check.ratio:
        return CheckResult(check.kind, Status.OK, f"rank {slowest.rank}, the slowest, {said}")
    expected = f"steps at most {check.ratio:g} times as long as the others need"
    found = f"{_how_slow(run, slowest)}{_why_slow(run, slowest.rank)}"
    finding = Finding(run.node_of(slowest.rank), slowest.rank, expected, found)
    return CheckResult(check.kind, Status.FAILED, f"rank {slowest.rank} {said}", (finding,))


def _slowest(run: Run, busy: Measures, warmup: int) -> Slowest:
    work = {rank: median(each) for rank, each in busy.items()}
    rank = max(work, key=lambda rank: work[rank])
    others = median(each for other, each in work.items() if other != rank)
    step_s = median(run.facts.ranks[rank].step_times_s.after(warmup))
    return Slowest(rank, step_s, work[rank], others)


def _how_slow(run: Run, slowest: Slowest) -> str:
    waiting = [rank for rank in run.facts.ranks if rank != slowest.rank]
    who = f"rank {waiting[0]} waits" if len(waiting) == 1 else f"{len(waiting)} ranks wait"
    waited_s = max(slowest.step_s - slowest.others_s, 0.0)
    return (
        f"{slowest.work_s:.3g} s of work in each step of {slowest.step_s:.3g} s, the others "
        f"{slowest.others_s:.3g} s: {who} {waited_s:.3g} s of it"
    )


def _why_slow(run: Run, slowest: int) -> str:
    """What the plan knows of it: a node that was given less of the processor than another."""
    given = {node.node_rank: node.limits.cpus for node in run.facts.desired.nodes}
    own = given[run.node_of(slowest)]
    most = max((each or float("inf") for each in given.values()), default=float("inf"))
    if own is None or own >= most:
        return ""
    more = "without a limit" if most == float("inf") else f"{most:g}"
    return f"; its node may use {own:g} cores, another one {more}"
