"""Following a run through its restarts: what is started again, how often, and what is told."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExitCode, NodeNotStarted
from orchestrator.events import (
    CheckChanged,
    Event,
    GangRestarted,
    GangStopped,
    RestartDecided,
)
from orchestrator.restarts import Restart
from orchestrator.run import Outcome
from tests.unit.fake_engine import Script, joined
from tests.unit.fakes import told as said_of
from tests.unit.workbench import PLAYBOOK, Bench, bench, results

__all__ = ["bench"]

GANG = "pair-node-0 pair-node-1"
DEAD = "rank 1 (pair-node-1) exited with code 3: last line `oh no`"
DIES = {0: Script(((0.0, joined(0)),)), 1: Script(((0.0, "oh no"),), 0.0, code=3)}
ALL_OK = [("alive", "ok"), ("joined", "ok"), ("completed", "ok")]


@pytest.fixture
def elastic(bench: Bench) -> Bench:
    """A job that may be restarted twice, whose first attempt fails."""
    bench.write(PLAYBOOK + "restarts: {max: 2}\n")
    bench.engine.attempts = {0: DIES}
    return bench


def told(bench: Bench, kind: type) -> list[object]:
    return [event for event in bench.events if isinstance(event, kind)]


def causes(outcome: Outcome) -> list[tuple[int, str]]:
    return [(restart.number, restart.cause) for restart in outcome.restarts]


def test_a_node_that_dies_restarts_the_whole_gang_as_a_new_run(elastic: Bench) -> None:
    outcome = elastic.apply()
    assert (results(outcome), outcome.exit_code) == (ALL_OK, ExitCode.CONVERGED)
    restart = Restart(1, 2, DEAD, "run-1")
    assert outcome.restarts == (restart,)
    assert elastic.engine.mutations[2:] == [
        f"start_nodes {GANG} as run-1",
        "stop_nodes pair-node-0 grace 1",
        f"stop_nodes {GANG} grace 1",
        f"remove_nodes {GANG}",
        f"start_nodes {GANG} as run-2",
    ]
    nodes = elastic.engine.observe_nodes("pair")
    assert [(node.run_id, node.restart_count) for node in nodes] == [("run-2", 1)] * 2
    assert told(elastic, RestartDecided) == [RestartDecided(restart, 0.0)]
    (restarted,) = told(elastic, GangRestarted)
    assert isinstance(restarted, GangRestarted)
    assert (restarted.restart, restarted.run_id) == (restart, "run-2")


def test_each_attempt_keeps_its_own_logs(elastic: Bench) -> None:
    elastic.apply()
    assert {name: text.splitlines()[-1][:10] for name, text in elastic.kept.items()} == {
        "run-1/node-0.log": '{"event": ',
        "run-1/node-1.log": "oh no",
        "run-2/node-0.log": "bye from 0",
        "run-2/node-1.log": "bye from 1",
    }


def test_a_join_of_an_earlier_attempt_proves_nothing(elastic: Bench) -> None:
    """Rank 1 of the second attempt repeats, word for word, what the first one said."""
    old = joined(1).replace("$RUN_ID", "run-1")
    elastic.engine.attempts[1] = {
        0: Script(((0.0, joined(0)),), 0.0),
        1: Script(((0.0, old),), 0.0),
    }
    outcome = elastic.apply()
    assert results(outcome) == [("alive", "ok"), ("joined", "failed"), ("completed", "ok")]
    assert outcome.exit_code == ExitCode.NOT_CONVERGED
    # A join that does not add up would only come again: it is not restarted.
    assert [restart.number for restart in outcome.restarts] == [1]


def test_a_second_apply_after_a_good_second_attempt_changes_nothing(elastic: Bench) -> None:
    elastic.apply()
    again = elastic.apply()
    assert (again.plan.is_empty, results(again), again.restarts) == (True, ALL_OK, ())
    assert elastic.engine.journal == []


def test_restarts_that_are_used_up_fail_with_every_cause(elastic: Bench) -> None:
    elastic.engine.attempts = {
        0: DIES,
        1: {0: Script((), 0.0, code=4)},
        2: {1: Script((), 0.0, code=5)},
    }
    outcome = elastic.apply()
    assert outcome.exit_code == ExitCode.NOT_CONVERGED
    assert causes(outcome) == [(1, DEAD), (2, "rank 0 (pair-node-0) exited with code 4")]
    assert len(told(elastic, GangRestarted)) == 2
    assert len(told(elastic, GangStopped)) == 1
    codes = [(node.exit_code, node.restart_count) for node in elastic.engine.observe_nodes("pair")]
    assert codes == [(143, 2), (5, 2)]


def test_on_failure_keep_holds_for_the_last_attempt_alone(elastic: Bench) -> None:
    elastic.write(PLAYBOOK + "restarts: {max: 1}\non_failure: keep\n")
    elastic.engine.attempts = {0: DIES, 1: DIES}
    assert causes(elastic.apply()) == [(1, DEAD)]
    assert [node.is_active for node in elastic.engine.observe_nodes("pair")] == [True, False]


def test_nothing_is_restarted_unless_asked_for(bench: Bench) -> None:
    bench.engine.attempts = {0: DIES}
    assert bench.apply().restarts == ()
    assert not told(bench, RestartDecided)


def test_what_was_paused_for_comes_after_the_old_gang_was_stopped(elastic: Bench) -> None:
    elastic.write(PLAYBOOK + "restarts: {max: 1, delay: 7s}\n")
    seen: list[list[bool]] = []

    def pause(seconds: float) -> None:
        assert seconds == 7.0
        seen.append([node.is_active for node in elastic.engine.observe_nodes("pair")])

    elastic.pause = pause
    elastic.apply()
    assert seen == [[False, False]]


def test_a_later_apply_goes_on_counting_where_an_interrupted_one_stopped(elastic: Bench) -> None:
    elastic.write(PLAYBOOK + "restarts: {max: 1}\n")
    elastic.engine.attempts = {0: DIES, 1: {1: Script((), 0.6, code=6)}}

    def interrupt(event: Event) -> None:
        if isinstance(event, GangRestarted):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        elastic.apply_telling(interrupt)
    outcome = elastic.apply()
    assert (outcome.plan.is_empty, outcome.restarts) == (True, ())
    assert outcome.exit_code == ExitCode.NOT_CONVERGED
    assert [node.restart_count for node in elastic.engine.observe_nodes("pair")] == [1, 1]


def test_an_apply_after_one_that_was_interrupted_in_the_delay_starts_anew(elastic: Bench) -> None:
    elastic.write(PLAYBOOK + "restarts: {max: 1, delay: 7s}\n")

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    elastic.pause = interrupt
    with pytest.raises(KeyboardInterrupt):
        elastic.apply()
    assert not any(node.is_active for node in elastic.engine.observe_nodes("pair"))
    elastic.engine.attempts = {}
    outcome = elastic.apply()
    assert (outcome.exit_code, outcome.restarts) == (ExitCode.CONVERGED, ())
    assert "-/+ node pair-node-1 (exited with code 3)" in said_of(outcome.plan)


def test_a_hang_is_restarted_where_progress_is_declared(bench: Bench) -> None:
    bench.write(
        PLAYBOOK.replace("{completed", "{progress: {every: 200ms}}, {completed")
        + "restarts: {max: 1}\n"
    )
    bench.engine.attempts = {0: {rank: Script(((0.0, joined(rank)),)) for rank in (0, 1)}}
    outcome = bench.apply()
    assert outcome.exit_code == ExitCode.CONVERGED
    ((_, cause),) = causes(outcome)
    assert cause == "ranks 0 and 1 each made no step after it joined"


def test_a_command_that_does_not_exist_is_not_tried_again(elastic: Bench) -> None:
    elastic.engine.attempts = {0: {rank: Script((), 0.0, code=127) for rank in (0, 1)}}
    outcome = elastic.apply()
    assert (outcome.exit_code, outcome.restarts) == (ExitCode.NODE_NOT_STARTED, ())


def test_a_restart_that_the_engine_refuses_ends_the_apply(elastic: Bench) -> None:
    def refuse(event: Event) -> None:
        if isinstance(event, RestartDecided):
            error = NodeNotStarted("no more", about="pair-node-0")
            elastic.engine.failures["start_nodes pair-node-0"] = error

    with pytest.raises(NodeNotStarted):
        elastic.apply_telling(refuse)
    assert not any(node.is_active for node in elastic.engine.observe_nodes("pair"))


def test_a_run_that_somebody_took_away_is_not_started_again(elastic: Bench) -> None:
    elastic.engine.attempts = {0: {}}

    def take_away(event: Event) -> None:
        if isinstance(event, CheckChanged):
            elastic.engine.world.nodes.clear()

    outcome = elastic.apply_telling(take_away)
    assert (outcome.restarts, elastic.engine.observe_nodes("pair")) == ((), ())
    assert outcome.exit_code == ExitCode.NOT_CONVERGED
