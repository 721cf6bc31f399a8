"""The run in a single process: how it is derived, made, kept, compared with and taken away."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import ExitCode, NameTaken
from orchestrator.events import ReferenceRan, ReferenceStarted
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.playbook.models import NAME_PATTERN, Completed
from orchestrator.reference import reference_of
from orchestrator.resolve import resolve
from orchestrator.run import Outcome, verify
from orchestrator.state.desired import NetworkSpec, RunIdentity
from orchestrator.state.reference import is_reference, reference_name
from orchestrator.teardown import Placed, candidates, destroy, left_in_place
from tests.unit.fake_engine import DOCKER_LIKE, FakeEngine, Script, joined
from tests.unit.fakes import desired_state
from tests.unit.workbench import Bench, bench, results

__all__ = ["bench"]

ASKING = """\
version: 1
name: pair
image: {tag: "app:1"}
ranks: {nodes: 2, command: [python, train.py]}
health_checks:
  - joined: {within: 20s}
  - loss: {matches: single-process, within: 30s}
  - completed: {within: 20s}
"""
WHOLE = """\
version: 1
name: pair
image: {tag: "app:1"}
network: {name: pair-lan, internal: false}
ranks:
  nodes: 4
  nproc_per_node: 2
  command: [python, train.py]
  env: {SEED: "7"}
  resources: {cpus: 0.5}
  per_node: {1: {env: {SLOW: "1"}}}
