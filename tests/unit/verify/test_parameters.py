"""The check `parameters_in_sync`: checksums of all ranks, step by step."""

from __future__ import annotations

from orchestrator.playbook.health import ParametersInSync
from orchestrator.verify.checks import CheckResult, Finding, check_parameters_in_sync
from tests.unit.verify.results import failed, ok, pending, skipped
from tests.unit.verify.story import Story, ended

IN_SYNC = "parameters_in_sync"


def take(story: Story, rank: int, **checksums: str) -> None:
    """A probe takes checksums, `s3="aa"` after step 3."""
    for step, checksum in checksums.items():
        number = int(step[1:])
        story.probe(rank, number, "parameters", step=number, checksum=checksum, num_parameters=1000)


def in_sync(story: Story, now_s: float = 10.0, *, steps: int = 2) -> CheckResult:
    check = ParametersInSync(steps=steps, within_s=60.0)
    return check_parameters_in_sync(check, story.at(now_s))


def joined(num_nodes: int = 2) -> Story:
    story = Story(num_nodes)
    story.join_all(1.0)
    return story


def test_checksums_that_are_equal_at_every_common_step() -> None:
    story = joined()
    take(story, 0, s1="aa", s2="bb", s3="cc")
    take(story, 1, s1="aa", s2="bb")
    assert in_sync(story) == ok(IN_SYNC, "equal on 2 ranks at 2 steps, the last one 2")


def test_the_first_step_at_which_a_rank_has_drifted_is_told() -> None:
    story = joined(3)
    take(story, 0, s1="aa", s2="bb", s3="cc")
    take(story, 1, s1="aa", s2="xx", s3="yy")
    take(story, 2, s1="aa", s2="bb", s3="zz")
    assert in_sync(story) == failed(
        IN_SYNC,
        "the ranks hold different parameters after step 2",
        Finding(1, 1, "checksum bb after step 2, as on 2 ranks", "xx"),
    )


def test_of_two_ranks_neither_is_the_odd_one_and_the_other_is_named() -> None:
    story = joined()
    take(story, 0, s1="aa")
    take(story, 1, s1="xx")
    assert in_sync(story) == failed(
        IN_SYNC,
        "the ranks hold different parameters after step 1",
        Finding(1, 1, "checksum aa after step 1, as on rank 0", "xx"),
    )


def too_early(*lasts: tuple[int, str], steps: int = 2) -> CheckResult:
    expected = f"a checksum that all took, of step {steps} or one after it, within 60 s"
    findings = [Finding(rank, rank, expected, last) for rank, last in lasts]
    return failed(IN_SYNC, f"the ranks were not compared up to step {steps}", *findings)


def test_steps_that_not_all_took_are_not_compared() -> None:
    story = joined()
    take(story, 0, s1="aa", s3="cc")
    take(story, 1, s2="xx")
    assert in_sync(story) == pending(IN_SYNC, "2 of 2 ranks took a checksum")
    lasts = ((0, "the last one of step 3"), (1, "the last one of step 2"))
    assert in_sync(story, now_s=61.1) == too_early(*lasts)
    assert in_sync(ended(story)) == too_early(*lasts)


def test_ranks_are_compared_up_to_a_step_or_to_the_end() -> None:
    story = joined()
    for rank in (0, 1):
        take(story, rank, s1="aa", s2="bb")
    assert in_sync(story, steps=3) == pending(IN_SYNC, "equal up to step 2")
    lasts = ((0, "the last one of step 2"), (1, "the last one of step 2"))
    assert in_sync(story, steps=3, now_s=61.1) == too_early(*lasts, steps=3)
    story.end(0, 0)
    assert in_sync(story, steps=3) == pending(IN_SYNC, "equal up to step 2")
    story.end(1, 0)
    assert in_sync(story, steps=3).status == "ok"


def test_a_rank_that_took_none() -> None:
    story = joined()
    take(story, 0, s1="aa")
    assert in_sync(story) == pending(IN_SYNC, "1 of 2 ranks took a checksum")
    story.end(0, 0)
    assert in_sync(story) == pending(IN_SYNC, "1 of 2 ranks took a checksum")
    story.end(1, 0)
    assert in_sync(story) == too_early((1, "none"))


def test_without_a_probe_nothing_is_compared() -> None:
    assert in_sync(joined(), now_s=61.1) == skipped(IN_SYNC, "no probe took a checksum")


def test_a_long_run_is_compared_at_its_latest_steps() -> None:
    story = joined()
    for rank in (0, 1):
        for number in range(1, 201):
            story.probe(
                rank, number, "parameters", step=number, checksum=f"{number}", num_parameters=1
            )
    assert in_sync(story) == ok(IN_SYNC, "equal on 2 ranks at 64 steps, the last one 200")
