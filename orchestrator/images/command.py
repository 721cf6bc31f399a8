"""Runs one program with its output streamed, bounded and under a deadline."""

from __future__ import annotations

import os
import re
import selectors
import signal
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from msgspec import Struct, field

_MAX_LINE_CHARS = 4000
_MAX_LINES_KEPT = 400
_GRACE_S = 5.0
LINGER_S = 5.0
"""A program that has closed its output is about to end."""

_HEARTBEAT_S = 10.0
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Limits(Struct, frozen=True):
    """How long a program may take. Seconds."""

    deadline_s: float
    first_output_s: float | None = None  # stop when it has said nothing at all by then


class Outcome(Struct, frozen=True):
    """How a program ended."""

    returncode: int
    lines: tuple[str, ...]  # the last lines of standard output and error, as they came
    timed_out: bool = False

    @property
    def ok(self) -> bool:
        """True when it ended by itself and well."""
        return self.returncode == 0 and not self.timed_out

    @property
    def is_mute(self) -> bool:
        """True when it was stopped because it had not said a word."""
        return self.timed_out and not self.lines

    @property
    def text(self) -> str:
        """The last lines as one string."""
        return "\n".join(self.lines)


class _Lines(Struct):
    """Cuts a byte stream into printable lines of bounded length."""

    on_line: Callable[[str], None]
    kept: deque[str] = field(default_factory=lambda: deque(maxlen=_MAX_LINES_KEPT))
    pending: bytes = b""

    def feed(self, chunk: bytes) -> None:
        *whole, self.pending = (self.pending + chunk).replace(b"\r", b"\n").split(b"\n")
        for raw in whole:
            self._emit(raw)
        if len(self.pending) > _MAX_LINE_CHARS:
            self.flush()

    def flush(self) -> None:
        raw, self.pending = self.pending, b""
        self._emit(raw)

    def _emit(self, raw: bytes) -> None:
        text = raw[:_MAX_LINE_CHARS].decode("utf-8", "replace")
        # a build step's output must not steer the reader's terminal; the legacy builder itself
        # paints what a step says on standard error
        plain = _ESCAPE.sub("", text)
        line = "".join(c if c.isprintable() else " " for c in plain).rstrip()
        if line:
            self.kept.append(line)
            self.on_line(line)


def stream(
    argv: Sequence[str],
    limits: Limits,
    on_line: Callable[[str], None],
    env: Mapping[str, str] | None = None,
) -> Outcome:
    """Run a program to its end; hand on each line of output as it comes.

    Whatever ends the wait (the program, a deadline, an exception such as KeyboardInterrupt), no
    process of it is left behind: it runs in a session of its own, which is killed as a whole.

    Args:
        argv: the program and its arguments.
        limits: when to give up.
        on_line: gets each line, control characters replaced, at most 4000 characters; and a sign
            of life after each ten seconds of silence.
        env: variables to set on top of this program's own.

    Raises:
        FileNotFoundError: there is no such program.
    """
    with _session(argv, env) as child:
        lines = _Lines(on_line)
        started = time.monotonic()
        timed_out = not _pump(child, lines, started, limits)
        lines.flush()
        returncode = _end(child, at_once=timed_out, until=started + limits.deadline_s)
    return Outcome(returncode, tuple(lines.kept), timed_out)


@contextmanager
def _session(
    argv: Sequence[str], env: Mapping[str, str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen(
        list(argv),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={**os.environ, **(env or {})},
    )
    try:
        yield child
    finally:
        if child.returncode is None:
            _kill_session(child)
        if child.stdout is not None:
            child.stdout.close()


def _pump(child: subprocess.Popen[bytes], lines: _Lines, started: float, limits: Limits) -> bool:
    """Read until the end of the output; False when a deadline came first."""
    assert child.stdout is not None  # noqa: S101 - PIPE was asked for; tells mypy so
    said_at = started
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ)
        while (left := _left(limits, started, anything_said=bool(lines.kept))) > 0:
            if selector.select(timeout=min(left, _HEARTBEAT_S)):
                chunk = os.read(child.stdout.fileno(), 65536)
                if not chunk:
                    return True
                lines.feed(chunk)
                said_at = time.monotonic()
            elif time.monotonic() - said_at >= _HEARTBEAT_S:
                lines.on_line(f"… still at it, {time.monotonic() - started:.0f} s")
    return False


def _left(limits: Limits, started: float, *, anything_said: bool) -> float:
    """Seconds until the nearest deadline."""
    limit = limits.deadline_s
    if limits.first_output_s is not None and not anything_said:
        limit = min(limit, limits.first_output_s)
    return started + limit - time.monotonic()


def _end(child: subprocess.Popen[bytes], *, at_once: bool, until: float) -> int:
    """Wait for the exit of a child whose output has ended; kill it when it lingers."""
    if not at_once:
        try:
            return child.wait(timeout=min(LINGER_S, max(0.1, until - time.monotonic())))
        except subprocess.TimeoutExpired:
            pass
    _kill_session(child)
    return child.wait()


def _kill_session(child: subprocess.Popen[bytes]) -> None:
    """End the child and all it started, also when the child itself is gone already."""
    # SIGTERM first: docker then tells the engine to give up the build
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(child.pid, signal_number)
            child.wait(timeout=_GRACE_S)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