rendezvous: {port: 29500}
restarts: {max: 3}
on_failure: keep
health_checks: [{loss: {matches: single-process, within: 3m}}]
"""


def loaded_from(folder: Path, text: str) -> LoadedPlaybook:
    path = folder / "pair.yaml"
    path.write_text(text)
    return load(path)


# -- deriving ------------------------------------------------------------------


def test_it_is_the_same_command_in_one_node_and_one_process(tmp_path: Path) -> None:
    loaded = loaded_from(tmp_path, WHOLE)
    reference = reference_of(loaded)
    assert reference is not None
    gang, alone = resolve(loaded, DOCKER_LIKE), resolve(reference, DOCKER_LIKE)
    (node,) = alone.nodes
    assert (alone.project, alone.playbook) == (
        "pair-reference",
        f"{tmp_path / 'pair.yaml'} (single process)",
    )
    assert alone.network == NetworkSpec("pair-reference-net", internal=False)
    assert (node.name, node.command) == ("pair-reference-node-0", ("python", "train.py"))
    assert (node.image, node.limits, node.user) == (
        gang.nodes[0].image,
        gang.nodes[0].limits,
        gang.nodes[0].user,
    )
    told = {"SEED", "RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "SLOW"}
    assert {name: value for name, value in node.env if name in told} == {
        "SEED": "7",
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
        "MASTER_ADDR": "pair-reference-node-0",
        "MASTER_PORT": "29501",
    }
    playbook = reference.playbook
    assert (playbook.restarts.max, playbook.on_failure) == (0, "stop")
    assert playbook.health_checks == (Completed(within_s=180.0),)


def test_it_is_made_only_where_a_check_asks_for_it(tmp_path: Path) -> None:
    asking = "health_checks: [{loss: {matches: single-process, within: 3m}}]"
    assert (
        reference_of(loaded_from(tmp_path, WHOLE.replace(asking, "health_checks: [loss]"))) is None
    )
    assert reference_of(loaded_from(tmp_path, WHOLE.replace(asking, ""))) is None


def test_the_last_port_has_a_neighbour_too(tmp_path: Path) -> None:
    reference = reference_of(loaded_from(tmp_path, WHOLE.replace("29500", "65535")))
    assert reference is not None
    assert reference.playbook.rendezvous.port == 65534


@pytest.mark.parametrize("project", ["a", "a" * 30, "a" * 31, "b" * 40, "ab-" * 13])
def test_its_name_is_a_project_s_name_of_its_own(project: str) -> None:
    name = reference_name(project)
    assert re.fullmatch(NAME_PATTERN, name)
    others = (project[:-1] + "z", project[:30], project[:21])
    assert name not in {reference_name(other) for other in others if other != project}


# -- making --------------------------------------------------------------------


def step(number: int, loss: float, rank: int = 0) -> str:
    fields = {"event": "step", "rank": rank, "run_id": "$RUN_ID", "step": number, "loss": loss}
    return json.dumps(fields)


def trains(*losses: float, rank: int = 0) -> Script:
    """A node that joins a world of two, reports these losses and ends."""
    lines = [(0.0, step(number, loss, rank)) for number, loss in enumerate(losses, start=1)]
    return Script(((0.0, joined(rank)), *lines), 0.0)


@pytest.fixture
def asking(bench: Bench) -> Bench:
    """A gang whose losses are those of a single process."""
    bench.write(ASKING)
    bench.engine.scripts = {0: trains(3.0, 2.0), 1: trains(3.0, 2.0, rank=1)}
    bench.engine.of_project = {"pair-reference": {0: trains(3.0, 2.00001)}}
    return bench


def loss_said(outcome: Outcome) -> str:
    assert outcome.judgement is not None
    (said,) = (each for each in outcome.judgement.results if each.name == "loss")
    return f"{said.status}: {said.why}"


ALONE_FIRST = [
    "pull_image app:1",
    "create_network pair-reference-net for pair-reference",
    "start_nodes pair-reference-node-0 as run-1",
    "create_network pair-net for pair",
    "start_nodes pair-node-0 pair-node-1 as run-2",
]
EQUAL = "ok: as in a single process at 2 steps, to 1e-05"


def test_it_is_run_before_the_gang_and_compared_with(asking: Bench) -> None:
    outcome = asking.apply()
    assert (loss_said(outcome), outcome.exit_code) == (EQUAL, ExitCode.CONVERGED)
    assert asking.engine.mutations == ALONE_FIRST
    told = [each for each in asking.events if isinstance(each, ReferenceStarted | ReferenceRan)]
    assert [
        replace(each, took_s=0.0) if isinstance(each, ReferenceRan) else each for each in told
    ] == [
        ReferenceStarted("pair-reference"),
        ReferenceRan("pair-reference", was_kept=False, failure="", took_s=0.0),
    ]
    runs = asking.folder / ".orchestrate/runs"
    assert sorted(str(path.relative_to(runs)) for path in runs.glob("*/*/*.log")) == [
        "pair-reference/run-1/node-0.log",
        "pair/run-2/node-0.log",
        "pair/run-2/node-1.log",
    ]


def test_it_is_not_run_again_while_nothing_of_it_changes(asking: Bench) -> None:
    asking.apply()
    outcome = asking.apply()
    assert (loss_said(outcome), asking.engine.mutations) == (EQUAL, [])
    assert loss_said_of(asking) == EQUAL


def loss_said_of(bench: Bench) -> str:
    """What verify says."""
    judgement = verify(bench.request())
    assert judgement is not None
    said = next(each for each in judgement.results if each.name == "loss")
    return f"{said.status}: {said.why}"


def test_it_is_kept_where_only_the_gang_changes(asking: Bench) -> None:
    asking.apply()
    slow = "ranks: {nodes: 2, command: [python, train.py], per_node: {1: {env: {SLOW: '1'}}}}"
    asking.write(ASKING.replace("ranks: {nodes: 2, command: [python, train.py]}", slow))
    assert loss_said(asking.apply()) == EQUAL
    assert asking.engine.mutations == [
        "stop_nodes pair-node-0 pair-node-1 grace 5",
        "remove_nodes pair-node-0 pair-node-1",
        "start_nodes pair-node-0 pair-node-1 as run-4",
    ]
    assert [each.was_kept for each in asking.events if isinstance(each, ReferenceRan)] == [True]


def test_it_is_run_again_with_another_command_and_when_a_rerun_is_asked_for(asking: Bench) -> None:
    asking.apply()
    anew = [
        "stop_nodes pair-reference-node-0 grace 5",
        "remove_nodes pair-reference-node-0",
        "start_nodes pair-reference-node-0 as run-3",
        "stop_nodes pair-node-0 pair-node-1 grace 5",
        "remove_nodes pair-node-0 pair-node-1",
        "start_nodes pair-node-0 pair-node-1 as run-4",
    ]
    asking.write(ASKING.replace("train.py", "other.py"))
    asking.apply()
    assert asking.engine.mutations == anew
    asking.apply(rerun=True)
    assert [re.sub(r"\d$", "", each) for each in asking.engine.mutations] == [
        re.sub(r"\d$", "", each) for each in anew
    ]


def test_losses_that_part_fail_the_run(asking: Bench) -> None:
    asking.engine.of_project = {"pair-reference": {0: trains(3.0, 1.5)}}
    outcome = asking.apply()
    assert (loss_said(outcome), outcome.exit_code) == (
        "failed: the loss is not that of a single process, from step 2 on",
        ExitCode.NOT_CONVERGED,
    )


def test_where_it_fails_the_gang_is_run_and_not_compared(asking: Bench) -> None:
    asking.engine.of_project = {"pair-reference": {0: Script(((0.0, "no"),), 0.0, 3)}}
    outcome = asking.apply()
    missing = "skipped: there is no run in a single process to compare with"
    assert (loss_said(outcome), outcome.exit_code) == (missing, ExitCode.NOT_CONVERGED)
    assert ("completed", "ok") in results(outcome)
    (ran,) = (each for each in asking.events if isinstance(each, ReferenceRan))
    assert ran.failure == "alive: a node is not in order"


def test_nobody_waits_for_it_where_nobody_follows(asking: Bench) -> None:
    asking.apply(detach=True)
    assert asking.engine.mutations == [
        "pull_image app:1",
        "create_network pair-net for pair",
        "start_nodes pair-node-0 pair-node-1 as run-1",
    ]
    assert loss_said_of(asking).startswith("skipped: there is no run in a single process")


# -- whose it is, and taking it away -------------------------------------------


def have_project(engine: FakeEngine, name: str, playbook: str) -> None:
    """Somebody's project of one node."""
    node = replace(desired_state(1).nodes[0], name=f"{name}-node-0", network=None)
    engine.world.add_image("app:1")
    engine.start_nodes([node], RunIdentity(name, "run-0", "", playbook), lambda _: None)


