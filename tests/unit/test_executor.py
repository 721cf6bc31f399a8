"""Carrying out a plan: what the engine is asked, what is told, and where it ends on a failure."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from msgspec.structs import replace

from orchestrator import executor
from orchestrator.engines.base import Query
from orchestrator.errors import (
    EngineFailed,
    EngineUnavailable,
    ImageUnavailable,
    NameTaken,
    NodeNotStarted,
    OrchestrateError,
    OutOfSpace,
)
from orchestrator.events import ActionDone, ActionFailed, ActionProgressed, ActionStarted
from orchestrator.executor import Execution, execute, stop_gang
from orchestrator.plans.plan import BuildImage, Plan
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, RunIdentity
from tests.unit.fake_engine import FakeEngine, Script
from tests.unit.fakes import PROJECT, desired_state

NODES = "pair-node-0 pair-node-1"


@pytest.fixture(autouse=True)
def _no_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "time", SimpleNamespace(monotonic=lambda: 0.0))


@pytest.fixture
def identity(tmp_path: Path) -> RunIdentity:
    return RunIdentity(PROJECT, "run-1", str(tmp_path / "run-1"))


def plan_for(engine: FakeEngine, desired: DesiredState, *, rerun: bool = False) -> Plan:
    query = Query(PROJECT, "app:1", f"{PROJECT}-net")
    return make_plan(desired, engine.observe(query), rerun=rerun)


def running(identity: RunIdentity) -> FakeEngine:
    """An engine on which the gang runs, with an empty journal."""
    engine = FakeEngine(scripts={0: Script(((0.0, "hello"),))})
    execute(plan_for(engine, desired_state()), Execution(engine, identity, lambda _: None))
    engine.journal.clear()
    return engine


def destroy_plan(engine: FakeEngine) -> Plan:
    return make_destroy_plan(engine.observe(Query(PROJECT)))


def carry_out(engine: FakeEngine, plan: Plan, identity: RunIdentity) -> list[object]:
    """What happened, in order: events as they are, the engine's calls as text."""
    execute(plan, Execution(engine, identity, engine.journal.append))
    return saves_sorted(engine.journal)


def refused(
    engine: FakeEngine, plan: Plan, identity: RunIdentity
) -> tuple[OrchestrateError, list[object]]:
    """The error that carrying out a plan ended with, and what happened until then."""
    with pytest.raises(OrchestrateError) as caught:
        carry_out(engine, plan, identity)
    return caught.value, saves_sorted(engine.journal)


def saves_sorted(journal: list[object]) -> list[object]:
    """The journal with the logs of several nodes, which are saved at once, in rank order."""
    is_save = [isinstance(each, str) and each.startswith("save_log") for each in journal]
    saves = iter(sorted(str(each) for each, yes in zip(journal, is_save, strict=True) if yes))
    return [next(saves) if yes else each for each, yes in zip(journal, is_save, strict=True)]


def test_create(identity: RunIdentity) -> None:
    engine = FakeEngine()
    plan = plan_for(engine, desired_state())
    image, network, first, second = plan.actions
    assert carry_out(engine, plan, identity) == [
        ActionStarted(image),
        "pull_image app:1",
        ActionProgressed(image, "pulling app:1"),
        ActionDone(image, 0.0),
        ActionStarted(network),
        "create_network pair-net for pair",
        ActionDone(network, 0.0),
        ActionStarted(first),
        ActionStarted(second),
        f"start_nodes {NODES} as run-1",
        ActionDone(first, 0.0),
        ActionDone(second, 0.0),
    ]


def test_build(identity: RunIdentity) -> None:
    engine = FakeEngine()
    build = BuildImage(ImageSpec("app:1", build_inputs="digest"), "not there yet")
    assert carry_out(engine, Plan(PROJECT, image=build), identity) == [
        ActionStarted(build),
        "build_image app:1",
        ActionProgressed(build, "building app:1"),
        ActionDone(build, 0.0),
    ]
    assert engine.world.images["app:1"].build_inputs == "digest"


