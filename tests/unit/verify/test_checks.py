"""The checks of a run that goes on, and all together: the whole result for each outcome."""

from __future__ import annotations

import pytest

from orchestrator.playbook.health import (
    CHECKS,
    Consistent,
    ParametersInSync,
    Skew,
    Throughput,
)
from orchestrator.playbook.models import Check, Completed, Joined, Loss, Progress, Training
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks import (
    JUDGES,
    CheckResult,
    Finding,
    Status,
    check_alive,
    check_progress,
    check_training,
    evaluate,
)
from tests.unit.fakes import on_every_node
from tests.unit.verify.results import failed, ok, pending, skipped
from tests.unit.verify.story import Story, ended, losses

# -- alive ---------------------------------------------------------------------

ALIVE = "runs, or has ended with 0"
IN_ORDER = ok("alive", "2 nodes in order")


@pytest.mark.parametrize(
    ("status", "code", "found"),
    [
        (NodeStatus.RUNNING, None, ""),
        (NodeStatus.EXITED, 0, ""),
        (NodeStatus.EXITED, 1, "exited with code 1"),
        (NodeStatus.EXITED, 137, "was killed by signal 9 (exit code 137)"),
        (NodeStatus.CREATED, None, "is created"),
        (NodeStatus.PAUSED, None, "is paused"),
        (NodeStatus.RESTARTING, None, "is restarting"),
        (NodeStatus.DEAD, 0, "is dead"),
    ],
)
def test_alive_by_the_state_of_a_node(status: NodeStatus, code: int | None, found: str) -> None:
    story = Story()
    story.stand(1, status=status, exit_code=code)
    bad = failed("alive", "a node is not in order", Finding(1, None, ALIVE, found))
    assert check_alive(story.at(1.0)) == (bad if found else IN_ORDER)


def test_alive_tells_the_engines_error_and_the_ranks_reason() -> None:
    story = Story(3)
    story.stand(0, status=NodeStatus.CREATED, error='exec: "trian": not found')
    story.fail(1, 1.0, "CUDA out of memory", "OutOfMemoryError")
    story.end(1, 1)
    story.vanish(2)
    assert check_alive(story.at(1.0)) == failed(
        "alive",
        "a node is not in order",
        Finding(0, None, ALIVE, 'is created: exec: "trian": not found'),
        Finding(1, None, ALIVE, "exited with code 1: OutOfMemoryError: CUDA out of memory"),
        Finding(2, None, ALIVE, "is gone"),
    )


# -- training ------------------------------------------------------------------

TRAINING = Training(steps=3, within_s=30.0)


def trained(story: Story, now_s: float) -> CheckResult:
    return check_training(TRAINING, story.at(now_s))


def test_training_holds_when_every_rank_got_there() -> None:
    story = Story(milestone=3)
    story.join_all(10.0)
    story.step(0, 3, 40.0)
    story.step(1, 2, 30.0)
    story.step(1, 4, 39.0)
    assert trained(story, 100.0) == ok("training", "3 steps on every rank")


def test_training_is_pending_until_its_deadline() -> None:
    story = Story(milestone=3)
    story.join_all(10.0)
    story.step(0, 3, 20.0)
    assert trained(story, 40.0) == pending("training", "1 of 2 ranks there")


def test_training_fails_at_its_deadline_from_the_join() -> None:
    story = Story(milestone=3)
    story.join_all(10.0)
    story.step(0, 3, 20.0)
    story.step(1, 2, 20.0)
    assert trained(story, 40.1) == failed(
        "training",
        "1 of 2 ranks got no further",
        Finding(1, 1, "step 3 within 30 s of the join", "step 2"),
    )


def test_training_that_came_too_late_fails() -> None:
    story = Story(milestone=3)
    story.join_all(10.0)
    story.step(0, 3, 20.0)
    story.step(1, 3, 40.5)
    assert trained(story, 41.0) == failed(
        "training",
        "1 of 2 ranks got no further",
        Finding(1, 1, "step 3 within 30 s of the join", "step 3"),
    )


def test_training_fails_at_once_when_a_rank_has_ended() -> None:
    story = Story(milestone=3)
    story.join_all(1.0)
    story.step(1, 1, 2.0)
    story.end(1, 1, 3.0)
    assert trained(story, 3.0) == failed(
        "training",
        "2 of 2 ranks got no further",
        Finding(0, 0, "step 3 within 30 s of the join", "step 0"),
        Finding(1, 1, "step 3 within 30 s of the join", "step 1"),
    )


# -- progress ------------------------------------------------------------------

PROGRESS = Progress(every_s=30.0)
MOVES = ok("progress", "a step at least every 30 s")


def progress(story: Story, now_s: float) -> CheckResult:
    return check_progress(PROGRESS, story.at(now_s))


def hangs(rank: int, found: str) -> CheckResult:
    return failed("progress", "a rank hangs", Finding(rank, rank, "a step every 30 s", found))


def test_progress_holds_while_steps_come() -> None:
    story = Story()
    story.join_all(0.0)
    for number, at_s in enumerate((30.0, 60.0, 90.0), start=1):
        story.step(0, number, at_s)
        story.step(1, number, at_s)
    assert progress(story, 120.0) == MOVES


