"""Runs one command and measures its wall-clock time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestrator.errors import ExitCode, OrchestrateError

DEADLINE_S = 300.0


class BenchmarkFailed(OrchestrateError):
    """A contestant did not do its work, so its time would mean nothing."""

    exit_code = ExitCode.NOT_CONVERGED


@dataclass(frozen=True, slots=True)
class Place:
    """Where commands run: a folder of their own, and the environment that keeps them to it."""

    folder: Path
    env: Mapping[str, str]


def place_in(folder: Path) -> Place:
    """A place in which orchestrate leaves nothing outside `folder`.

    Byte code is cached, as it is for every user after the first start, but below
    `folder`: the checkout stays clean, and whoever set PYTHONDONTWRITEBYTECODE does not
    measure the compiler.
    """
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    own = {
        "XDG_STATE_HOME": str(folder / "state"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
    }
    return Place(folder, env | own)


def time_command(argv: Sequence[str], place: Place, *, deadline_s: float = DEADLINE_S) -> float:
    """Run a command to its end.

    Returns:
        Seconds from just before its start to its exit.

    Raises:
        BenchmarkFailed: it is not there, exited with an error, or not by the deadline.
    """
    # A file, not a pipe: nothing must wait for a grandchild that holds its end open.
    with tempfile.TemporaryFile(dir=place.folder) as output:
        began_s = time.perf_counter()
        try:
            child = _start(argv, place, output)
            code = _wait(child, deadline_s)
        except OSError as exc:
            raise BenchmarkFailed(f"{argv[0]} cannot be started: {exc.strerror}") from exc
        except subprocess.TimeoutExpired as exc:
            raise BenchmarkFailed(f"no end after {deadline_s:g} s: {' '.join(argv)}") from exc
        took_s = time.perf_counter() - began_s
        if code != 0:
            raise BenchmarkFailed(f"exit code {code}: {' '.join(argv)}\n{_tail(output)}")
    return took_s


def _start(argv: Sequence[str], place: Place, output: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv,
        cwd=place.folder,
        env=dict(place.env),
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # so that it can be ended with all that it started
    )


def _wait(child: subprocess.Popen[bytes], deadline_s: float) -> int:
    """Wait without looking now and then: `wait(timeout=…)` sleeps up to 50 ms between looks."""
    late = threading.Event()

    def end() -> None:
        late.set()
        _kill(child)

    timer = threading.Timer(deadline_s, end)
    timer.start()
    try:
        code = child.wait()
    except BaseException:  # a Ctrl-C too: no child may go on while the rest is removed
        _kill(child)
        child.wait()
        raise
    finally:
        timer.cancel()
    if late.is_set():
        raise subprocess.TimeoutExpired(child.args, deadline_s)
    return code


def _kill(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read()[-2000:].decode(errors="replace").rstrip()


def orchestrate_program() -> str:
    """The `orchestrate` command of the Python that runs this.

    Raises:
        BenchmarkFailed: it is not installed there.
    """
    program = Path(sys.executable).parent / "orchestrate"
    if not program.exists():
        raise BenchmarkFailed(
            f"there is no {program}", fix="install the project with this Python: pip install -e ."
        )
    return str(program)
