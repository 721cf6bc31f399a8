"""Runs Python programs as an engine would, with the probe or without, and reads its channel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator import identity
from orchestrator.framing import split_framed
from orchestrator.records import Record, parse_record

SITE = Path(__file__).resolve().parents[3] / "orchestrator" / "probe" / "site"
FAKES = Path(__file__).resolve().parent / "fakes"
RUN_ID = "run-of-tests"
DEADLINE_S = 60.0

_OF_EVERY_RECORD = {"source", "run_id", "pid", "at_s"}
_KEPT = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH"}


@dataclass
class Channel:
    """What came out of the probe: bytes, and the records among them."""

    text: bytes = b""
    changed: threading.Condition = field(default_factory=threading.Condition)

    @property
    def records(self) -> list[Record]:
        """All records, in order. What is framed as one has to be one."""
        found = []
        for line in self.text.split(b"\n")[:-1]:
            framed = split_framed(line)[1]
            if framed is not None:
                record = parse_record(framed)
                assert record is not None, f"no record: {framed!r}"
                assert len(framed) < 4096
                assert (record.source, record.run_id) == ("probe", RUN_ID)
                found.append(record)
        return found

    def of(self, *events: str) -> list[dict[str, Any]]:
        """The records of some kinds, as what they say beyond who says it."""
        return [said(each) for each in self.records if not events or each.event in events]

    def drain(self, pipe: int) -> None:
        """Read to the end."""
        while chunk := os.read(pipe, 65536):
            with self.changed:
                self.text += chunk
                self.changed.notify_all()
        os.close(pipe)

    def wait_for(self, part: bytes) -> None:
        """Return once something was said."""
        with self.changed:
            assert self.changed.wait_for(lambda: part in self.text, DEADLINE_S), self.text


@dataclass
class Outcome:
    """How a program ended, and what it said to whom."""

    code: int
    stdout: str
    stderr: str
    channel: Channel

    @property
    def seen(self) -> tuple[int, str, str]:
        """What a user sees of it: this is what the probe must not change."""
        return self.code, self.stdout, self.stderr


class Program:
    """A program that runs, and reads its standard input when it wants to be let go on."""

    def __init__(self, process: subprocess.Popen[str], channel: Channel) -> None:
        self.process = process
        self.channel = channel

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)


def said(record: Record) -> dict[str, Any]:
    """A record without what every record says, and without what it leaves out."""
    fields = record.model_dump(exclude=_OF_EVERY_RECORD, exclude_defaults=True)
    return {"event": record.event, **{k: v for k, v in fields.items() if k != "event"}}


def environment(probe: bool, torch: bool, path: Sequence[Path]) -> dict[str, str]:
    """What a node's process is given."""
    folders = [*([SITE] if probe else []), *path, *([FAKES] if torch else [])]
    kept = {name: value for name, value in os.environ.items() if name in _KEPT}
    given = {"PYTHONPATH": ":".join(map(str, folders)), "PYTHONDONTWRITEBYTECODE": "1"}
    return {**kept, **given, identity.ENV_RUN_ID: RUN_ID}


@contextmanager
def running(
    *command: str,
    probe: bool = True,
    torch: bool = True,
    path: Sequence[Path] = (),
    env: dict[str, str] | None = None,
) -> Iterator[Program]:
    """Start `python *command`, its output piped, its probe's channel another pipe."""
    reading, writing = os.pipe()
    channel = Channel()
    reader = threading.Thread(target=channel.drain, args=(reading,))
    reader.start()
    environ = environment(probe, torch, path)
    environ[identity.ENV_PROBE_CHANNEL] = f"/proc/{os.getpid()}/fd/{writing}"
    process = subprocess.Popen(
        [sys.executable, *command],
        env={**environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="backslashreplace",
    )
    try:
        yield Program(process, channel)
    finally:
        process.kill()
        process.wait(DEADLINE_S)
        os.close(writing)
        reader.join(DEADLINE_S)
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def run(*command: str, **options: Any) -> Outcome:
    """Run `python *command` to its end. `options` as `running` takes them."""
    with running(*command, **options) as program:
        stdout, stderr = program.process.communicate(timeout=DEADLINE_S)
    return Outcome(program.process.returncode, stdout, stderr, program.channel)


def both(*command: str, **options: Any) -> tuple[Outcome, Outcome]:
    """Run it without the probe and with it."""
    return run(*command, probe=False, **options), run(*command, probe=True, **options)