def test_a_project_of_the_user_that_has_its_name_is_left_alone(asking: Bench) -> None:
    have_project(asking.engine, "pair-reference", "/playbooks/mine.yaml")
    before = asking.engine.observe_nodes("pair-reference")
    refused = asking.apply_refused(NameTaken)
    assert asking.engine.observe_nodes("pair-reference") == before
    assert (refused.what, asking.engine.mutations) == (
        "the run in a single process must be project pair-reference, which is another playbook's",
        [],
    )
    assert [str(each) for each in candidates([asking.engine], "pair")] == ["pair (docker)"]


@pytest.mark.parametrize("how", ["by name", "by path", "as the only one"])
def test_destroy_takes_it_away_with_its_project(asking: Bench, how: str) -> None:
    asking.apply()
    target = {"by name": "pair", "by path": str(asking.folder / "pair.yaml")}.get(how)
    for placed in candidates([asking.engine], target):
        destroy(placed, asking.folder / "locks", lambda _: None, grace_s=1.0)
    assert (asking.engine.world.nodes, asking.engine.world.networks) == ({}, {})


def test_it_may_be_destroyed_alone(asking: Bench) -> None:
    asking.apply()
    (placed,) = candidates([asking.engine], "pair-reference")
    destroy(placed, asking.folder / "locks", lambda _: None, grace_s=1.0)
    assert [each.name for each in asking.engine.projects()] == ["pair"]


def test_what_an_interrupted_apply_leaves_may_be_this_run_alone(asking: Bench) -> None:
    asking.apply()
    for node in asking.engine.observe_nodes("pair"):
        asking.engine.remove_nodes([node])
    asking.engine.world.networks = {
        key: net for key, net in asking.engine.world.networks.items() if net.project != "pair"
    }
    assert left_in_place(asking.engine, "pair") == (
        "left in place: network pair-reference-net, node pair-reference-node-0; apply goes on "
        "from it, destroy removes it"
    )


def test_its_label_tells_it_apart(asking: Bench) -> None:
    asking.apply()
    marked = {each.name: is_reference(each.playbook) for each in asking.engine.projects()}
    assert marked == {"pair": False, "pair-reference": True}
    assert Placed(asking.engine, asking.engine.projects()[1]) in candidates([asking.engine], "pair")
