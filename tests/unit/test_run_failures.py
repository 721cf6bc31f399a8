"""Runs that fail, and what apply makes of them: stopped, kept, repeated; and pull: always."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from orchestrator import run as running
from orchestrator.errors import ExitCode, ImageUnavailable, NodeNotStarted
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    GangStopped,
    PlanMade,
)
from orchestrator.plans.difference import FieldChange
from orchestrator.plans.plan import PullImage
from orchestrator.run import desired_state, plan
from tests.unit.fake_engine import Script
from tests.unit.fakes import told
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench"]


def test_a_run_that_ended_with_0_but_failed_a_check_is_repeated_with_its_cause(
    bench: Bench,
) -> None:
    bench.engine.scripts = {rank: Script(((0.0, "no record"),), 0.0) for rank in (0, 1)}
    first = bench.apply()
    assert int(first.exit_code) == ExitCode.NOT_CONVERGED
    why = "the last run failed: joined: 2 of 2 ranks did not join"
    assert told(plan(bench.request()).plan)[2:] == [
        f"-/+ node pair-node-{rank} ({why})" for rank in (0, 1)
    ]


def test_a_dead_node_stops_its_siblings_with_little_grace(bench: Bench) -> None:
    bench.engine.scripts = {1: Script(((0.0, "oh no"),), 0.0, code=3)}
    outcome = bench.apply()
    assert int(outcome.exit_code) == ExitCode.NOT_CONVERGED
    assert bench.engine.mutations[-1] == "stop_nodes pair-node-0 grace 1"
    stopped = [each for each in bench.events if isinstance(each, GangStopped)]
    assert [each.node_names for each in stopped] == [("pair-node-0",)]
    assert [node.exit_code for node in bench.engine.observe_nodes("pair")] == [143, 3]
    assert bench.kept == {"run-1/node-0.log": "", "run-1/node-1.log": "oh no\n"}


def test_on_failure_keep_leaves_the_siblings_alone(bench: Bench) -> None:
    bench.write(PLAYBOOK + "on_failure: keep\n")
    bench.engine.scripts = {1: Script(((0.0, "oh no"),), 0.0, code=3)}
    outcome = bench.apply()
    assert int(outcome.exit_code) == ExitCode.NOT_CONVERGED
    assert bench.engine.mutations[-1].startswith("start_nodes")
    assert not [each for each in bench.events if isinstance(each, GangStopped)]
    assert [node.is_active for node in bench.engine.observe_nodes("pair")] == [True, False]
    assert bench.kept == {"run-1/node-1.log": "oh no\n"}


def test_a_gang_that_runs_past_a_deadline_is_judged_and_stopped_but_not_replaced(
    bench: Bench,
) -> None:
    bench.engine.scripts = {}
    bench.engine.now = lambda: time.time() - 100.0
    bench.apply(detach=True)
    bench.engine.now = time.time
    outcome = bench.apply()
    assert (outcome.plan.is_empty, outcome.exit_code) == (True, ExitCode.NOT_CONVERGED)
    assert bench.engine.mutations == ["stop_nodes pair-node-0 pair-node-1 grace 1"]


def test_nothing_is_said_to_be_stopped_where_nothing_ran(bench: Bench) -> None:
    bench.engine.scripts = {rank: Script((), 0.0, code=1) for rank in (0, 1)}
    bench.apply()
    assert not [each for each in bench.events if isinstance(each, GangStopped)]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (1, ExitCode.NOT_CONVERGED),
        (125, ExitCode.NOT_CONVERGED),
        (126, ExitCode.NODE_NOT_STARTED),
        (127, ExitCode.NODE_NOT_STARTED),
        (128, ExitCode.NOT_CONVERGED),
        (137, ExitCode.NOT_CONVERGED),
    ],
)
def test_a_command_that_does_not_exist_has_a_code_of_its_own(
    code: int, expected: ExitCode, bench: Bench
) -> None:
    bench.engine.scripts = {rank: Script((), 0.0, code=code) for rank in (0, 1)}
    assert bench.apply().exit_code is expected


def test_a_start_that_fails_stops_the_others_and_the_next_apply_goes_on(bench: Bench) -> None:
    bench.engine.scripts = {}
    error = NodeNotStarted("no such user", about="pair-node-1")
    bench.engine.failures["start_nodes pair-node-1"] = error
    assert bench.apply_refused(NodeNotStarted) is error
    assert bench.engine.mutations[-1] == "stop_nodes pair-node-0 grace 0"
    bench.engine.failures.clear()
    again = plan(bench.request()).plan
    killed = "was killed by signal 15 (exit code 143)"
    assert told(again)[2:] == [
        f"-/+ node pair-node-0 ({killed})",
        "+ node pair-node-1 (not there yet)",
    ]


# -- pull: always ----------------------------------------------------------------


@pytest.fixture
def pulling(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setattr(running, "time", SimpleNamespace(monotonic=lambda: 0.0))
    bench.write(PLAYBOOK.replace('{tag: "app:1"}', '{tag: "app:1", pull: always}'))
    return bench


def pull_of(bench: Bench) -> PullImage:
    image = desired_state(bench.request()).image
    assert image is not None
    return PullImage(image, "pull: always")


def test_pull_always_is_done_before_looking(pulling: Bench) -> None:
    outcome = pulling.apply()
    pull = pull_of(pulling)
    assert pulling.events[:4] == [
        ActionStarted(pull),
        ActionProgressed(pull, "pulling app:1"),
        ActionDone(pull, 0.0),
        PlanMade(outcome.plan),
    ]
    assert told(outcome.plan)[0] == "= image app:1 (present)"
    assert pulling.engine.mutations[0] == "pull_image app:1"


def test_a_tag_that_moved_replaces_the_gang(pulling: Bench) -> None:
    pulling.apply()
    outcome = pulling.apply()  # the fake registry has a new image each time
    changes = {action.changes for action in outcome.plan.remove_nodes}
    moved = FieldChange("image id", "sha256:0001ffffffff", "sha256:0005ffffffff")
    assert changes == {(moved,)}


def test_a_tag_that_did_not_move_changes_nothing(
    pulling: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulling.apply()
    monkeypatch.setattr(pulling.engine.world, "add_image", lambda _tag: None)
    outcome = pulling.apply()
    assert outcome.plan.is_empty
    assert not [each for each in pulling.events if isinstance(each, ActionDone)]
    assert pulling.engine.mutations == ["pull_image app:1"]


def test_a_pull_that_fails_leaves_what_runs_alone(pulling: Bench) -> None:
    pulling.apply()
    pulling.engine.failures["pull_image"] = error = ImageUnavailable("no route to the registry")
    assert pulling.apply_refused(ImageUnavailable) is error
    assert pulling.events[-1] == ActionFailed(pull_of(pulling), "no route to the registry")
    assert pulling.engine.mutations == ["pull_image app:1"]
    assert len(pulling.engine.world.nodes) == 2
