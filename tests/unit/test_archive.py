"""Logs that outlive their nodes."""

from __future__ import annotations

import errno
import os
import subprocess
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.archive import (
    log_path,
    run_folder,
    run_folders,
    save_logs,
    saved_logs,
    sweep_runs,
)
from orchestrator.errors import EngineFailed, FolderUnusable, LogGone, OrchestrateError, OutOfSpace
from orchestrator.state.observed import NodeStatus, ObservedNode
from tests.unit.fake_engine import FakeEngine, Script
from tests.unit.fakes import node_spec


def test_without_a_current_folder_there_is_no_place_for_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(FolderUnusable, match="the current folder is gone; cd to another one"):
        run_folder("pair", "run-1")


SCRIPTS = {rank: Script(((0.0, f"hello from {rank}"),)) for rank in (0, 1)}


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(scripts=SCRIPTS)


def node(folder: Path, node_rank: int = 0) -> ObservedNode:
    """A node that ran from second 1000 to second 1010, long ago."""
    return ObservedNode(
        f"id-{node_rank}",
        node_spec(node_rank),
        "run-1",
        "hash",
        NodeStatus.EXITED,
        exit_code=0,
        started_at_s=1000.0,
        finished_at_s=1010.0,
        run_dir=str(folder),
    )


def test_a_log_lies_in_the_folder_of_its_run(tmp_path: Path) -> None:
    assert log_path(node(tmp_path, 1)) == tmp_path / "node-1.log"
    assert log_path(replace(node(tmp_path), run_dir="")) is None


def test_the_folder_of_a_run_is_below_the_current_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_folder("pair", "run-1") == tmp_path / ".orchestrate/runs/pair/run-1"
    assert list(tmp_path.iterdir()) == []


def test_the_logs_of_all_nodes_are_kept(engine: FakeEngine, tmp_path: Path) -> None:
    folder = tmp_path / "a folder with ünïcode, 'quotes' and $HOME"
    save_logs(engine, [node(folder, rank) for rank in (0, 1)])
    kept = {path.name: path.read_text() for path in folder.glob("*.log")}
    assert kept == {"node-0.log": "hello from 0\n", "node-1.log": "hello from 1\n"}


def test_no_nodes_have_no_logs(engine: FakeEngine) -> None:
    save_logs(engine, [])
    assert engine.journal == []


def test_what_was_kept_after_the_end_is_not_kept_again(engine: FakeEngine, tmp_path: Path) -> None:
    ended = node(tmp_path)
    save_logs(engine, [ended])
    save_logs(engine, [ended])
    assert engine.journal == ["save_log pair-node-0"]


def test_what_was_kept_before_the_end_is_kept_again(engine: FakeEngine, tmp_path: Path) -> None:
    ended = node(tmp_path)
    (tmp_path / "node-0.log").write_text("half of it")
    os.utime(tmp_path / "node-0.log", (1005.0, 1005.0))
    save_logs(engine, [ended])
    assert (tmp_path / "node-0.log").read_text() == "hello from 0\n"


STILL_GROWING = {
    "running": {"status": NodeStatus.RUNNING, "exit_code": None, "finished_at_s": None},
    "paused": {"status": NodeStatus.PAUSED, "exit_code": None, "finished_at_s": None},
    "restarted": {"status": NodeStatus.RUNNING, "exit_code": 0, "finished_at_s": 1010.0},
    "of unknown end": {"status": NodeStatus.DEAD, "exit_code": None, "finished_at_s": None},
}


@pytest.mark.parametrize("name", STILL_GROWING)
def test_a_log_that_may_have_grown_is_kept_again(
    name: str, engine: FakeEngine, tmp_path: Path
) -> None:
    grows = replace(node(tmp_path), **STILL_GROWING[name])  # type: ignore[arg-type]
    save_logs(engine, [grows])
    save_logs(engine, [grows])
    assert engine.journal == ["save_log pair-node-0"] * 2


def test_a_node_that_never_started_and_one_without_a_folder_have_no_log(
    engine: FakeEngine, tmp_path: Path
) -> None:
    created = replace(node(tmp_path), status=NodeStatus.CREATED, started_at_s=None)
    save_logs(engine, [created, replace(node(tmp_path, 1), run_dir="")])
    assert (engine.journal, list(tmp_path.iterdir())) == ([], [])


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(number: int, engine: FakeEngine, tmp_path: Path) -> None:
    engine.failures["save_log pair-node-1"] = OSError(number, os.strerror(number))
    with pytest.raises(OutOfSpace) as caught:
        save_logs(engine, [node(tmp_path, rank) for rank in (0, 1)])
    assert (caught.value.what, caught.value.fix) == (
        f"the log of pair-node-1 cannot be kept in {tmp_path}: the disk is full",
        "free some space and try again; the node was not removed",
    )


