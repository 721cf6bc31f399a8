"""Real trainer processes over Gloo on loopback, and what they wrote."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
import runpy
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any, Protocol

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 120
RANK_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "LOCAL_RANK")
SMALL = ("--max-steps", "8", "--sequence-length", "32", "--global-batch-size", "8")

Record = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """Exit code and records of every rank, in the order of ranks."""

    exit_codes: list[int]
    records: list[list[Record]]
    stderr: list[str]

    def losses(self, rank: int = 0) -> dict[int, float]:
        """Loss by step."""
        return {r["step"]: r["loss"] for r in self.records[rank] if r["event"] == "step"}

    def one(self, event: str, rank: int = 0) -> Record:
        """The one record of this event."""
        (found,) = [record for record in self.records[rank] if record["event"] == event]
        return found


class Process(Protocol):
    """The part of Popen that the tests use."""

    def poll(self) -> int | None: ...
    def wait(self, timeout: float) -> int: ...
    def send_signal(self, number: int, /) -> None: ...
    def kill(self) -> None: ...


class Processes:
    """Trainer processes that run; standard output and error go to files of their own."""

    def __init__(self, starters: Sequence[Callable[[Path, Path], Process]]) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="trainer-"))
        self.processes = [
            starter(self._path(number, "out"), self._path(number, "err"))
            for number, starter in enumerate(starters)
        ]

    def _path(self, number: int, kind: str) -> Path:
        return self._folder / f"{number}.{kind}"

    def records(self, number: int) -> list[Record]:
        """The whole lines that a process has written by now; anything but JSON is an error."""
        path = self._path(number, "out")
        text = path.read_text() if path.exists() else ""  # a forked process makes it itself
        assert not text or text.endswith("\n"), text
        return [json.loads(line, parse_constant=_refuse) for line in text.splitlines()]

    def wait_for(self, number: int, wanted: Callable[[Record], bool]) -> None:
        """Return when a process has written such a record."""
        deadline = time.monotonic() + DEADLINE_S
        while not any(wanted(record) for record in self.records(number)):
            assert self.processes[number].poll() is None, self._path(number, "out").read_text()
            assert time.monotonic() < deadline, self.records(number)
            time.sleep(0.05)

    def finish(self) -> Finished:
        """Wait for all; what still runs at the deadline is killed, and that is an error."""
        deadline = time.monotonic() + DEADLINE_S
        try:
            codes = [p.wait(max(0.0, deadline - time.monotonic())) for p in self.processes]
        finally:
            for process in self.processes:
                process.kill()
        numbers = range(len(self.processes))
        records = [self.records(number) for number in numbers]
        stderr = [self._path(number, "err").read_text() for number in numbers]
        shutil.rmtree(self._folder)
        return Finished(codes, records, stderr)


def _refuse(constant: str) -> float:
    raise AssertionError(f"{constant} is not JSON")


def free_port() -> int:
    """A port that the system just gave out and nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**extra: str) -> dict[str, str]:
    """This process's own, without rank variables, one thread a rank, and no hub."""
    kept = {name: value for name, value in os.environ.items() if name not in RANK_VARIABLES}
    kept = {name: value for name, value in kept.items() if not name.startswith("ORCHESTRATE_")}
    return {**kept, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **extra}


def start(world_size: int, *flags: str, **extra: str) -> Processes:
    """One process per rank under plain env://, forked where torch is imported already."""
    port = free_port()
    ranks = [_rank_environment(rank, world_size, port) for rank in range(world_size)]
    return Processes([_forked(flags, {**rank, **extra}) for rank in ranks])


def start_rank(rank: int, world_size: int, port: int, *flags: str) -> Processes:
    """One rank, without the others that it waits for."""
    return Processes([_forked(flags, _rank_environment(rank, world_size, port))])


def _rank_environment(rank: int, world_size: int, port: int) -> dict[str, str]:
    return environment(
        RANK=str(rank),
        WORLD_SIZE=str(world_size),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )


def run(world_size: int, *flags: str, **extra: str) -> Finished:
    """Run all ranks to their end."""
    return start(world_size, *flags, **extra).finish()


def run_command(*argv: str, **extra: str) -> Finished:
    """One command as a user types it, with no rank variables but those given."""
    return Processes([_started(argv, environment(**extra))]).finish()


def run_alone(*flags: str, **extra: str) -> Finished:
    """`python -m trainer` in a fresh interpreter."""
    return run_command(sys.executable, "-m", "trainer", *flags, **extra)


def _started(argv: Sequence[str], env: Mapping[str, str]) -> Callable[[Path, Path], Process]:
    def starter(out: Path, err: Path) -> Process:
        with out.open("wb") as out_file, err.open("wb") as err_file:
            return subprocess.Popen(argv, stdout=out_file, stderr=err_file, env=env, cwd=REPOSITORY)

    return starter


def _forked(flags: Sequence[str], env: Mapping[str, str]) -> Callable[[Path, Path], Process]:
    def starter(out: Path, err: Path) -> Process:
        process = _fork_server().Process(target=_main, args=(flags, env, out, err))
        process.start()
        return Forked(process)

    return starter


class Forked:
    """A process of the fork server with the methods of Popen."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("trainer", timeout)
        return self._process.exitcode

    def send_signal(self, number: int) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()


@functools.cache
def _fork_server() -> ForkServerContext:
    """A process that has imported torch and transformers and forks ranks: 5 s less for each.

    It has one thread, so that forking it is safe, and no process group.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["trainer.train", "pytest"])
    before = dict(os.environ)
    os.environ.update(environment())
    try:
        forkserver.ensure_running()
    finally:
        os.environ.clear()
        os.environ.update(before)
    return context


def _main(flags: Sequence[str], env: Mapping[str, str], out: Path, err: Path) -> None:
    """What a forked process does: become `python -m trainer` with this environment."""
    for path, descriptor in ((out, 1), (err, 2)):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
    os.environ.clear()
    os.environ.update(env)
    sys.argv[1:] = flags
    runpy.run_module("trainer", run_name="__main__", alter_sys=True)


@functools.cache
def cached_run(world_size: int, *flags: str) -> Finished:
    """A run that several tests look at; its flags name no file that a test changes."""
    return run(world_size, *flags)


def run_script(source: str, *arguments: str) -> str:
    """Standard output of a Python program in a process of its own, which must succeed."""
    done = subprocess.run(
        [sys.executable, "-c", source, *arguments],
        env=environment(),
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def largest_difference(one: Mapping[int, float], other: Mapping[int, float]) -> float:
    """Over all steps, which must be the same ones and at least one."""
    assert one.keys() == other.keys()
    return max(abs(one[step] - other[step]) for step in one)
