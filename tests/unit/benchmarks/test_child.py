"""A command that is timed either did its work or is told apart; none outlives its deadline."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.child import BenchmarkFailed, Place, place_in, time_command
from tests.waiting import wait_until


def test_the_time_is_that_of_the_whole_command(tmp_path: Path) -> None:
    took_s = time_command(
        [sys.executable, "-c", "import time; time.sleep(0.2)"], place_in(tmp_path)
    )

    assert took_s >= 0.2


def test_a_failure_is_not_a_time(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed) as raised:
        time_command(["sh", "-c", "echo why not; exit 3"], place_in(tmp_path))

    assert str(raised.value) == "exit code 3: sh -c echo why not; exit 3\nwhy not"


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkFailed) as raised:
        time_command(["no-such-command"], place_in(tmp_path))

    assert str(raised.value) == "no-such-command cannot be started: No such file or directory"


def test_what_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    script = f"sleep 60 & echo $! >{tmp_path}/pid; wait"

    with pytest.raises(BenchmarkFailed) as raised:
        time_command(["sh", "-c", script], place_in(tmp_path), deadline_s=0.5)

    grandchild = int((tmp_path / "pid").read_text())
    assert str(raised.value).startswith("no end after 0.5 s: sh -c sleep 60")
    wait_until(lambda: not _runs(grandchild))  # killed, it ends when it is given the processor


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_nothing_is_left_outside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("XDG_STATE_HOME", "/elsewhere")

    place = place_in(tmp_path)

    expected = dict(os.environ) | {
        "XDG_STATE_HOME": f"{tmp_path}/state",
        "XDG_CACHE_HOME": f"{tmp_path}/cache",
        "PYTHONPYCACHEPREFIX": f"{tmp_path}/bytecode",
    }
    del expected["PYTHONDONTWRITEBYTECODE"]
    assert place == Place(tmp_path, expected)
