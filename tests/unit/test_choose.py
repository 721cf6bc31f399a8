"""Which engine is used, with stand-ins for `docker` and for both engines."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator import choose
from orchestrator.choose import (
    EngineName,
    cache_folder,
    docker_answers,
    engine_for,
    engines_for,
    local_is_in_use,
    state_folder,
)
from tests.unit.fake_engine import LOCAL_LIKE, FakeEngine

DOCKER, LOCAL = FakeEngine(), FakeEngine(traits=LOCAL_LIKE)
FELL_BACK = (
    "no Docker engine answers: using the embedded one (processes on this machine, no isolation)"
)
ONLY_LOCAL = "the Docker engine does not answer: only the embedded one was looked at"

ANSWERS = 'echo "$@" > "$0.args"; echo 20.10.24'
FAILS = "echo Cannot connect to the Docker daemon >&2; exit 1"
HANGS = "sleep 3"


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Docker, of a user who has set nothing; gives its folder."""
    for variable in ("DOCKER_HOST", "DOCKER_CONTEXT", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ORCHESTRATE_LOCAL_ROOT", str(tmp_path / "local"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")
    monkeypatch.setattr(choose, "DOCKER_SOCKET", tmp_path / "docker.sock")
    monkeypatch.setattr(choose, "docker_engine", lambda: DOCKER)
    monkeypatch.setattr(choose, "local_engine", lambda: LOCAL)
    stand_in(tmp_path, "exit 127")  # hides a `docker` further down the path
    return tmp_path


def stand_in(folder: Path, script: str) -> Path:
    """A `docker` command that does this."""
    docker = folder / "bin" / "docker"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(f"#!/bin/sh\n{script}\n")
    docker.chmod(0o755)
    return docker


@pytest.fixture
def listening(bare: Path) -> Iterator[None]:
    """Something listens on the default socket."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bare / "docker.sock"))
        server.listen()
        yield


def chosen(
    choice: Callable[[EngineName, choose.Notice], object], name: EngineName
) -> tuple[object, list[str]]:
    """What is chosen, and what the user is told."""
    notices: list[str] = []
    return choice(name, notices.append), notices


# -- does Docker answer ----------------------------------------------------------


@pytest.mark.usefixtures("listening")
def test_a_socket_that_listens_settles_it_without_a_command(bare: Path) -> None:
    assert docker_answers()
    assert not (bare / "bin/docker.args").exists()


def test_a_socket_that_was_chosen_settles_it_too(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(bare, FAILS)
    monkeypatch.setenv("DOCKER_HOST", f"unix://{bare}/other.sock")
    assert not docker_answers()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bare / "other.sock"))
        server.listen()
        assert docker_answers()


def test_a_socket_on_which_nobody_listens_does_not_settle_it(bare: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(bare / "docker.sock"))
    assert not docker_answers()


def test_the_command_is_asked_where_there_is_no_socket(bare: Path) -> None:
    stand_in(bare, ANSWERS)
    assert docker_answers()
    assert (bare / "bin/docker.args").read_text() == "version --format {{.Server.Version}}\n"


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("variable", ["DOCKER_HOST", "DOCKER_CONTEXT"])
@pytest.mark.parametrize(("script", "expected"), [(ANSWERS, True), (FAILS, False)])
def test_an_engine_that_was_chosen_is_the_one_that_is_asked(
    variable: str, script: str, expected: bool, bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "tcp://far.example:2376")
    stand_in(bare, script)
    assert docker_answers() == expected


def test_no_docker_command_is_no_answer(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bare / "nothing"))
    assert not docker_answers()


def test_a_docker_that_may_not_be_executed_is_no_answer(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(bare, ANSWERS).chmod(0o644)
    monkeypatch.setenv("PATH", f"{bare}/bin")
    assert not docker_answers()


def test_a_docker_that_hangs_is_given_up(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(bare, HANGS)
    monkeypatch.setattr(choose, "ANSWER_DEADLINE_S", 0.2)
    began_s = time.monotonic()
    assert not docker_answers()
    assert time.monotonic() - began_s < 2.0


# -- which engine ----------------------------------------------------------------


def test_docker_is_taken_where_it_answers(bare: Path) -> None:
    stand_in(bare, ANSWERS)
    assert chosen(engine_for, EngineName.AUTO) == (DOCKER, [])


def test_the_embedded_engine_is_taken_where_it_does_not_and_that_is_said(bare: Path) -> None:
    stand_in(bare, FAILS)
    assert chosen(engine_for, EngineName.AUTO) == (LOCAL, [FELL_BACK])


@pytest.mark.parametrize("script", [ANSWERS, FAILS])
def test_an_engine_that_was_named_is_taken_unasked(script: str, bare: Path) -> None:
    stand_in(bare, script)
    assert chosen(engine_for, EngineName.DOCKER) == (DOCKER, [])
    assert chosen(engine_for, EngineName.LOCAL) == (LOCAL, [])
    assert chosen(engines_for, EngineName.DOCKER) == ((DOCKER,), [])
    assert chosen(engines_for, EngineName.LOCAL) == ((LOCAL,), [])
    assert not (bare / "bin/docker.args").exists()


def test_projects_are_looked_for_on_every_engine_that_holds_any(bare: Path) -> None:
    stand_in(bare, ANSWERS)
    assert chosen(engines_for, EngineName.AUTO) == ((DOCKER,), [])
    (bare / "local" / "pair").mkdir(parents=True)
    assert local_is_in_use()
    assert chosen(engines_for, EngineName.AUTO) == ((DOCKER, LOCAL), [])


def test_a_machine_without_docker_is_not_told_of_it_each_time(bare: Path) -> None:
    assert chosen(engines_for, EngineName.AUTO) == ((LOCAL,), [])


def test_a_docker_that_should_be_there_and_does_not_answer_is_told(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(bare, FAILS)
    (bare / "docker.sock").touch()
    assert chosen(engines_for, EngineName.AUTO) == ((LOCAL,), [ONLY_LOCAL])
    (bare / "docker.sock").unlink()
    monkeypatch.setenv("DOCKER_HOST", "tcp://far.example:2376")
    assert chosen(engines_for, EngineName.AUTO) == ((LOCAL,), [ONLY_LOCAL])


def test_a_context_that_does_not_answer_is_told(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(bare, FAILS)
    monkeypatch.setenv("DOCKER_CONTEXT", "far")
    assert chosen(engines_for, EngineName.AUTO) == ((LOCAL,), [ONLY_LOCAL])


# -- folders ---------------------------------------------------------------------

FOLDERS: list[tuple[str, Callable[[], Path], str]] = [
    ("XDG_STATE_HOME", state_folder, ".local/state"),
    ("XDG_CACHE_HOME", cache_folder, ".cache"),
]


@pytest.mark.parametrize(("variable", "folder", "default"), FOLDERS)
def test_folders_follow_the_xdg_specification(
    variable: str,
    folder: Callable[[], Path],
    default: str,
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_home = bare / "home" / default / "orchestrate"
    assert folder() == at_home
    for value, expected in {
        "/elsewhere": Path("/elsewhere/orchestrate"),
        "": at_home,
        "relative": at_home,
        "~/x": at_home,
    }.items():
        monkeypatch.setenv(variable, value)
        assert folder() == expected, value
