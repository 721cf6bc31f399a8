"""The way out for records: a file descriptor of the probe's own, next to the script's.

It is opened anew from ORCHESTRATE_PROBE_CHANNEL, the node's own output, so that it is a file
description apart: not to block is a property of it that the script's descriptors do not
share, and nothing that the script does to its standard output (dup2, close, a redirect by
its launcher) takes it away.
"""

from __future__ import annotations

import errno
import os
import time
from _thread import allocate_lock

ENV_CHANNEL = "ORCHESTRATE_PROBE_CHANNEL"
MAX_QUEUED = 256
HIGH_FD = 700
"""Where the descriptor is moved to if it can: scripts expect the low numbers to be theirs."""

_POLLOUT = 4


class Channel:
    """Writes frames whole, in order, without ever waiting; keeps what does not fit for later."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._queue: list[bytes] = []
        self._lock = allocate_lock()
        self.num_dropped = 0
        self._fd, self._is_own = _open(path)
        self._identity = _identity(self._fd)

    @property
    def fd(self) -> int:
        """The descriptor that frames go to; -1 for none."""
        return self._fd

    def write(self, frame: bytes) -> None:
        """Send a frame now, or keep it until there is room."""
        if len(self._queue) >= MAX_QUEUED:
            self.num_dropped += 1
        else:
            self._queue.append(frame)
        self.pump()

    def pump(self) -> None:
        """Send what is kept, as far as there is room.

        A thread or signal handler that finds another one at it leaves it to that one.
        """
        while self._queue and self._lock.acquire(False):
            try:
                if not self._send(self._queue[0]):
                    return
                del self._queue[0]
            finally:
                self._lock.release()

    def drain(self, within_s: float) -> None:
        """Send what is kept; wait for room, but no longer than that."""
        give_up_at = time.monotonic() + within_s
        self.pump()
        while self._queue and self._fd >= 0 and time.monotonic() < give_up_at:
            time.sleep(0.01)
            self.pump()

    def forget(self) -> None:
        """In a forked child: what is kept is the parent's to send, and its lock may be held."""
        self._queue = []
        self._lock = allocate_lock()

    def _send(self, frame: bytes) -> bool:
        """Write one frame; True when it is done with, be it that there is no way out at all."""
        if not self._is_usable():
            return True
        if not self._is_own and not _has_room(self._fd):
            return False
        try:
            num_written = os.write(self._fd, frame)
        except OSError as error:
            return error.errno not in (errno.EAGAIN, errno.EINTR)
        if num_written < len(frame):  # no pipe, then: a terminal or a socket takes parts
            self._queue[0] = frame[num_written:]
            return False
        return True

    def _is_usable(self) -> bool:
        """See that the descriptor still is what was opened: a script may close any number.

        Writing to a file of the script's that got the number would be far worse than silence.
        """
        if self._fd >= 0 and _identity(self._fd) == self._identity:
            return True
        if self._is_own:
            self._fd, self._is_own = _open(self._path, fallback=False)
            self._identity = _identity(self._fd)
        else:
            self._fd = -1
        return self._fd >= 0


def _open(path: str, *, fallback: bool = True) -> tuple[int, bool]:
    """Open the channel. The second is False for what is shared with the script: its output."""
    try:
        # O_APPEND: should it be a file after all, nothing that is in it is written over.
        flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        return (moved_up(os.open(path, flags)), True) if path else (_of_output(), False)
    except OSError:
        return (_of_output(), False) if fallback else (-1, True)


def _of_output() -> int:
    try:
        return moved_up(os.dup(1))
    except OSError:
        return -1


def moved_up(fd: int) -> int:
    """Give a descriptor a high number if that can be, and not to what is executed."""
    try:
        import fcntl

        high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, HIGH_FD)
    except (ImportError, OSError, ValueError):  # the limit of open files is lower than that
        return fd
    os.close(fd)
    return high


def _identity(fd: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _has_room(fd: int) -> bool:
    """Say whether a frame can be written without waiting, to what cannot be told not to block."""
    try:
        import select

        poll = select.poll()
        poll.register(fd, _POLLOUT)
        return bool(poll.poll(0))
    except (ImportError, OSError, AttributeError):
        return False
