"""Events and looks -> boards, as whole values."""

from __future__ import annotations

from functools import reduce

import pytest
from msgspec.structs import replace

from orchestrator.display.board.model import (
    Board,
    CheckView,
    Load,
    NodeView,
    TaskView,
    after,
    seen,
    state_words,
)
from orchestrator.display.board.progress import Progress
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    AttemptBegan,
    Event,
    FailureDiagnosed,
    GangRestarted,
    GangStopped,
    NodesSampled,
    PlanMade,
    ReferenceRan,
    ReferenceStarted,
    RestartDecided,
)
from orchestrator.plans.plan import BuildImage, ChangeNode, CreateNetwork, Plan, StartNode
from orchestrator.playbook.models import Loss
from orchestrator.restarts import Restart
from orchestrator.state.desired import ImageSpec, NetworkSpec
from orchestrator.state.observed import NodeStatus
from orchestrator.state.usage import Usage
from orchestrator.verify.checks import evaluate
from orchestrator.watch import Look
from tests.unit.board.boards import EMPTY, board_of, look_at, trained
from tests.unit.fakes import node_spec
from tests.unit.test_console import FOUND
from tests.unit.verify.results import ok, pending
from tests.unit.verify.story import RUN_ID, START_S, Story

BUILD = BuildImage(ImageSpec("app:1"), "not there yet")
NETWORK = CreateNetwork(NetworkSpec("pair-net"), "not there yet")
STARTS = tuple(StartNode(node_spec(rank), "not there yet") for rank in (0, 1))
PLAN = PlanMade(Plan("pair", image=BUILD, create_network=NETWORK, start_nodes=STARTS))
PLANNED = (NodeView(0, range(1)), NodeView(1, range(1, 2)))
RESTART = Restart(1, 2, "node 1 exited with code 3", "run-1")
NOW_S = START_S + 5.0


def told(*events: Event) -> Board:
    return reduce(lambda board, event: after(board, event, NOW_S), events, EMPTY)


def test_a_plan_names_the_nodes_to_come() -> None:
    assert told(PLAN) == replace(EMPTY, nodes=PLANNED)


def test_a_build_is_under_way_until_it_is_done() -> None:
    step = ActionProgressed(BUILD, "Step 2/9 : RUN make")
    under_way = TaskView("build image app:1", NOW_S, Progress("RUN make", "step", 2, 9))
    assert told(ActionStarted(BUILD), step) == replace(EMPTY, tasks=(under_way,))
    assert told(ActionStarted(BUILD), step, ActionDone(BUILD, 1.0)) == EMPTY
    assert told(ActionStarted(BUILD), ActionFailed(BUILD, "no space")) == EMPTY


def test_two_tasks_at_once() -> None:
    both = told(ActionStarted(BUILD), ActionStarted(NETWORK), ActionDone(BUILD, 1.0))
    assert both == replace(EMPTY, tasks=(TaskView("create network pair-net", NOW_S),))


def test_nodes_start_in_their_rows() -> None:
    events: tuple[Event, ...] = (PLAN, *map(ActionStarted, STARTS), ActionDone(STARTS[1], 0.3))
    starting, started = NodeView(0, range(1), "starting"), NodeView(1, range(1, 2), "running")
    assert told(*events).nodes == (starting, replace(started, phase="started"))
    refused = replace(starting, state="not started", phase="failed")
    assert told(*events, ActionFailed(STARTS[0], "no such user")).nodes[0] == refused


def test_a_node_that_is_changed_in_place_is_no_task() -> None:
    change = ChangeNode(Story().nodes[0], node_spec(), "drift")
    assert told(ActionStarted(change), ActionDone(change, 0.1)) == EMPTY


def test_an_attempt_begins_with_the_nodes_as_they_are() -> None:
    story = Story()
    story.end(1, 0)
    began = told(ActionStarted(BUILD), AttemptBegan(story.at(0).nodes))
    assert began == replace(
        EMPTY,
        nodes=(
            NodeView(0, range(1), "running", "started"),
            NodeView(1, range(1, 2), "exited 0", "done"),
        ),
    )


def test_when_the_gang_is_stopped_what_had_ended_stays_as_it_ended() -> None:
    story = Story()
    story.end(1, 3)
    began = (AttemptBegan(story.at(0).nodes), FailureDiagnosed(FOUND))
    assert told(*began).tasks == (TaskView("stop what still runs", NOW_S),)
    assert told(*began, GangStopped(("pair-node-0",), 0.3)) == replace(
        EMPTY,
        nodes=(
            NodeView(0, range(1), "stopped", "started"),
            NodeView(1, range(1, 2), "exited 3", "failed"),
        ),
    )


def test_a_restart_and_a_reference_run_are_under_way() -> None:
    restart = TaskView("restart 1 of 2", NOW_S)
    assert told(RestartDecided(RESTART, 1.0)).tasks == (restart,)
    assert told(RestartDecided(RESTART, 1.0), GangRestarted(RESTART, "run-2", 1.0)).tasks == ()
    alone = TaskView("single process pair-reference, for comparison", NOW_S)
    assert told(ReferenceStarted("pair-reference")).tasks == (alone,)
    ran = ReferenceRan("pair-reference", was_kept=False, failure="", took_s=1.0)
    assert told(ReferenceStarted("pair-reference"), ran).tasks == ()