def test_a_folder_that_may_not_be_written(engine: FakeEngine, tmp_path: Path) -> None:
    engine.failures["save_log"] = PermissionError(errno.EACCES, "Permission denied")
    with pytest.raises(OrchestrateError) as caught:
        save_logs(engine, [node(tmp_path)])
    assert (caught.value.what, caught.value.fix) == (
        f"the log of pair-node-0 cannot be kept in {tmp_path}: Permission denied",
        "make that folder writable; the node was not removed",
    )


def test_a_file_where_the_folder_should_be(engine: FakeEngine, tmp_path: Path) -> None:
    (tmp_path / "run-1").write_text("")
    with pytest.raises(OrchestrateError) as caught:
        save_logs(engine, [node(tmp_path / "run-1")])
    what = f"the log of pair-node-0 cannot be kept in {tmp_path / 'run-1'}: File exists"
    assert (caught.value.what, engine.journal) == (what, [])


def test_what_the_engine_refuses_is_passed_on(engine: FakeEngine, tmp_path: Path) -> None:
    engine.failures["save_log"] = error = EngineFailed("no log can be read")
    with pytest.raises(EngineFailed) as caught:
        save_logs(engine, [node(tmp_path)])
    assert caught.value is error


def test_a_node_that_went_meanwhile_leaves_nothing_and_stops_nobody(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.failures["save_log pair-node-0"] = LogGone("the log went with the node")
    save_logs(engine, [node(tmp_path, rank) for rank in (0, 1)])
    assert [path.name for path in tmp_path.glob("*.log")] == ["node-1.log"]
    assert list(tmp_path.glob("node-0*")) == []


# -- finding them again ----------------------------------------------------------


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".orchestrate/runs/pair"


def keep(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("")


def test_the_newest_run_is_taken(runs: Path) -> None:
    keep(runs / "20260101T000000-ffffffff", "node-0.log")
    keep(runs / "20260102T000000-00000000", "node-0.log", "node-1.log")
    newest = runs / "20260102T000000-00000000"
    assert saved_logs("pair") == (newest / "node-0.log", newest / "node-1.log")


def test_a_run_of_which_nothing_was_kept_does_not_hide_the_one_before(runs: Path) -> None:
    keep(runs / "20260101T000000-ffffffff", "node-0.log")
    keep(runs / "20260102T000000-00000000")
    assert saved_logs("pair") == (runs / "20260101T000000-ffffffff/node-0.log",)


def test_the_nodes_are_in_rank_order(runs: Path) -> None:
    keep(runs / "run-1", *(f"node-{rank}.log" for rank in (10, 9, 2, 0, 1)))
    assert [path.name for path in saved_logs("pair")] == [
        f"node-{rank}.log" for rank in (0, 1, 2, 9, 10)
    ]


def test_what_is_no_log_of_a_node_is_passed_over(runs: Path) -> None:
    keep(runs / "run-1", "node-0.log", "node-x.log", "node-.log", "node-1.log.tmp", "notes.txt")
    (runs / "a file").write_text("")
    assert saved_logs("pair") == (runs / "run-1/node-0.log",)


@pytest.mark.parametrize(
    "project", ["none", "*", "..", "../pair", "../runs/pair", "", "a/b", "pair/run-1"]
)
def test_what_is_no_project_has_none(project: str, runs: Path) -> None:
    keep(runs / "run-1", "node-0.log")
    assert saved_logs(project) == ()


def test_of_two_runs_of_one_second_the_later_one_is_newer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    began_ns = {"20260102T030405-ff": 1, "20260102T030405-00": 2, "20260102T030404-aa": 3}
    for name, at_ns in began_ns.items():
        folder = run_folder("pair", name)
        folder.mkdir(parents=True)
        (folder / "run.json").touch()
        os.utime(folder / "run.json", ns=(at_ns, at_ns))
    run_folder("pair", "20260102T030405-zz").mkdir()
    assert [folder.name for folder in run_folders("pair")] == [
        "20260102T030405-00",
        "20260102T030405-ff",
        "20260102T030405-zz",
        "20260102T030404-aa",
    ]


def test_what_killed_commands_had_begun_to_write_is_swept_and_what_others_write_is_not(
    runs: Path,
) -> None:
    with subprocess.Popen(["true"]) as gone:
        gone.wait()
    mine = f".verdict.json.{os.getpid()}.part"
    kept = ("run.json", mine, ".verdict.json.part", "notes.part")
    keep(runs / "20240101T000000-a", f".run.json.{gone.pid}.part", *kept)
    keep(runs / "20240102T000000-b", f".node-0.records.jsonl.{gone.pid}.part")
    sweep_runs("pair")
    left = {str(path.relative_to(runs)) for path in runs.rglob("*.*") if path.is_file()}
    assert left == {f"20240101T000000-a/{name}" for name in kept}


def test_a_folder_that_is_gone_needs_no_sweeping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()
    sweep_runs("pair")
    assert list(tmp_path.iterdir()) == []
