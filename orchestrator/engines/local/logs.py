"""Reading the logs of the embedded engine, with bounds on everything.

A log is two files that only grow: the bytes as they came, and an index that says up to
which byte the log went at what time. A line's time is the time of its last byte.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from threading import Event

from msgspec import Struct

from orchestrator.engines.base import OnLog
from orchestrator.engines.lines import CHUNK_BYTES, LineCutter
from orchestrator.engines.local.folders import typed_errors
from orchestrator.engines.local.liveness import is_live
from orchestrator.engines.local.supervisor import (
    EXIT_FILE,
    INDEX_ENTRY,
    INDEX_FILE,
    LOG_FILE,
)
from orchestrator.loglines import LogEnd, LogLine

POLL_S = 0.05

_ENTRIES_PER_TURN = 64
"""At most 4 MiB of one node before the next has its turn and `stop` is looked at."""


class LogSource(Struct, frozen=True):
    """Where a node's log is; `folder` is None for a node that is gone."""

    node_rank: int
    folder: Path | None


class _Tail:
    """One node's log, read from its start as it grows."""

    def __init__(self, source: LogSource, on_log: OnLog) -> None:
        self._source = source
        self._on_log = on_log
        self._log = _open(source.folder, LOG_FILE)
        self._index = _open(source.folder, INDEX_FILE)
        self._log_at = 0
        self._index_at = 0
        self._at_s = 0.0
        self._cutter = LineCutter()

    def has_ended(self) -> bool:
        """True when the node will write no more; ask before reading, not after."""
        folder = self._source.folder
        with typed_errors("following a log"):
            return folder is None or (folder / EXIT_FILE).exists() or not is_live(folder)

    def pump(self) -> bool:
        """Hand over the lines of the next chunks; False when there are none yet."""
        self._open_late()
        wanted = INDEX_ENTRY.size * _ENTRIES_PER_TURN
        entries = _read_at(self._index, wanted, self._index_at)
        whole = len(entries) - len(entries) % INDEX_ENTRY.size
        for end, self._at_s in INDEX_ENTRY.iter_unpack(entries[:whole]):
            self._hand_over(end)
        self._index_at += whole
        return whole > 0

    def finish(self) -> None:
        """Hand over what is left of an ended node's log, then its end."""
        while self.pump():
            pass
        if self._log is not None:
            # A supervisor that was killed may have left a chunk without its time.
            found = os.fstat(self._log)
            if found.st_size > self._log_at:
                self._at_s = found.st_mtime
                self._hand_over(found.st_size)
        self.finish_line()
        self._on_log(LogEnd(self._source.node_rank))

    def finish_line(self) -> None:
        """Hand over an unterminated last line."""
        for text, continued in self._cutter.finish():
            self._on_log(LogLine(self._source.node_rank, self._at_s, text, continued))

    def close(self) -> None:
        """Close the files."""
        for descriptor in (self._log, self._index):
            if descriptor is not None:
                os.close(descriptor)

    def _open_late(self) -> None:
        """A node that is just being started has no log yet."""
        if self._log is None or self._index is None:
            self.close()
            self._log = _open(self._source.folder, LOG_FILE)
            self._index = _open(self._source.folder, INDEX_FILE)

    def _hand_over(self, end: int) -> None:
        while self._log_at < end:
            chunk = _read_at(self._log, min(CHUNK_BYTES, end - self._log_at), self._log_at)
            if not chunk:
                return  # the index promises more than there is
            self._log_at += len(chunk)
            for text, continued in self._cutter.feed(chunk):
                self._on_log(LogLine(self._source.node_rank, self._at_s, text, continued))


def follow(sources: Sequence[LogSource], on_log: OnLog, stop: Event) -> None:
    """Hand over the nodes' lines as they come, until all have ended or `stop` is set."""
    tails = [_Tail(source, on_log) for source in sources]
    following = list(tails)
    try:
        while following and not stop.is_set():
            grown = [_follow_once(tail, following) for tail in list(following)]
            if not any(grown):
                stop.wait(POLL_S)
    finally:
        for tail in tails:
            tail.close()


def _follow_once(tail: _Tail, following: list[_Tail]) -> bool:
    """Give one node its turn; leave it out from now on if it has ended."""
    # Asked before the read: what the node wrote before its end is there by then.
    has_ended = tail.has_ended()
    if tail.pump():
        return True
    if has_ended:
        tail.finish()
        following.remove(tail)
    return False


def read(source: LogSource, on_log: OnLog) -> None:
    """Hand over everything one node has written so far, and its end if it has ended."""
    tail = _Tail(source, on_log)
    try:
        has_ended = tail.has_ended()
        while tail.pump():
            pass
        if has_ended:
            tail.finish()
        else:
            tail.finish_line()
    finally:
        tail.close()


def save(folder: Path, path: Path) -> None:
    """Copy a node's whole output to `path`, atomically; one that never ran gives no bytes."""
    part = path.with_name(f"{path.name}.part")
    try:
        _copy(folder, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _copy(folder: Path, part: Path) -> None:
    try:
        shutil.copyfile(folder / LOG_FILE, part)
    except FileNotFoundError:
        if (folder / LOG_FILE).exists():
            raise  # it is `part` that cannot be made
        part.write_bytes(b"")


def _open(folder: Path | None, name: str) -> int | None:
    if folder is None:
        return None
    with typed_errors("opening a log"):
        try:
            return os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            return None


def _read_at(descriptor: int | None, num_bytes: int, offset: int) -> bytes:
    if descriptor is None:
        return b""
    with typed_errors("reading a log"):
        return os.pread(descriptor, num_bytes, offset)
