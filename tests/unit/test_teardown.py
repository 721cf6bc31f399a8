"""Which projects a user means, and taking one away whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import EngineFailed, Locked, NoSuchProject, OutOfSpace
from orchestrator.events import ActionDone, Event, PlanMade
from orchestrator.lock import project_lock
from orchestrator.state.desired import DesiredState, RunIdentity
from orchestrator.state.observed import ForeignObject, ObservedNode, ProjectSummary
from orchestrator.teardown import (
    Destroyed,
    Placed,
    candidates,
    destroy,
    find_projects,
    is_path,
    select,
)
from tests.unit.fake_engine import DOCKER_LIKE, LOCAL_LIKE, FakeEngine
from tests.unit.fakes import desired_state


def engine_with(*projects: str, bare: bool = False) -> FakeEngine:
    """An engine on which the given projects run, two nodes each."""
    engine = FakeEngine(traits=LOCAL_LIKE if bare else DOCKER_LIKE)
    engine.world.add_image("app:1")
    for project in projects:
        start(engine, project)
    engine.journal.clear()
    return engine


def desired_of(project: str) -> DesiredState:
    """What `desired_state` asks for, under another project's names."""
    pair = desired_state()
    assert pair.network is not None
    network = replace(pair.network, name=f"{project}-net")
    nodes = tuple(
        replace(node, name=f"{project}-node-{node.node_rank}", network=network.name)
        for node in pair.nodes
    )
    return replace(pair, project=project, network=network, nodes=nodes)


def start(engine: FakeEngine, project: str) -> None:
    desired = desired_of(project)
    assert desired.network is not None
    engine.create_network(desired.network, project)
    identity = RunIdentity(project, "run-1", "", playbook=f"/playbooks/{project}.yaml")
    engine.start_nodes(desired.nodes, identity, lambda _: None)


def placed(engine: FakeEngine, project: str) -> Placed:
    nodes = (f"{project}-node-0", f"{project}-node-1")
    return Placed(engine, ProjectSummary(project, f"/playbooks/{project}.yaml", nodes))


# -- which -----------------------------------------------------------------------

DOCKER, LOCAL = FakeEngine(), FakeEngine(traits=LOCAL_LIKE)
ONE = Placed(DOCKER, ProjectSummary("one", "/playbooks/one.yaml"))
TWO = Placed(DOCKER, ProjectSummary("two", "/playbooks/two.yaml"))
ONE_LOCAL = Placed(LOCAL, ProjectSummary("one", "/playbooks/one.yaml"))

CHOICES: dict[str, tuple[tuple[Placed, ...], str | None, tuple[Placed, ...]]] = {
    "nothing named and nothing there": ((), None, ()),
    "nothing named and one there": ((ONE,), None, (ONE,)),
    "nothing named and one there, on two engines": ((ONE, ONE_LOCAL), None, (ONE, ONE_LOCAL)),
    "a name": ((ONE, TWO), "two", (TWO,)),
    "a name on two engines": ((ONE, TWO, ONE_LOCAL), "one", (ONE, ONE_LOCAL)),
    "an unknown name": ((ONE, TWO), "three", ()),
    "the beginning of a name": ((ONE, TWO), "on", ()),
    "an absolute path": ((ONE, TWO), "/playbooks/one.yaml", (ONE,)),
    "a path through ..": ((ONE, TWO), "/playbooks/x/../two.yaml", (TWO,)),
    "a path that no project came from": ((ONE, TWO), "/playbooks/three.yaml", ()),
    "a name is no path": ((ONE,), "one.yaml", ()),
}


@pytest.mark.parametrize("name", CHOICES)
def test_which_projects_are_meant(name: str) -> None:
    found, target, expected = CHOICES[name]
    assert select(found, target) == expected


def test_a_relative_path_is_seen_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    here = Placed(DOCKER, ProjectSummary("one", str(tmp_path / "real/one.yaml")))
    monkeypatch.chdir(tmp_path / "link")
    assert select((here, TWO), "one.yaml") == (here,)
    assert select((here, TWO), "./one.yaml") == (here,)
    assert select((here, TWO), "../link/one.yaml") == (here,)


def test_of_several_one_must_be_named() -> None:
    with pytest.raises(NoSuchProject) as caught:
        select((ONE, TWO, ONE_LOCAL), None)
    assert (caught.value.what, caught.value.fix) == (
        "there are 2 projects here: one (docker), two (docker), one (local)",
        "name the one you mean, or say --all",
    )


@pytest.mark.parametrize(
    ("target", "expected"),
    [("two-rank", False), ("7", False), ("a.yaml", True), ("./a", True), ("a/b", True)],
)
def test_what_is_a_path(target: str, expected: bool) -> None:
    assert is_path(target) == expected


def test_a_name_is_asked_for_on_every_engine() -> None:
    engines = (FakeEngine(), FakeEngine(traits=LOCAL_LIKE))
    expected = tuple(Placed(engine, ProjectSummary("one")) for engine in engines)
    assert candidates(engines, "one") == expected


def test_a_path_and_nothing_are_searched_for() -> None:
    engine = engine_with("one")
    found = (placed(engine, "one"),)
    assert find_projects([engine]) == found
    assert candidates([engine], None) == found
    assert candidates([engine], "/playbooks/one.yaml") == found
    assert candidates([engine], "/playbooks/two.yaml") == ()


