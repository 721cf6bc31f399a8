"""The project's lock, over real processes."""

from __future__ import annotations

import getpass
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import ExitCode, Locked, OrchestrateError
from orchestrator.lock import is_worked_on, project_lock

HOLDER = """
import sys
from pathlib import Path
from orchestrator.errors import Locked
from orchestrator.lock import project_lock
try:
    with project_lock(Path(sys.argv[1]), "docker", "pair", doing=sys.argv[2]):
        print("won", flush=True)
        sys.stdin.read()
except Locked as exc:
    print("lost", exc.what, flush=True)
"""
FIX = "wait for it to end, or end it (Ctrl-C there, or `kill` it)"


@contextmanager
def holding(folder: Path, doing: str = "apply") -> Iterator[subprocess.Popen[str]]:
    """A process that asks for the lock and holds it until its standard input ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder), doing],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield holder
    finally:
        holder.kill()
        holder.communicate(timeout=30)


def first_line(holder: subprocess.Popen[str]) -> str:
    assert holder.stdout is not None
    return holder.stdout.readline().strip()


def refusal(folder: Path, project: str = "pair") -> Locked:
    with pytest.raises(Locked) as caught, project_lock(folder, "docker", project, doing="destroy"):
        pass
    return caught.value


def test_the_second_is_told_who_holds_it_and_since_when(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"
        refused = refusal(tmp_path)
    pattern = (
        r"project pair is being changed by `orchestrate apply` "
        rf"\(process {holder.pid} of {getpass.getuser()}, "
        r"since (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)\)"
    )
    said = re.fullmatch(pattern, refused.what)
    assert said is not None, refused.what
    since_s = time.mktime(time.strptime(said[1], "%Y-%m-%d %H:%M:%S"))
    assert abs(time.time() - since_s) < 60
    assert (refused.fix, refused.exit_code) == (FIX, ExitCode.LOCKED)


def test_the_kernel_frees_it_when_the_holder_is_killed(tmp_path: Path) -> None:
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        with project_lock(tmp_path, "docker", "pair", doing="destroy"):
            said = json.loads((tmp_path / "docker-pair.lock").read_text())
    assert (said["pid"], said["doing"]) == (os.getpid(), "destroy")


def test_it_is_free_after_the_block_and_after_an_error_in_it(tmp_path: Path) -> None:
    with project_lock(tmp_path, "docker", "pair", doing="apply"):
        pass
    with pytest.raises(ZeroDivisionError), project_lock(tmp_path, "docker", "pair", doing="apply"):
        raise ZeroDivisionError
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"


def test_whoever_is_done_leaves_no_name_behind(tmp_path: Path) -> None:
    # Another program may have its process id by the time that somebody looks.
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"
        assert is_worked_on(tmp_path, "docker", "pair")
        holder.communicate(timeout=30)
        assert [file.read_text() for file in tmp_path.iterdir()] == [""]
        assert not is_worked_on(tmp_path, "docker", "pair")


def test_another_project_and_another_engine_have_locks_of_their_own(tmp_path: Path) -> None:
    held = []
    with (
        project_lock(tmp_path, "docker", "pair", doing="apply"),
        project_lock(tmp_path, "docker", "other", doing="apply"),
        project_lock(tmp_path, "local", "pair", doing="apply"),
    ):
        held = sorted(path.name for path in tmp_path.iterdir())
    assert held == ["docker-other.lock", "docker-pair.lock", "local-pair.lock"]


def test_of_twenty_at_once_exactly_one_wins_and_the_others_know_who(tmp_path: Path) -> None:
    num_processes = 20
    racers = []
    try:
        for _ in range(num_processes):
            context = holding(tmp_path)
            racers.append((context, context.__enter__()))
        said = {racer.pid: first_line(racer) for _, racer in racers}
    finally:
        for context, _ in racers:
            context.__exit__(None, None, None)
    winners = [pid for pid, line in said.items() if line == "won"]
    assert len(winners) == 1
    named = f"lost project pair is being changed by `orchestrate apply` (process {winners[0]} of "
    assert [line for line in said.values() if line.startswith(named)] == [
        line for line in said.values() if line != "won"
    ]


UNSIGNED = [
    b"",
    b"{",
    b"[]",
    b"\xff\xfe",
    b'{"pid": 1}',
    b'{"pid": "x", "user": "me", "doing": "apply", "since": "now"}',
    b'{"pid": 4000000000000000000000, "user": "me", "doing": "apply", "since": "now"}',
]


@pytest.mark.parametrize("text", UNSIGNED)
def test_a_holder_that_did_not_sign_is_another_process(tmp_path: Path, text: bytes) -> None:
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"
        (tmp_path / "docker-pair.lock").write_bytes(text)
        assert refusal(tmp_path).what == "project pair is being changed by another process"


def test_a_signature_of_one_who_has_ended_is_not_repeated(tmp_path: Path) -> None:
    with holding(tmp_path, "destroy") as gone:
        assert first_line(gone) == "won"
    old = (tmp_path / "docker-pair.lock").read_text()
    with holding(tmp_path) as holder:
        assert first_line(holder) == "won"
        (tmp_path / "docker-pair.lock").write_text(old)
        assert refusal(tmp_path).what == "project pair is being changed by another process"


def test_a_full_disk_does_not_keep_anybody_from_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with project_lock(tmp_path, "docker", "pair", doing="destroy"):
        refused = refusal(tmp_path)
    assert refused.what == "project pair is being changed by another process"


def test_a_lock_that_cannot_be_opened_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    folder = tmp_path / "file" / "locks"
    with (
        pytest.raises(OrchestrateError) as caught,
        project_lock(folder, "docker", "pair", doing="apply"),
    ):
        pass
    assert (caught.value.what, caught.value.fix) == (
        f"the lock {folder / 'docker-pair.lock'} cannot be opened: Not a directory",
        "make its folder writable, or set XDG_STATE_HOME",
    )