def test_replace(identity: RunIdentity, tmp_path: Path) -> None:
    engine = running(identity)
    plan = plan_for(engine, desired_state(), rerun=True)
    gone_0, gone_1, new_0, new_1 = plan.actions
    second = replace(identity, run_id="run-2")
    assert carry_out(engine, plan, second) == [
        ActionStarted(gone_0),
        ActionStarted(gone_1),
        f"stop_nodes {NODES} grace 5",
        "save_log pair-node-0",
        "save_log pair-node-1",
        f"remove_nodes {NODES}",
        ActionDone(gone_0, 0.0),
        ActionDone(gone_1, 0.0),
        ActionStarted(new_0),
        ActionStarted(new_1),
        f"start_nodes {NODES} as run-2",
        ActionDone(new_0, 0.0),
        ActionDone(new_1, 0.0),
    ]
    kept = {path.name: path.read_text() for path in (tmp_path / "run-1").glob("*.log")}
    assert kept == {"node-0.log": "hello\n", "node-1.log": ""}


def test_destroy_with_a_grace(identity: RunIdentity) -> None:
    engine = running(identity)
    plan = destroy_plan(engine)
    gone_0, gone_1, network = plan.actions
    execute(plan, Execution(engine, identity, engine.journal.append, grace_s=2.5))
    assert saves_sorted(engine.journal) == [
        ActionStarted(gone_0),
        ActionStarted(gone_1),
        f"stop_nodes {NODES} grace 2.5",
        "save_log pair-node-0",
        "save_log pair-node-1",
        f"remove_nodes {NODES}",
        ActionDone(gone_0, 0.0),
        ActionDone(gone_1, 0.0),
        ActionStarted(network),
        "remove_network pair-net",
        ActionDone(network, 0.0),
    ]
    assert (engine.world.nodes, engine.world.networks) == ({}, {})


def test_an_empty_plan_asks_nothing(identity: RunIdentity) -> None:
    engine = running(identity)
    assert carry_out(engine, plan_for(engine, desired_state()), identity) == []


# -- failures --------------------------------------------------------------------


def test_an_image_that_cannot_be_had_leaves_what_runs_alone(identity: RunIdentity) -> None:
    engine = running(identity)
    engine.world.images.clear()
    plan = plan_for(engine, desired_state())
    assert [type(action).__name__ for action in plan.actions] == [
        "PullImage",
        *["RemoveNode"] * 2,
        *["StartNode"] * 2,
    ]
    engine.failures["pull_image"] = error = ImageUnavailable("no such image", fix="push it")
    raised, happened = refused(engine, plan, identity)
    assert raised is error
    assert happened == [
        ActionStarted(plan.actions[0]),
        "pull_image app:1",
        ActionProgressed(plan.actions[0], "pulling app:1"),
        ActionFailed(plan.actions[0], "no such image"),
    ]


def test_a_network_that_cannot_be_made_starts_no_node(identity: RunIdentity) -> None:
    engine = FakeEngine()
    engine.world.add_image("app:1")
    plan = plan_for(engine, desired_state())
    engine.failures["create_network"] = error = NameTaken("pair-net is taken")
    raised, happened = refused(engine, plan, identity)
    assert raised is error
    assert happened == [
        ActionStarted(plan.actions[0]),
        "create_network pair-net for pair",
        ActionFailed(plan.actions[0], "pair-net is taken"),
    ]


def test_a_network_that_cannot_be_removed_ends_a_replacement(identity: RunIdentity) -> None:
    engine = running(identity)
    desired = desired_state()
    assert desired.network is not None
    plan = plan_for(engine, replace(desired, network=replace(desired.network, internal=False)))
    engine.failures["remove_network"] = error = EngineFailed("it is in use")
    raised, happened = refused(engine, plan, identity)
    removal = plan.remove_networks[0]
    assert raised is error
    assert happened[-3:] == [
        ActionStarted(removal),
        "remove_network pair-net",
        ActionFailed(removal, "it is in use"),
    ]
    assert engine.world.nodes == {}


@pytest.mark.parametrize("call", ["stop_nodes", "remove_nodes"])
def test_nodes_that_cannot_be_removed_end_a_replacement(call: str, identity: RunIdentity) -> None:
    engine = running(identity)
    plan = plan_for(engine, desired_state(), rerun=True)
    engine.failures[call] = error = EngineFailed("no answer")
    raised, happened = refused(engine, plan, identity)
    assert raised is error
    assert happened[-2:] == [ActionFailed(each, "no answer") for each in plan.remove_nodes]
    assert len(engine.world.nodes) == 2
    assert [each for each in engine.mutations if each.startswith("start")] == []


