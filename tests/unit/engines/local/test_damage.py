"""Folders that are damaged, cut short or not ours: seen for what they are, never a traceback."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.engines.base import Query
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.errors import EngineFailed, NameTaken
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.observed import ForeignObject, NodeStatus, ObservedState

from .local_node import IDENTITY, PROJECT, folder_of, node_spec, start, states, wait_for_end

QUERY = Query(PROJECT, node_names=("lab-node-0", "lab-node-1"))


def edited(**changes: object) -> Callable[[Path], None]:
    """Change fields of a record and leave the rest."""

    def edit(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


def link(path: Path) -> None:
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "bytes": lambda path: path.write_bytes(bytes(range(256))),
    "nested": lambda path: path.write_text("[" * 100_000),
    "number": lambda path: path.write_text("1" * 6_000),
    "list": lambda path: path.write_text("[]"),
    "too large": lambda path: path.write_text("[" + "1," * 3_000_000 + "1]"),
    "pipe": pipe,
}

NODE_DAMAGES = DAMAGES | {
    "format": edited(format=2),
    "type": edited(spec_hash=7),
    "link": link,
}


@pytest.mark.parametrize("damage", NODE_DAMAGES.values(), ids=NODE_DAMAGES)
def test_a_damaged_record_makes_a_dead_node_that_can_be_removed(
    engine: LocalEngine, root: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    wait_for_end(engine)
    damage(folder_of(root) / "node.json")

    (node,) = engine.observe(QUERY).nodes
    assert (node.status, node.name, node.exit_code) == (NodeStatus.DEAD, "lab-node-0", None)
    assert node.error.startswith("node.json is ")
    (folder_of(root) / "elsewhere").unlink(missing_ok=True)
    engine.remove_nodes([node])
    assert engine.observe(QUERY) == ObservedState(PROJECT)
    assert not (root / PROJECT).exists()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_exit_makes_a_dead_node(
    engine: LocalEngine, root: Path, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    wait_for_end(engine)
    damage(folder_of(root) / "exit.json")

    ((status, exit_code, error),) = states(engine)
    assert (status, exit_code) == (NodeStatus.DEAD, None)
    assert error.startswith("exit.json is ")


def test_a_record_of_another_place_is_not_believed(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    wait_for_end(engine)
    folder_of(root, 1).mkdir()
    content = (folder_of(root) / "node.json").read_bytes()
    (folder_of(root, 1) / "node.json").write_bytes(content)

    assert states(engine) == [
        (NodeStatus.EXITED, 0, ""),
        (NodeStatus.DEAD, None, "its record tells of another node"),
    ]


@pytest.mark.parametrize("content", [[], ["node.json.part"]])
def test_a_creation_that_was_cut_short_can_be_removed(
    engine: LocalEngine, root: Path, content: list[str]
) -> None:
    folder_of(root).mkdir(parents=True)
    for name in content:
        (folder_of(root) / name).write_text("{")

    observed = engine.observe(QUERY)
    assert states(engine) == [(NodeStatus.CREATED, None, "its creation was cut short")]
    assert observed.foreign == ()
    engine.remove_nodes(observed.nodes)
    assert not (root / PROJECT).exists()


def test_a_node_that_never_ran_is_created(engine: LocalEngine, root: Path, tmp_path: Path) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    (node,) = wait_for_end(engine)
    for path in folder_of(root).iterdir():
        if path.name != "node.json":
            path.unlink()
    found: list[LogLine | LogEnd] = []
    engine.read_logs([node], found.append)
    engine.save_log(node, tmp_path / "saved.log")

    assert states(engine) == [(NodeStatus.CREATED, None, "")]
    assert found == [LogEnd(0)]
    assert (tmp_path / "saved.log").read_bytes() == b""


def test_links_are_foreign_and_never_followed(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    (node,) = wait_for_end(engine)
    outside = tmp_path / "outside"
    folder_of(root).rename(outside)
    folder_of(root).symlink_to(outside)
    content = sorted(os.listdir(outside))

    assert engine.observe(QUERY) == ObservedState(
        PROJECT, foreign=(ForeignObject("node", "lab-node-0", str(folder_of(root)), ""),)
    )
    assert engine.projects() == ()
    engine.remove_nodes([node])
    assert sorted(os.listdir(outside)) == content
    with pytest.raises(NameTaken):
        start(engine, node_spec(tmp_path))


def test_a_foreign_file_in_a_node_s_folder_is_left_alone(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    start(engine, node_spec(tmp_path, script="exit 0"))
    (node,) = wait_for_end(engine)
    (folder_of(root) / "notes.txt").write_text("mine")

    with pytest.raises(EngineFailed) as refused:
        engine.remove_nodes([node])

    assert str(refused.value) == (
        f"{folder_of(root)} holds files that orchestrate did not put there;"
        " move them away, then remove the folder"
    )
    assert os.listdir(folder_of(root)) == ["notes.txt"]


def test_a_node_started_anew_is_another_node(engine: LocalEngine, tmp_path: Path) -> None:
    (before,) = start(engine, node_spec(tmp_path))
    engine.remove_nodes([before])
    (after,) = start(engine, node_spec(tmp_path))

    engine.stop_nodes([before], grace_s=0)
    engine.remove_nodes([before])

    assert engine.observe_nodes(PROJECT) == (after,)
    assert after.status is NodeStatus.RUNNING


def test_a_project_folder_that_is_a_link_or_another_user_s_is_refused(
    engine: LocalEngine, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "linked").mkdir(parents=True)
    (root / PROJECT).symlink_to(root / "linked")
    assert refusal(engine) == (
        f"{root / PROJECT} is not a folder; remove it, or set ORCHESTRATE_LOCAL_ROOT"
    )
    (root / PROJECT).unlink()
    (root / PROJECT).mkdir()
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert refusal(engine) == (
        f"{root / PROJECT} belongs to another user (uid {owner});"
        " run as that user, or set ORCHESTRATE_LOCAL_ROOT to a folder of your own"
    )
    assert engine.projects() == ()


def refusal(engine: LocalEngine) -> str:
    with pytest.raises(EngineFailed) as observing:
        engine.observe(QUERY)
    with pytest.raises(EngineFailed) as starting:
        engine.start_nodes([node_spec(Path("/"))], IDENTITY, lambda name: None)
    assert str(observing.value) == str(starting.value)
    return str(observing.value)


@pytest.mark.parametrize("name", ["..", "../lab", "a/b", "", "Lab", "."])
def test_a_name_that_is_no_project_s_finds_nothing(
    engine: LocalEngine, root: Path, tmp_path: Path, name: str
) -> None:
    start(engine, node_spec(tmp_path))
    assert engine.observe(Query(name)) == ObservedState(name)


def test_an_empty_folder_that_a_killed_call_left_is_cleared_away(root: Path) -> None:
    (root / PROJECT).mkdir(parents=True)
    engine = LocalEngine(root)
    engine.clear("../elsewhere")
    engine.clear(PROJECT)
    assert list(root.iterdir()) == []
