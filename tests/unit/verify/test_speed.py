"""The checks `throughput` and `skew`: what steps took, and how much of it was work."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.playbook.health import Skew, Throughput
from orchestrator.state.spec import Limits
from orchestrator.verify.checks import CheckResult, Finding, check_skew, check_throughput
from tests.unit.verify.results import failed, ok, pending, skipped
from tests.unit.verify.story import RUN_ID, Story


def joined(num_nodes: int = 2) -> Story:
    story = Story(num_nodes)
    story.join_all(1.0)
    return story


def timed(story: Story, rank: int, times_s: Sequence[float], busy_s: Sequence[float] = ()) -> None:
    """The probe in a rank sums up its first steps in one record."""
    story.probe(rank, 2.0, "step", step=len(times_s), times_s=list(times_s), busy_s=list(busy_s))


def tokens(story: Story, rank: int, *rates: float) -> None:
    """The script says how many tokens the group got through in each step, and how long it took."""
    for number, rate in enumerate(rates, start=1):
        fields = {"event": "step", "rank": rank, "run_id": RUN_ID, "step": number}
        story.say(rank, number, json.dumps(fields | {"tokens_per_s": rate, "step_time_s": 0.5}))


# -- throughput ----------------------------------------------------------------


def fast(story: Story, now_s: float = 10.0, **check: object) -> CheckResult:
    asked: dict[str, object] = {"warmup": 1, "steps": 2, "within_s": 60.0}
    return check_throughput(Throughput.model_validate(asked | check), story.at(now_s))


def test_the_group_is_as_fast_as_its_slowest_rank_once_it_is_warm() -> None:
    story = joined()
    timed(story, 0, [9.0, 0.25, 0.25])
    timed(story, 1, [9.0, 0.5, 0.5, 0.5])
    assert fast(story, steps_per_s=2.0) == ok("throughput", "2 steps/s")
    assert fast(story, steps_per_s=2.1) == failed(
        "throughput", "only 2 steps/s", Finding(1, 1, "at least 2.1 steps/s", "2 steps/s")
    )


def test_what_the_script_says_of_tokens_is_said_of_the_whole_group() -> None:
    story = joined()
    tokens(story, 0, 1.0, 5000.0, 7000.0)
    tokens(story, 1, 1.0, 5000.0, 6000.0)
    assert fast(story, tokens_per_s=5500) == ok("throughput", "2 steps/s, 5500 tokens/s")
    assert fast(story, tokens_per_s=5501, steps_per_s=3) == failed(
        "throughput",
        "only 2 steps/s, 5500 tokens/s",
        Finding(0, 0, "at least 3 steps/s", "2 steps/s"),
        Finding(1, 1, "at least 3 steps/s", "2 steps/s"),
        Finding(1, 1, "at least 5501 tokens/s", "5500 tokens/s"),
    )


def test_a_script_that_says_nothing_of_tokens() -> None:
    story = joined()
    for rank in (0, 1):
        timed(story, rank, [0.5] * 3)
    assert fast(story, tokens_per_s=1) == skipped("throughput", "no rank says tokens_per_s")


def test_it_is_judged_when_enough_was_measured() -> None:
    story = joined()
    timed(story, 0, [0.5] * 3)
    timed(story, 1, [0.5] * 2)
    assert fast(story, steps_per_s=1) == pending("throughput", "1 of 2 steps measured")
    too_few = failed(
        "throughput",
        "too few steps to judge",
        Finding(1, 1, "2 steps after the first 1 within 60 s of the join", "1 step"),
    )
    assert fast(story, steps_per_s=1, now_s=61.1) == too_few
    story.end(1, 0)
    assert fast(story, steps_per_s=1) == too_few


def test_without_any_time_of_a_step_nothing_is_judged() -> None:
    story = joined()
    for rank in (0, 1):
        story.end(rank, 0)
    assert fast(story, steps_per_s=1) == skipped("throughput", "no rank's steps were timed")


def test_only_the_latest_steps_of_a_long_run_count() -> None:
    story = joined(1)
    timed(story, 0, [9.0] * 900)
    timed(story, 0, [0.5] * 256)
    assert fast(story, steps_per_s=1, warmup=100) == ok("throughput", "2 steps/s")
    assert fast(story, steps_per_s=1, warmup=1150, steps=6) == ok("throughput", "2 steps/s")
    assert fast(story, steps_per_s=1, warmup=1150, steps=7) == pending(
        "throughput", "6 of 7 steps measured"
    )


# -- skew ----------------------------------------------------------------------


def skew(story: Story, now_s: float = 10.0, *, ratio: float = 1.5) -> CheckResult:
    check = Skew(ratio=ratio, warmup=1, steps=3, within_s=60.0)
    return check_skew(check, story.at(now_s))


def working(*works: Sequence[float], step_s: float = 1.0) -> Story:
    """A gang whose steps take equally long, and in which each rank works so much of each."""
    story = joined(len(works))
    for rank, work in enumerate(works):
        timed(story, rank, [5.0] + [step_s] * len(work), [5.0, *work])
    return story


SLOW_1 = "rank 1 makes steps 2.00 times as long"
AT_MOST = "steps at most 1.5 times as long as the others need"


def test_ranks_that_work_equally_long() -> None:
    story = working([0.8, 0.8, 0.9], [0.9, 0.9, 0.8])
    assert skew(story) == ok("skew", "rank 1, the slowest, makes steps 1.11 times as long")


def test_the_rank_that_works_longest_is_named_and_who_waited() -> None:
    story = working([0.5, 0.5, 0.5], [1.0, 1.0, 1.0])
    found = "1 s of work in each step of 1 s, the others 0.5 s: rank 0 waits 0.5 s of it"
    assert skew(story) == failed("skew", SLOW_1, Finding(1, 1, AT_MOST, found))


def test_one_slow_step_is_no_slow_rank() -> None:
    story = working([0.8, 0.8, 0.8], [0.8, 9.0, 0.8])
    assert skew(story) == ok("skew", "rank 0, the slowest, makes steps 1.00 times as long")


def test_of_many_ranks_the_others_median_is_the_measure() -> None:
    story = working([0.4] * 3, [1.0] * 3, [0.5] * 3, [0.6] * 3)
    found = "1 s of work in each step of 1 s, the others 0.5 s: 3 ranks wait 0.5 s of it"
    assert skew(story) == failed("skew", SLOW_1, Finding(1, 1, AT_MOST, found))


def test_work_that_makes_no_step_longer_is_no_skew() -> None:
    """A rank that writes logs, in a step that a GPU spends: ten times the work, no time."""
    story = working([0.002] * 3, [0.02] * 3)
    assert skew(story) == ok("skew", "rank 1, the slowest, makes steps 1.02 times as long")


def test_a_node_with_less_of_the_processor_explains_it() -> None:
    story = working([0.5] * 3, [1.0] * 3)
    cpus = (1.0, 0.5)
    pairs = zip(story.desired.nodes, cpus, strict=True)
    nodes = tuple(replace(node, limits=Limits(cpus=each)) for node, each in pairs)
    story.facts.desired = replace(story.desired, nodes=nodes)
    (finding,) = skew(story).findings
    assert finding.found.endswith("of it; its node may use 0.5 cores, another one 1")


def test_skew_is_judged_when_enough_was_measured() -> None:
    story = working([0.5] * 3, [0.5] * 2)
    assert skew(story) == pending("skew", "2 of 3 steps measured")
    assert skew(story, 61.1) == failed(
        "skew",
        "too few steps to judge",
        Finding(1, 1, "3 steps after the first 1 within 60 s of the join", "2 steps"),
    )


def test_without_a_probe_no_rank_can_be_named() -> None:
    story = joined()
    for rank in (0, 1):
        timed(story, rank, [1.0] * 5)
    assert skew(story, 61.1) == skipped("skew", "no probe could tell work from waiting")


def test_work_that_no_time_goes_with_is_not_taken_in() -> None:
    story = joined()
    for rank in (0, 1):
        timed(story, rank, [], [1.0] * 5)
        timed(story, rank, [1.0] * 2, [1.0] * 5)
    assert [len(facts.busy_s.latest) for facts in story.facts.ranks.values()] == [0, 0]
    assert skew(story) == pending("skew", "0 of 3 steps measured")


def test_a_single_rank_waits_for_nobody() -> None:
    assert skew(joined(1)) == ok("skew", "a single rank waits for nobody")
