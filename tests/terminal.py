"""A program in a real pseudo-terminal, and the screen that a person would see."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pyte

DEADLINE_S = 120.0
"""For whatever is waited for: a machine with a lot to do takes its time."""

# Ctrl-C goes to who owns the terminal. Not in a `preexec_fn`, which is no good beside threads.
_TAKE_THE_TERMINAL = """\
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""

_FULL_CLEAR = (b"\x1b[2J", b"\x1b[3J", b"\x1b[H", b"\x1bc", b"\x1b[?1049h", b"\x1b[?47h")


def _without_size(env: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would count for more than the terminal: whatever loads readline sets it."""
    return {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES"}}


class Terminal:
    """Runs a program in a terminal of its own; `screen` is what it shows.

    Args:
        argv: the program.
        cwd: the folder that it runs in.
        env: all of its variables.
        size: columns and lines.
        deadline_s: for each thing that is waited for.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        cwd: Path,
        env: Mapping[str, str],
        size: tuple[int, int],
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._deadline_s = deadline_s
        self._history = pyte.HistoryScreen(*size, history=10_000, ratio=0.5)
        self._stream = pyte.ByteStream(self._history)
        self.written = b""
        """All that the program has written."""
        self._fd, child_fd = pty.openpty()
        self._set_size(size)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _TAKE_THE_TERMINAL, *argv],
            cwd=cwd,
            env={**_without_size(env), "TERM": "xterm-256color", "PYTHONUTF8": "1"},
            stdin=child_fd,
            stdout=child_fd,
            stderr=child_fd,
            start_new_session=True,
        )
        os.close(child_fd)

    def _set_size(self, size: tuple[int, int]) -> None:
        columns, lines = size
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        self._set_size((columns, lines))
        self._history.resize(lines, columns)

    @property
    def lines(self) -> list[str]:
        """What is on the screen now, without the blanks at the ends of lines."""
        return [line.rstrip() for line in self._history.display]

    @property
    def cells(self) -> list[list[pyte.screens.Char]]:
        """The screen, character by character with its colours; italics stand for what is dim."""
        width = self._history.columns
        return [[line[at] for at in range(width)] for line in map(self._line, range(self._height))]

    def _line(self, number: int) -> dict[int, pyte.screens.Char]:
        line: dict[int, pyte.screens.Char] = self._history.buffer[number]
        return line

    @property
    def _height(self) -> int:
        height: int = self._history.lines
        return height

    @property
    def scrolled(self) -> list[str]:
        """Every line that there is: those that have scrolled out at the top, then the screen."""
        width = self._history.columns
        past = [
            "".join(line[column].data for column in range(width)).rstrip()
            for line in self._history.history.top
        ]
        return [*past, *self.lines]

    @property
    def is_cursor_shown(self) -> bool:
        """True unless the program has hidden it."""
        return not self._history.cursor.hidden

    @property
    def was_cleared(self) -> bool:
        """True if the whole screen was ever erased, or another one was shown."""
        return any(sequence in self.written for sequence in _FULL_CLEAR)

    def wait_for(self, what: Callable[[list[str]], object]) -> list[str]:
        """Read on until the screen is as asked for; what it shows then."""
        until_s = time.monotonic() + self._deadline_s
        while not what(self.lines):
            if not self._read(until_s):
                raise AssertionError("it never came to this:\n" + "\n".join(self.scrolled))
        return self.lines

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the program alone."""
        self.process.send_signal(number)

    def type(self, keys: bytes) -> None:
        """Press keys, such as Ctrl-C as `b"\\x03"`."""
        os.write(self._fd, keys)

    def finish(self) -> int:
        """Read to the end; the program's exit code."""
        until_s = time.monotonic() + self._deadline_s
        while self._read(until_s):
            pass
        return self.process.wait(timeout=self._deadline_s)

    def close(self) -> None:
        """End the program if it still runs."""
        if self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(timeout=self._deadline_s)
        os.close(self._fd)

    def _read(self, until_s: float) -> bool:
        """Take what was written next; False at the end of it, or if it takes too long."""
        left_s = until_s - time.monotonic()
        if left_s <= 0 or not select.select([self._fd], [], [], left_s)[0]:
            return False
        try:
            chunk = os.read(self._fd, 65536)
        except OSError:  # the other end was closed
            return False
        self.written += chunk
        self._stream.feed(chunk)
        return bool(chunk)