def test_the_one_node_that_an_error_is_about_has_failed(identity: RunIdentity) -> None:
    engine = FakeEngine()
    plan = plan_for(engine, desired_state(3))
    first, second, third = plan.start_nodes
    error = NodeNotStarted("no such mount", about="pair-node-1")
    engine.failures["start_nodes pair-node-1"] = error
    raised, happened = refused(engine, plan, identity)
    assert raised is error
    assert happened[-7:] == [
        ActionStarted(first),
        ActionStarted(second),
        ActionStarted(third),
        "start_nodes pair-node-0 pair-node-1 pair-node-2 as run-1",
        ActionDone(first, 0.0),
        ActionFailed(second, "no such mount"),
        "stop_nodes pair-node-0 grace 0",
    ]
    assert [node.ending for node in engine.world.nodes.values()] == [
        "was killed by signal 15 (exit code 143)"
    ]


@pytest.mark.parametrize("about", ["", "pair-node-0", "somebody-else"])
def test_an_error_about_no_waiting_node_is_about_all_of_them(
    about: str, identity: RunIdentity
) -> None:
    engine = FakeEngine()
    plan = plan_for(engine, desired_state(3))
    engine.failures["start_nodes pair-node-1"] = NodeNotStarted("no answer", about=about)
    _, happened = refused(engine, plan, identity)
    assert happened[-4:] == [
        ActionDone(plan.start_nodes[0], 0.0),
        ActionFailed(plan.start_nodes[1], "no answer"),
        ActionFailed(plan.start_nodes[2], "no answer"),
        "stop_nodes pair-node-0 grace 0",
    ]


@pytest.mark.parametrize("call", ["observe_nodes", "stop_nodes"])
def test_the_first_error_is_the_one_that_is_raised(call: str, identity: RunIdentity) -> None:
    """An engine that goes away while it starts nodes cannot stop them either."""
    engine = FakeEngine()
    plan = plan_for(engine, desired_state())
    engine.failures["start_nodes"] = error = EngineUnavailable("it went away")
    engine.failures[call] = EngineUnavailable("still away")
    raised, happened = refused(engine, plan, identity)
    assert raised is error
    failed = [each for each in happened if isinstance(each, ActionFailed)]
    assert failed == [ActionFailed(each, "it went away") for each in plan.start_nodes]


def full(node: str) -> Callable[[FakeEngine], None]:
    def fill(engine: FakeEngine) -> None:
        engine.failures[f"save_log {node}"] = OSError(errno.ENOSPC, "No space left on device")

    return fill


@pytest.mark.parametrize("node", ["pair-node-0", "pair-node-1"])
def test_a_full_disk_removes_nothing(node: str, identity: RunIdentity) -> None:
    engine = running(identity)
    full(node)(engine)
    plan = destroy_plan(engine)
    raised, happened = refused(engine, plan, identity)
    folder = identity.run_dir
    what = f"the log of {node} cannot be kept in {folder}: the disk is full"
    assert (type(raised), raised.what) == (OutOfSpace, what)
    assert happened == [
        ActionStarted(plan.actions[0]),
        ActionStarted(plan.actions[1]),
        f"stop_nodes {NODES} grace 5",
        "save_log pair-node-0",
        "save_log pair-node-1",
        ActionFailed(plan.actions[0], what),
        ActionFailed(plan.actions[1], what),
    ]
    assert (len(engine.world.nodes), len(engine.world.networks)) == (2, 1)


# -- stopping --------------------------------------------------------------------


def test_stopping_a_gang_names_those_that_still_ran(identity: RunIdentity) -> None:
    engine = running(identity)
    engine.world.end(0, 1)
    ran = engine.observe_nodes(PROJECT)[1:]
    assert stop_gang(engine, PROJECT, grace_s=1.5) == ran
    assert engine.journal == ["stop_nodes pair-node-1 grace 1.5"]
    assert [node.exit_code for node in engine.observe_nodes(PROJECT)] == [1, 143]