def test_progress_sees_a_gap_between_two_steps_for_ever() -> None:
    story = Story()
    story.join_all(0.0)
    story.step(0, 1, 1.0)
    story.step(1, 1, 1.0)
    story.step(0, 2, 2.0)
    story.step(1, 2, 41.0)
    story.step(0, 3, 42.0)
    story.step(1, 3, 42.0)
    story.end(0, 0, 43.0)
    story.end(1, 0, 43.0)
    assert progress(story, 500.0) == failed(
        "progress",
        "a rank hangs",
        Finding(0, 0, "a step every 30 s", "no step for 40 s before step 3"),
        Finding(1, 1, "a step every 30 s", "no step for 40 s before step 2"),
    )


def test_progress_sees_a_running_rank_hang() -> None:
    story = Story()
    story.join_all(0.0)
    story.step(0, 1, 20.0)
    story.step(1, 7, 10.0)
    assert progress(story, 45.0) == hangs(1, "no step for 35 s after step 7")


def test_progress_counts_from_the_join_when_no_step_came() -> None:
    story = Story()
    story.join(1, 10.0)
    assert progress(story, 40.0) == MOVES
    assert progress(story, 40.1) == hangs(1, "no step for 30 s after step 0")


def test_progress_does_not_count_before_the_join() -> None:
    assert progress(Story(), 1000.0) == MOVES


def test_progress_does_not_count_once_a_node_has_ended() -> None:
    story = Story()
    story.join_all(0.0)
    story.end(0, 0, 1.0)
    story.end(1, 0, 1.0)
    assert progress(story, 1000.0) == MOVES


def test_progress_does_not_count_once_a_rank_has_finished() -> None:
    story = Story(1)
    story.join(0, 0.0)
    story.step(0, 1, 1.0)
    story.finish(0, 2.0)
    assert progress(story, 1000.0) == MOVES


# -- all together --------------------------------------------------------------

ALL: tuple[Check, ...] = (
    Joined(within_s=60.0),
    Training(steps=1, within_s=60.0),
    Progress(every_s=30.0),
    Loss(finite=True, decreases=True),
    Completed(within_s=300.0),
)


def test_a_run_in_which_all_holds() -> None:
    story = Story()
    story.join_all(1.0)
    losses(story, 0, 3.0, 2.0)
    losses(story, 1, 3.0, 2.0)
    assert evaluate(ALL, ended(story).at(200.0)) == (
        IN_ORDER,
        ok("joined", "2 ranks after 1.0 s"),
        ok("training", "1 step on every rank"),
        ok("progress", "a step at least every 30 s"),
        ok("loss", "from 3 to 2"),
        ok("completed", "2 nodes ended with 0 after 100.0 s"),
    )


def test_a_run_that_has_just_begun() -> None:
    assert evaluate(ALL, Story().at(0.1)) == (
        IN_ORDER,
        pending("joined", "0 of 2 ranks"),
        pending("training", "0 of 2 ranks there"),
        ok("progress", "a step at least every 30 s"),
        pending("loss", "judged at the end of the run"),
        pending("completed", "0 of 2 nodes"),
    )


def test_what_rests_on_the_join_is_skipped_when_there_was_none() -> None:
    story = Story()
    story.join(0)
    story.end(1, 1, 2.0)
    skipped = [
        CheckResult(name, Status.SKIPPED, "the group did not join")
        for name in ("training", "progress", "loss")
    ]
    within = "process_group_joined within 60 s"
    assert evaluate(ALL, story.at(3.0)) == (
        failed("alive", "a node is not in order", Finding(1, None, ALIVE, "exited with code 1")),
        failed(
            "joined",
            "1 of 2 ranks did not join",
            Finding(1, 1, within, "nothing; it exited with code 1"),
        ),
        *skipped,
        failed(
            "completed",
            "2 of 2 nodes did not complete",
            Finding(0, None, "exit code 0 within 300 s", "still runs"),
            Finding(1, None, "exit code 0 within 300 s", "exited with code 1"),
        ),
    )


def test_what_rests_on_the_probe_is_skipped_without_it() -> None:
    asked: tuple[Check, ...] = (Consistent(), ParametersInSync(), Skew(), Throughput(steps_per_s=1))
    story = Story()
    without = evaluate(asked, story.at(1.0))
    assert without == (
        IN_ORDER,
        skipped("consistent", "the nodes are without the probe"),
        skipped("parameters_in_sync", "the nodes are without the probe"),
        skipped("skew", "the nodes are without the probe"),
        pending("throughput", "0 of 10 steps measured"),
    )
    story.facts.desired = on_every_node(story.desired, probe=True)
    assert {result.status for result in evaluate(asked, story.at(1.0))[1:]} == {Status.PENDING}


def test_every_check_of_the_language_is_judged() -> None:
    assert set(JUDGES) == set(CHECKS)


def test_only_what_is_declared_is_judged_and_life_itself() -> None:
    assert evaluate((), Story().at(0.1)) == (IN_ORDER,)
