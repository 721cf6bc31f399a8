"""The checks that look at a run's end, loss and completed: the whole result for each outcome."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.playbook.models import Completed, Loss
from orchestrator.verify.checks import CheckResult, Finding, Run, check_completed, check_loss
from tests.unit.verify.results import failed, ok, pending, skipped
from tests.unit.verify.story import START_S, Story, ended, losses

# -- loss ----------------------------------------------------------------------


FINITE = Loss(finite=True, decreases=False)
DECREASES = Loss(finite=True, decreases=True)


def test_loss_is_finite() -> None:
    story = Story()
    losses(story, 0, 2.0, 3.0)
    assert check_loss(FINITE, story.at(5.0)) == ok("loss", "finite")


def test_a_loss_that_is_not_finite_fails_at_once() -> None:
    story = Story()
    losses(story, 0, 2.0, "1e999", 1.0, "-1e999")
    assert check_loss(FINITE, story.at(5.0)) == failed(
        "loss", "a loss is not finite", Finding(0, 0, "a finite loss", "not finite at step 2")
    )


def test_a_loss_of_step_0_that_is_not_finite_is_seen() -> None:
    story = Story()
    story.step(1, 0, 1.0, "1e999")
    story.step(1, 1, 2.0, "1e999")
    assert check_loss(DECREASES, story.at(5.0)) == failed(
        "loss", "a loss is not finite", Finding(1, 1, "a finite loss", "not finite at step 0")
    )


def test_a_loss_that_need_not_be_finite_may_be_infinite() -> None:
    story = Story()
    losses(story, 0, "1e999")
    assert check_loss(Loss(finite=False), story.at(5.0)) == ok("loss", "nothing is asked of it")


def test_whether_a_loss_decreases_is_judged_at_the_end() -> None:
    story = Story()
    losses(story, 0, 2.0, 1.0)
    losses(story, 1, 2.0, 1.0)
    story.end(0, 0)
    assert check_loss(DECREASES, story.at(5.0)) == pending("loss", "judged at the end of the run")


def test_a_loss_that_decreases() -> None:
    story = Story()
    losses(story, 0, 4.0, 2.0, 3.0, 1.0)
    losses(story, 1, 2.0, 1.5)
    assert check_loss(DECREASES, ended(story).at(200.0)) == ok("loss", "from 3 to 2")


def test_only_the_first_and_last_five_losses_count() -> None:
    story = Story(1)
    losses(story, 0, *([2.0] * 5), *([99.0] * 50), *([1.0] * 5))
    assert check_loss(DECREASES, ended(story).at(200.0)) == ok("loss", "from 2 to 1")


def test_a_loss_that_does_not_decrease() -> None:
    story = Story()
    losses(story, 0, 2.0, 1.0)
    losses(story, 1, 2.0, 2.0)
    assert check_loss(DECREASES, ended(story).at(200.0)) == failed(
        "loss",
        "the loss did not decrease",
        Finding(1, 1, "a loss that decreases", "from 2 to 2"),
    )


def test_too_few_losses_show_no_decrease() -> None:
    story = Story()
    losses(story, 0, 2.0)
    assert check_loss(DECREASES, ended(story).at(200.0)) == failed(
        "loss",
        "the loss did not decrease",
        Finding(0, 0, "a loss that decreases", "1 loss reported"),
        Finding(1, 1, "a loss that decreases", "0 losses reported"),
    )


BELOW = Loss(below=2.0)


def test_a_loss_that_ends_below_a_bound() -> None:
    story = Story()
    losses(story, 0, 9.0, 9.0, 2.0, 1.5, 1.5, 1.5, 1.5)
    assert check_loss(BELOW, story.at(5.0)) == pending("loss", "judged at the end of the run")
    assert check_loss(BELOW, ended(story).at(200.0)) == ok("loss", "1.6 at the end")


def test_a_loss_that_ends_at_the_bound_is_not_below_it() -> None:
    story = Story()
    losses(story, 0, 1.0)
    losses(story, 1, 2.0)
    assert check_loss(BELOW, ended(story).at(200.0)) == failed(
        "loss", "the loss is not below 2", Finding(1, 1, "a loss below 2 at the end", "2")
    )


def test_without_a_loss_nothing_is_below_the_bound() -> None:
    assert check_loss(BELOW, ended(Story()).at(200.0)) == skipped("loss", "no rank reported a loss")


# -- loss of a single process --------------------------------------------------

MATCHES = Loss(matches="single-process", tolerance=1e-3)


def beside(story: Story, reference: dict[int, float] | None, now_s: float = 5.0) -> Run:
    return replace(story.at(now_s), reference=reference)


def test_losses_that_are_those_of_a_single_process() -> None:
    story = Story()
    losses(story, 0, 3.0, 2.0, 1.0)
    losses(story, 1, 9.0, 9.0, 9.0)  # every rank has the same; rank 0 is the one that is asked
    alone = {1: 3.0, 2: 2.0005}
    assert check_loss(MATCHES, beside(story, alone)) == pending(
        "loss", "judged at the end of the run"
    )
    assert check_loss(MATCHES, beside(ended(story), alone, 200.0)) == ok(
        "loss", "as in a single process at 2 steps, to 0.0005"
    )


@pytest.mark.parametrize(
    ("loss", "equal"), [(2.0038, True), (1.9962, True), (2.004, False), (1.996, False)]
)
def test_the_tolerance_counts_once_more_for_the_loss_itself(loss: float, *, equal: bool) -> None:
    story = Story()
    losses(story, 0, loss)
    close = Loss(matches="single-process", tolerance=1.3e-3)
    status = check_loss(close, beside(ended(story), {1: 2.0}, 200.0)).status
    assert status == ("ok" if equal else "failed")


def test_the_first_step_at_which_they_part_is_told_at_once() -> None:
    story = Story()
    losses(story, 0, 3.0, 2.5, 1.0)
    assert check_loss(MATCHES, beside(story, {1: 3.0, 2: 2.0, 3: 0.5})) == failed(
        "loss",
        "the loss is not that of a single process, from step 2 on",
        Finding(0, 0, "2 at step 2, within 0.001", "2.5"),
    )


def test_without_a_run_in_a_single_process_nothing_is_compared() -> None:
    story = Story()
    losses(story, 0, 3.0)
    assert check_loss(MATCHES, story.at(5.0)) == skipped(
        "loss", "there is no run in a single process to compare with"
    )
    assert check_loss(MATCHES, beside(ended(story), {7: 3.0}, 200.0)) == skipped(
        "loss", "no step has a loss both here and in a single process"
    )


def test_all_that_is_asked_of_a_loss_is_answered() -> None:
    story = Story()
    losses(story, 0, 3.0, 2.0)
    losses(story, 1, 3.0, 2.0)
    asked = Loss(finite=False, decreases=True, below=3.0, matches="single-process")
    assert check_loss(asked, beside(ended(story), {1: 3.0, 2: 2.0}, 200.0)) == ok(
        "loss", "from 3 to 2, 2.5 at the end, as in a single process at 2 steps, to 0"
    )
    assert check_loss(asked, beside(story, {1: 4.0}, 200.0)).status == "failed"


# -- completed -----------------------------------------------------------------

COMPLETED = Completed(within_s=60.0)
WITH_0 = "exit code 0 within 60 s"


def completed(story: Story, now_s: float) -> CheckResult:
    return check_completed(COMPLETED, story.at(now_s))


def test_completed_holds_when_all_ended_with_0() -> None:
    story = Story()
    story.end(0, 0, 5.0)
    story.end(1, 0, 60.0)
    assert completed(story, 500.0) == ok("completed", "2 nodes ended with 0 after 60.0 s")


def test_completed_is_pending_while_nodes_run() -> None:
    story = Story()
    story.end(0, 0)
    assert completed(story, 60.0) == pending("completed", "1 of 2 nodes")


def test_completed_fails_at_its_deadline() -> None:
    story = Story()
    story.end(0, 0)
    assert completed(story, 60.1) == failed(
        "completed", "1 of 2 nodes did not complete", Finding(1, None, WITH_0, "still runs")
    )


def test_completed_too_late_fails() -> None:
    story = Story()
    story.end(0, 0)
    story.end(1, 0, 61.5)
    assert completed(story, 62.0) == failed(
        "completed",
        "1 of 2 nodes did not complete",
        Finding(1, None, WITH_0, "ended with 0, 1.5 s too late"),
    )


def test_completed_fails_at_once_when_a_node_fails() -> None:
    story = Story()
    story.fail(1, 1.0, "boom")
    story.end(1, 2)
    assert completed(story, 2.0) == failed(
        "completed",
        "2 of 2 nodes did not complete",
        Finding(0, None, WITH_0, "still runs"),
        Finding(1, None, WITH_0, "exited with code 2: boom"),
    )


def test_completed_does_not_hold_when_a_node_vanished() -> None:
    story = Story()
    story.end(0, 0)
    story.vanish(1)
    assert completed(story, 2.0) == failed(
        "completed", "1 of 2 nodes did not complete", Finding(1, None, WITH_0, "is gone")
    )


def test_completed_does_not_hold_without_any_node() -> None:
    story = Story(1)
    story.vanish(0)
    assert completed(story, 2.0) == failed(
        "completed", "1 of 1 node did not complete", Finding(0, None, WITH_0, "is gone")
    )


def test_deadlines_count_from_the_start_of_the_last_node() -> None:
    story = Story()
    story.stand(1, started_at_s=START_S + 100.0)
    story.end(0, 0, 50.0)
    assert completed(story, 159.0) == pending("completed", "1 of 2 nodes")
