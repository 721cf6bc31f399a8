"""What `--fix` does and does not do; the programs are stand-ins."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.doctor.finding import Finding, Remedy, RemoveProject, RunProgram, Status, ok
from orchestrator.doctor.fixing import Mended, perform, remedies
from orchestrator.engines.base import Query
from orchestrator.errors import EngineFailed
from orchestrator.lock import project_lock
from orchestrator.state.observed import ObservedState
from tests.unit.fake_engine import FakeEngine
from tests.unit.fakes import PROJECT, node_spec, sidecar_spec


def trouble(*remedies: Remedy) -> Finding:
    return Finding("x", Status.WARNING, "odd", "why", "mend", remedies=remedies)


def mended(remedy: Remedy, folder: Path, engine: FakeEngine | None = None) -> Mended:
    return perform(trouble(remedy), remedy, engine or FakeEngine(), folder / "locks")


def put(folder: Path, name: str, script: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that comes first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_only_what_has_a_remedy_is_offered() -> None:
    one, two = RunProgram(("a",)), RemoveProject("b")
    findings = (ok("fine", ""), trouble(), trouble(one, two))
    assert list(remedies(findings)) == [(findings[2], one), (findings[2], two)]


def test_a_program_is_run_as_root_or_through_a_sudo_that_never_asks(
    programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(programs, "tool", f'echo "tool $*" > {programs}/ran')
    put(programs, "sudo", f'echo "sudo $*" > {programs}/ran')
    remedy = RunProgram(("tool", "--now"))
    for user, ran in ((0, "tool --now"), (1000, "sudo -n tool --now")):
        monkeypatch.setattr("os.geteuid", lambda user=user: user)
        assert mended(remedy, programs) == Mended("x", "tool --now")
        assert (programs / "ran").read_text() == f"{ran}\n"
    mended(RunProgram(("tool", "2"), needs_root=False), programs)
    assert (programs / "ran").read_text() == "tool 2\n"


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("echo one; echo '\033[31mno such unit\033[0m' >&2; exit 5", "no such unit"),
        ("exit 5", "exit code 5"),
    ],
)
def test_a_program_that_fails_is_told_of(programs: Path, script: str, error: str) -> None:
    put(programs, "tool", script)
    remedy = RunProgram(("tool",), needs_root=False)
    assert mended(remedy, programs) == Mended("x", "tool", error)


def test_a_program_that_is_not_there(tmp_path: Path) -> None:
    remedy = RunProgram(("no-such-tool",), needs_root=False)
    assert mended(remedy, tmp_path).error == "no-such-tool: No such file or directory"


def test_networks_without_nodes_go(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.world.add_network("pair-net", internal=True, project=PROJECT)
    engine.world.add_network("other-net", internal=True, project="other")
    assert mended(RemoveProject(PROJECT), tmp_path, engine) == Mended(
        "x", f"orchestrate destroy {PROJECT}"
    )
    assert engine.journal == ["remove_network pair-net"]


def test_a_project_that_has_nodes_again_is_left_alone(tmp_path: Path) -> None:
    engine = FakeEngine()
    engine.world.add_network("pair-net", internal=True, project=PROJECT)
    engine.world.add_image("app:1")
    engine.world.start(node_spec())
    assert mended(RemoveProject(PROJECT), tmp_path, engine).error == "it has nodes again"
    assert engine.journal == []


class WithSidecars(FakeEngine):
    """An engine that shows the sidecars of its world."""

    def observe(self, query: Query) -> ObservedState:
        return replace(super().observe(query), sidecars=tuple(self.world.sidecars.values()))


def test_a_project_with_a_daemon_is_left_to_destroy(tmp_path: Path) -> None:
    engine = WithSidecars()
    engine.world.add_image("app:1")
    engine.world.add_network("pair-net", internal=True, project=PROJECT)
    engine.world.start_sidecar(sidecar_spec(), "run-1")
    error = mended(RemoveProject(PROJECT), tmp_path, engine).error
    assert error == "it has an MPS daemon as well, whose GPU only destroy puts back"
    assert engine.journal == []


def test_a_project_that_somebody_changes_is_left_alone(tmp_path: Path) -> None:
    engine = FakeEngine()
    lock = project_lock(tmp_path / "locks", engine.traits.lock_name, PROJECT, doing="apply")
    with lock:
        error = mended(RemoveProject(PROJECT), tmp_path, engine).error
    assert error.startswith(f"project {PROJECT} is being changed by `orchestrate apply`")


def test_what_the_engine_refuses_is_told_of(tmp_path: Path) -> None:
    engine = FakeEngine(failures={"remove_network": EngineFailed("in use")})
    engine.world.add_network("pair-net", internal=True, project=PROJECT)
    assert mended(RemoveProject(PROJECT), tmp_path, engine).error == "in use"