def test_a_look_at_a_gang_that_trains() -> None:
    story = trained(Story(), 3)
    story.say(1, 9.0, "hello")
    trains = NodeView(
        0,
        range(1),
        "running",
        "training",
        step=3,
        loss=5.125,
        tokens_per_s=5003.0,
        step_times_s=(0.2, 0.1, 0.1),
    )
    last = (
        '{"event": "step", "rank": 0, "run_id": "run-1", "step": 3, "loss": 5.125, '
        '"tokens_per_s": 5003, "step_time_s": 0.1}'
    )
    assert board_of(story, 20.0) == Board(
        "pair on docker",
        START_S,
        RUN_ID,
        (
            replace(trains, last_line=last),
            replace(trains, node_rank=1, ranks=range(1, 2), last_line="hello"),
        ),
        (
            CheckView(ok("alive", "2 nodes in order")),
            CheckView(ok("joined", "2 ranks after 1.0 s"), START_S + 60.0),
            CheckView(ok("training", "2 steps on every rank"), START_S + 61.0),
            CheckView(pending("completed", "0 of 2 nodes"), START_S + 300.0),
        ),
    )


PROBED = [
    ("interpreter_started", "interpreter"),
    ("torch_imported", "torch"),
    ("rendezvous_started", "rendezvous"),
    ("name_resolved", "resolved"),
    ("master_reached", "reached"),
    ("store_joined", "store"),
]


def test_the_way_of_a_rank_phase_by_phase() -> None:
    story = Story(1)
    assert board_of(story, 0.1).nodes[0].phase == "started"
    for number, (event, phase) in enumerate(PROBED):
        story.probe(0, 0.1 * number, event)
        assert board_of(story, 1.0).nodes[0].phase == phase
    story.join(0)
    assert board_of(story, 1.0).nodes[0].phase == "joined"
    story.step(0, 1, 2.0)
    assert board_of(story, 2.0).nodes[0].phase == "training"
    story.finish(0, 3.0)
    assert board_of(story, 3.0).nodes[0].phase == "done"


def test_of_several_ranks_the_one_that_is_behind_counts() -> None:
    story = trained(Story(1, 3), 4, behind={1: 2})
    node = board_of(story, 20.0).nodes[0]
    assert (node.ranks, node.step, node.loss, node.phase) == (range(3), 2, 5.25, "training")
    story.fail(2, 9.0, "no corpus")
    node = board_of(story, 20.0).nodes[0]
    assert (node.phase, node.is_bad, node.step) == ("failed", True, 4)


def test_what_the_engine_says_of_an_ended_node_counts_more() -> None:
    story = trained(Story(1), 4)
    story.end(0, 3)
    node = board_of(story, 20.0).nodes[0]
    assert (node.state, node.phase, node.step) == ("exited 3", "failed", 4)


def test_how_long_a_rank_works_in_a_step() -> None:
    story = Story(1)
    story.join(0)
    story.probe(0, 2.0, "step", step=3, times_s=[0.3, 0.3, 0.3], busy_s=[0.1, 0.2, 0.3])
    node = board_of(story, 3.0).nodes[0]
    assert (node.step_times_s, node.busy_s) == ((0.3, 0.3, 0.3), 0.2)


def test_a_deadline_that_counts_from_the_join_is_not_known_before_it() -> None:
    story = Story()
    assert [check.deadline_s for check in board_of(story, 1.0).checks] == [
        *(None, START_S + 60.0, None, START_S + 300.0)
    ]


def test_a_check_without_a_deadline_has_none() -> None:
    run = trained(Story(), 3).at(9.0)
    checks = (Loss(decreases=True),)
    board = seen(EMPTY, Look(run, checks, evaluate(checks, run)))
    assert [check.deadline_s for check in board.checks] == [None, None]


def test_nodes_of_another_run_are_not_those_that_are_followed() -> None:
    story = Story()
    story.stand(1, run_id="run-2")
    assert [node.node_rank for node in seen(EMPTY, look_at(story, 1.0)).nodes] == [0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "running"),
        ({"status": NodeStatus.PAUSED}, "paused"),
        ({"status": NodeStatus.CREATED}, "created"),
        ({"status": NodeStatus.EXITED, "exit_code": 0}, "exited 0"),
        ({"status": NodeStatus.EXITED, "exit_code": 137}, "killed 9"),
        ({"status": NodeStatus.EXITED, "exit_code": 137, "oom_killed": True}, "out of memory"),
    ],
)
def test_a_container_in_few_words(changes: dict[str, object], words: str) -> None:
    story = Story(1)
    story.stand(0, **changes)
    assert state_words(story.nodes[0]) == words


def test_what_a_node_uses_is_the_difference_of_two_looks() -> None:
    first, second = Usage(0, 1000.0, 1.0, 2**20), Usage(0, 1002.0, 4.0, 2**21)
    once = told(NodesSampled((first,)))
    assert once == replace(EMPTY, loads=(Load(first),))
    twice = after(once, NodesSampled((second, Usage(1, 1002.0, 1.0, 2**20))), NOW_S)
    assert twice.loads == (Load(second, 1.5), Load(Usage(1, 1002.0, 1.0, 2**20)))
    story = Story()
    story.end(1, 0)
    nodes = seen(twice, look_at(story, 1.0)).nodes
    assert [(each.processors, each.memory_bytes) for each in nodes] == [(1.5, 2**21), (None, None)]
    assert after(twice, AttemptBegan(()), NOW_S) == EMPTY