# -- destroy ---------------------------------------------------------------------


@dataclass
class Told:
    """A destroy and what it told."""

    folder: Path
    events: list[Event]

    def destroy(self, engine: FakeEngine, project: str = "one", grace_s: float = 0.0) -> Destroyed:
        return destroy(placed(engine, project), self.folder, self.events.append, grace_s=grace_s)


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path / "locks", [])


def test_everything_of_the_project_goes_and_nothing_else(told: Told) -> None:
    engine = engine_with("one", "two")
    engine.world.add_network("theirs", project=None)
    engine.world.strangers.append(ForeignObject("container", "one-node-0", "abc", ""))
    done = told.destroy(engine, grace_s=2.5)
    assert [str(action) for action in done.plan.actions] == [
        "- remove node one-node-0  (destroy was asked for)",
        "- remove node one-node-1  (destroy was asked for)",
        "- remove network one-net  (destroy was asked for)",
    ]
    assert engine.mutations == [
        "stop_nodes one-node-0 one-node-1 grace 2.5",
        "remove_nodes one-node-0 one-node-1",
        "remove_network one-net",
    ]
    assert told.events[0] == PlanMade(done.plan)
    performed = [each.action for each in told.events if isinstance(each, ActionDone)]
    assert performed == list(done.plan.actions)
    assert _names(engine.observe_nodes("two")) == ["two-node-0", "two-node-1"]
    assert [net.name for net in engine.world.networks.values()] == ["two-net", "theirs"]
    assert [each.name for each in engine.world.strangers] == ["one-node-0"]


def _names(nodes: tuple[ObservedNode, ...]) -> list[str]:
    return [node.name for node in nodes]


def test_a_network_of_its_name_that_is_not_ours_is_left(told: Told) -> None:
    engine = engine_with()
    engine.world.add_network("one-net", project=None)
    assert told.destroy(engine).plan.is_empty
    assert [net.name for net in engine.world.networks.values()] == ["one-net"]


def test_a_network_alone_goes_too(told: Told) -> None:
    engine = engine_with()
    engine.world.add_network("one-net", project="one")
    assert [each.name for each in engine.projects()] == ["one"]
    assert len(told.destroy(engine).plan.actions) == 1
    assert engine.world.networks == {}


def test_destroyed_again_it_asks_and_tells_nothing(told: Told) -> None:
    engine = engine_with("one")
    told.destroy(engine)
    engine.journal.clear()
    told.events.clear()
    assert told.destroy(engine).plan.is_empty
    assert (engine.journal, told.events) == ([], [])


def test_what_a_killed_command_had_begun_to_write_is_swept(
    told: Told, a_part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    part = tmp_path / ".orchestrate/runs/one/run-0" / a_part
    part.parent.mkdir(parents=True)
    part.touch()
    told.destroy(engine_with())
    assert not part.exists()


def test_what_was_left_half_done_is_taken_away_by_the_next_destroy(told: Told) -> None:
    engine = engine_with("one")
    engine.failures["remove_network"] = EngineFailed("it is in use")
    with pytest.raises(EngineFailed, match="it is in use"):
        told.destroy(engine)
    engine.failures.clear()
    assert [str(action) for action in told.destroy(engine).plan.actions] == [
        "- remove network one-net  (destroy was asked for)"
    ]


@pytest.mark.parametrize("left", ["one-node-1", "one-net"])
def test_leftovers_are_an_error(left: str, told: Told) -> None:
    engine = engine_with("one")
    engine.clinging.add(left)
    with pytest.raises(EngineFailed) as caught:
        told.destroy(engine)
    assert (caught.value.what, caught.value.fix) == (
        "something of project one was left on the docker engine",
        "run destroy once more",
    )


def test_a_project_that_is_being_changed_is_left_alone(told: Told) -> None:
    engine = engine_with("one")
    with (
        project_lock(told.folder, "docker", "one", doing="apply"),
        pytest.raises(Locked, match="being changed by `orchestrate apply`"),
    ):
        told.destroy(engine)
    assert (engine.journal, told.events) == ([], [])


def test_a_full_disk_removes_nothing(told: Told, tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.world.add_image("app:1")
    engine.world.add_network("pair-net")
    identity = RunIdentity("pair", "run-1", str(tmp_path / "run-1"))
    engine.start_nodes(desired_state().nodes, identity, lambda _: None)
    engine.failures["save_log"] = OSError(28, "No space left on device")
    with pytest.raises(OutOfSpace):
        told.destroy(engine, "pair")
    assert (len(engine.world.nodes), len(engine.world.networks)) == (2, 1)


def test_one_name_on_two_engines_is_two_projects(told: Told) -> None:
    docker, local = engine_with("one"), engine_with("one", bare=True)
    found = find_projects([docker, local])
    assert [str(each) for each in found] == ["one (docker)", "one (local)"]
    for each in found:
        destroy(each, told.folder, told.events.append, grace_s=0.0)
    assert find_projects([docker, local]) == ()
    locks = sorted(path.name for path in told.folder.iterdir())
    assert locks == ["docker-one.lock", "local-one.lock"]
