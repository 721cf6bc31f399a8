"""Apply, plan and verify, over playbook files and an engine that is a dictionary."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

import pytest
from msgspec.structs import replace

from orchestrator.engines.base import Query
from orchestrator.errors import EngineFailed, ExitCode, Locked, NameTaken
from orchestrator.events import Event, NodeEnded, PlanMade
from orchestrator.follow import judged
from orchestrator.lock import project_lock
from orchestrator.playbook.loader import load
from orchestrator.run import apply, desired_state, new_run_id, plan, query_for, verify
from orchestrator.state.desired import NetworkSpec, ProbeOrders, RunIdentity
from orchestrator.state.spec import NodeSpec
from tests.unit.fake_engine import LOCAL_LIKE, MUTATING, FakeEngine, Script, joined
from tests.unit.fakes import told
from tests.unit.workbench import PLAYBOOK, Bench, bench, results

__all__ = ["bench"]

CREATE = [
    "+ image app:1 (not there yet)",
    "+ network pair-net (not there yet)",
    "+ node pair-node-0 (not there yet)",
    "+ node pair-node-1 (not there yet)",
]
FINISHED = [
    "= image app:1 (present)",
    "= network pair-net (present)",
    "= node pair-node-0 (finished)",
    "= node pair-node-1 (finished)",
]


ALL_OK = [("alive", "ok"), ("joined", "ok"), ("completed", "ok")]


# -- apply -----------------------------------------------------------------------


def test_a_first_apply_creates_follows_and_proves(bench: Bench) -> None:
    outcome = bench.apply()
    assert told(outcome.plan) == CREATE
    assert (results(outcome), outcome.exit_code) == (ALL_OK, ExitCode.CONVERGED)
    assert bench.engine.mutations == [
        "pull_image app:1",
        "create_network pair-net for pair",
        "start_nodes pair-node-0 pair-node-1 as run-1",
    ]
    assert bench.events[0] == PlanMade(outcome.plan)
    nodes = bench.engine.observe_nodes("pair")
    assert [each for each in bench.events if isinstance(each, NodeEnded)] == [
        NodeEnded(node) for node in nodes
    ]
    assert {node.run_dir for node in nodes} == {str(bench.folder / ".orchestrate/runs/pair/run-1")}
    assert {name: text.splitlines()[-1] for name, text in bench.kept.items()} == {
        "run-1/node-0.log": "bye from 0",
        "run-1/node-1.log": "bye from 1",
    }


def test_the_nodes_are_told_who_they_are(bench: Bench) -> None:
    bench.apply()
    loaded = load(bench.folder / "pair.yaml")
    owners = {bench.engine.owner(node) for node in bench.engine.observe_nodes("pair")}
    assert owners == {
        RunIdentity(
            project="pair",
            run_id="run-1",
            run_dir=str(bench.folder / ".orchestrate/runs/pair/run-1"),
            playbook=str(bench.folder / "pair.yaml"),
            playbook_digest=loaded.digest,
            probe=ProbeOrders(join_s=20.0),
        )
    }


def test_a_second_apply_changes_nothing_and_proves_again(bench: Bench) -> None:
    bench.apply()
    nodes = bench.engine.observe_nodes("pair")
    outcome = bench.apply()
    assert (told(outcome.plan), results(outcome), int(outcome.exit_code)) == (FINISHED, ALL_OK, 0)
    assert outcome.judgement is not None
    assert bench.events == [PlanMade(outcome.plan), judged(outcome.judgement)]
    assert bench.engine.journal == []
    assert bench.engine.observe_nodes("pair") == nodes


def test_an_apply_to_a_gang_that_runs_goes_on_watching_it(bench: Bench) -> None:
    bench.engine.scripts = {
        rank: Script(((0.0, joined(rank)),), ends_after_s=0.6) for rank in (0, 1)
    }
    bench.apply(detach=True)
    outcome = bench.apply()
    assert outcome.plan.is_empty
    assert (results(outcome), bench.engine.mutations) == (ALL_OK, [])
    assert sorted(bench.kept) == ["run-1/node-0.log", "run-1/node-1.log"]


def test_detach_returns_while_the_nodes_run(bench: Bench) -> None:
    bench.engine.scripts = {}
    outcome = bench.apply(detach=True)
    assert (told(outcome.plan), outcome.judgement, int(outcome.exit_code)) == (CREATE, None, 0)
    assert [node.is_active for node in bench.engine.observe_nodes("pair")] == [True, True]
    assert bench.kept == {}


def test_rerun_replaces_a_gang_that_finished(bench: Bench) -> None:
    bench.apply()
    outcome = bench.apply(rerun=True)
    why = "a new run was asked for"
    assert told(outcome.plan)[2:] == [f"-/+ node pair-node-{rank} ({why})" for rank in (0, 1)]
    assert {node.run_id for node in bench.engine.observe_nodes("pair")} == {"run-2"}
    assert len(bench.kept) == 4


def test_on_a_bare_engine_there_is_neither_image_nor_network(bench: Bench) -> None:
    bench.engine.traits = LOCAL_LIKE
    bench.engine.scripts = {
        rank: Script(((0.0, joined(rank, master_addr="127.0.0.1")),), 0.0) for rank in (0, 1)
    }
    outcome = bench.apply()
    assert told(outcome.plan) == CREATE[2:]
    assert (results(outcome), bench.engine.mutations) == (
        ALL_OK,
        ["start_nodes pair-node-0 pair-node-1 as run-1"],
    )


# -- the lock --------------------------------------------------------------------


def test_what_a_killed_command_had_begun_to_write_is_swept(bench: Bench, a_part: str) -> None:
    part = bench.folder / ".orchestrate/runs/pair/run-0" / a_part
    part.parent.mkdir(parents=True)
    part.touch()
    bench.apply()
    assert not part.exists()


def test_the_lock_is_held_from_before_looking_to_the_end(bench: Bench) -> None:
    held: list[str] = []

    def try_to_apply(event: Event) -> None:
        with pytest.raises(Locked) as caught:
            apply(bench.request(), lambda _: None)
        held.append(f"{type(event).__name__}: {caught.value.what.split(' (')[0]}")

    apply(bench.request(), try_to_apply)
    what = "project pair is being changed by `orchestrate apply`"
    assert set(held) == {
        f"{kind}: {what}"
        for kind in (
            "PlanMade",
            "ActionStarted",
            "ActionProgressed",
            "ActionDone",
            "AttemptBegan",
            "NodeSpoke",
            "LogEnded",
            "NodeEnded",
            "CheckChanged",
            "AttemptJudged",
        )
    }
    assert bench.apply().plan.is_empty


class LateEngine(FakeEngine):
    """On it, what a killed run asked for appears just when we ask for the same."""

    def create_network(self, network: NetworkSpec, project: str) -> None:
        if not self.world.networks:
            super().create_network(network, project)
            raise NameTaken(f"network with name {network.name} already exists")
        super().create_network(network, project)


def test_what_a_killed_run_made_late_is_taken_over(bench: Bench) -> None:
    bench.engine = LateEngine(bench.engine.world, scripts=bench.engine.scripts)
    outcome = bench.apply(detach=True)
    assert [str(action) for action in outcome.plan.actions] == [
        "+ start node pair-node-0  (not there yet)",
        "+ start node pair-node-1  (not there yet)",
    ]
    assert len(bench.engine.world.nodes) == 2


class VeryLateEngine(FakeEngine):
    """On it, the nodes that a killed run asked for appear one by one, when we ask for them."""

    def start_nodes(
        self, nodes: Sequence[NodeSpec], identity: RunIdentity, on_started: Callable[[str], None]
    ) -> None:
        late = [node for node in nodes if f"made {node.name}" not in self.journal]
        if late:
            self.journal.append(f"made {late[0].name}")
            super().start_nodes(late[:1], replace(identity, run_id="killed"), lambda _: None)
            raise NameTaken(f"the container name {late[0].name} is already in use")
        super().start_nodes(nodes, identity, on_started)


def test_a_killed_run_whose_nodes_come_one_by_one_is_taken_over(bench: Bench) -> None:
    bench.engine = VeryLateEngine(bench.engine.world, scripts=bench.engine.scripts)
    outcome = bench.apply(detach=True)
    assert len(outcome.plan.start_nodes) == 2
    assert [node.run_id for node in bench.engine.world.nodes.values()] == [outcome.run_id] * 2


def test_a_name_that_stays_taken_is_told_after_a_second_look(bench: Bench) -> None:
    bench.engine.failures["create_network"] = NameTaken("pair-net is taken")
    bench.apply_refused(NameTaken)
    assert bench.engine.mutations.count("create_network pair-net for pair") == 2


def test_a_locked_project_is_not_touched(bench: Bench) -> None:
    with project_lock(bench.folder / "locks", "docker", "pair", doing="destroy"):
        refused = bench.apply_refused(Locked)
    assert f"`orchestrate destroy` (process {os.getpid()} of " in refused.what
    assert (bench.engine.journal, bench.engine.num_looks, bench.events) == ([], 0, [])


def test_an_apply_that_failed_frees_the_lock(bench: Bench) -> None:
    bench.engine.failures["create_network"] = EngineFailed("no")
    bench.apply_refused(EngineFailed)
    bench.engine.failures.clear()
    assert int(bench.apply().exit_code) == 0


# -- plan and verify -------------------------------------------------------------


def read_only(engine: FakeEngine) -> None:
    for call in (*MUTATING, "save_log"):
        engine.failures[call] = AssertionError(f"{call} on an engine that may only be read")


def test_planning_and_verifying_need_only_to_read(bench: Bench) -> None:
    bench.apply()
    read_only(bench.engine)
    bench.engine.journal.clear()
    assert told(plan(bench.request()).plan) == FINISHED
    assert len(plan(bench.request(rerun=True)).plan.actions) == 4
    judgement = verify(bench.request())
    assert judgement is not None
    assert judgement.holds
    assert bench.engine.journal == []


def test_planning_for_an_empty_engine_needs_only_to_read(bench: Bench) -> None:
    read_only(bench.engine)
    assert told(plan(bench.request()).plan) == CREATE
    assert not (bench.folder / "locks").exists()


def test_verify_wants_nodes_and_those_of_the_run_that_is_meant(bench: Bench) -> None:
    assert verify(bench.request()) is None
    bench.apply()
    assert verify(bench.request(), "run-0") is None
    judged = [verify(bench.request(), run_id) for run_id in ("run-1", None)]
    assert [each is not None and each.run.facts.run_id for each in judged] == ["run-1", "run-1"]


def test_what_is_looked_at_is_what_the_playbook_names(bench: Bench) -> None:
    request = bench.request()
    nodes = ("pair-node-0", "pair-node-1")
    assert query_for(desired_state(request)) == Query("pair", "app:1", "pair-net", False, nodes)
    bare = replace(request, engine=FakeEngine(traits=LOCAL_LIKE))
    assert query_for(desired_state(bare)) == Query("pair", node_names=nodes)


def test_an_external_network_is_asked_for_as_such(bench: Bench) -> None:
    bench.write(PLAYBOOK + "network: {name: theirs, external: true}\n")
    query = query_for(desired_state(bench.request()))
    assert (query.network, query.network_is_external) == ("theirs", True)


def test_the_inputs_of_a_build_are_part_of_what_is_wanted(bench: Bench) -> None:
    (bench.folder / "Dockerfile").write_text("FROM scratch\n")
    bench.write(PLAYBOOK.replace('{tag: "app:1"}', '{tag: "app:1", build: {context: .}}'))
    one = desired_state(bench.request()).image
    (bench.folder / "Dockerfile").write_text("FROM scratch\nENV A=1\n")
    two = desired_state(bench.request()).image
    assert one is not None
    assert two is not None
    assert (one.recipe, one.build_inputs == two.build_inputs) == (two.recipe, False)
    bare = replace(bench.request(), engine=FakeEngine(traits=LOCAL_LIKE))
    assert desired_state(bare).image is None


def test_run_ids_sort_by_time_and_are_never_the_same() -> None:
    ids = [new_run_id() for _ in range(100)]
    assert len(set(ids)) == 100
    assert [each[:15] for each in ids] == sorted(each[:15] for each in ids)


def test_no_thread_outlives_an_apply(bench: Bench) -> None:
    before = threading.active_count()
    bench.apply()
    assert threading.active_count() == before
