"""A node's lines -> its records, and the times of its lines, in a file that only grows.

Beside the raw log this is what a judgement needs: the log has every byte and no times. An
entry stands for one line of the log, counted from 0: each record has one, other lines one
where time has moved on, so a flood of text costs ten entries a second. Lines without an
entry came between the times of those around them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from orchestrator.engines.lines import CHUNK_BYTES, LineCutter
from orchestrator.framing import RS
from orchestrator.kept.files import LineFile, log_file, records_file
from orchestrator.loglines import LINE_BYTES, LogEnd, LogLine
from orchestrator.redaction import redacted_document

if TYPE_CHECKING:
    from orchestrator.records import Record, RecordReader

RESOLUTION_S: Final = 0.1
MAX_RECORDS_BYTES: Final = 64 * 1024 * 1024
_MAX_ENTRY_BYTES: Final = 256 * 1024


class StampedNode:
    """Writes the entries of one node; `add` takes what an engine hands over, in its order."""

    def __init__(self, path: Path, node_rank: int) -> None:
        self._file = LineFile(path, max_bytes=MAX_RECORDS_BYTES)
        self._node_rank = node_rank
        self._line = -1
        self._told_at_s = float("-inf")
        self._reader: RecordReader | None = None

    def add(self, item: LogLine | LogEnd) -> None:
        """Take one piece of a line, or the end of the log."""
        if isinstance(item, LogEnd):
            for record in _as_data(self._reader.finish() if self._reader else ()):
                self._add_entry(self._told_at_s, record=redacted_document(record))
            self._file.add({"node_rank": self._node_rank, "end": True})
            return
        self._line += not item.continued
        records = self._records(item)
        for record in records:
            self._add_entry(item.at_s, record=redacted_document(record))
        if not records and item.at_s - self._told_at_s >= RESOLUTION_S:
            self._add_entry(item.at_s)

    def flush(self) -> None:
        """Write what was held back. Raises OSError."""
        self._file.flush()

    def _add_entry(self, at_s: float, **record: object) -> None:
        self._told_at_s = at_s
        entry = {"node_rank": self._node_rank, "line": self._line, "at_s": at_s}
        self._file.add(entry | record)

    def _records(self, item: LogLine) -> list[Any]:
        """The records that this piece completes, as data."""
        if self._reader is None:
            if b"{" not in item.text and RS not in item.text:
                return []
            # By the first line that may hold one: destroy does not pay for pydantic otherwise.
            from orchestrator.records import RecordReader

            self._reader = RecordReader()
        is_full = len(item.text) == LINE_BYTES
        return _as_data(
            self._reader.read(item.text, continued=item.continued, is_full=is_full).records
        )


def _as_data(records: Iterable[Record]) -> list[Any]:
    """Through JSON, which turns a loss that is no number into null."""
    return [json.loads(record.model_dump_json(exclude_unset=True)) for record in records]


def read_entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a file, whatever has become of it: what is none is left out."""
    try:
        with path.open("rb") as file:
            while line := file.readline(_MAX_ENTRY_BYTES):
                if (entry := _entry(line)) is not None:
                    yield entry
    except FileNotFoundError:
        return


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) else None


class KeptNode:
    """What a node wrote, as the engine handed it over, from its log and its times.

    Where the log is missing, or shorter than it was, its records alone; `is_cut` says so once
    all lines were taken.
    """

    def __init__(self, folder: Path, node_rank: int, *, started_at_s: float) -> None:
        self.is_cut = False
        self._log = log_file(folder, node_rank)
        self._entries = _timed(records_file(folder, node_rank))
        self._next = next(self._entries, None)
        self._node_rank = node_rank
        self._at_s = started_at_s

    def lines(self) -> Iterator[LogLine]:
        """The lines in order; those without a time of their own have that of the one before."""
        line = -1
        for text, continued in _pieces(self._log):
            line += not continued
            self._pass_entries(line)
            yield LogLine(self._node_rank, self._at_s, text, continued)
        while self._next is not None:
            self.is_cut = True
            _, at_s, record = self._next
            if record is not None:
                yield LogLine(self._node_rank, at_s, json.dumps(record).encode())
            self._next = next(self._entries, None)

    def _pass_entries(self, line: int) -> None:
        while self._next is not None and self._next[0] <= line:
            self._at_s = self._next[1]
            self._next = next(self._entries, None)


_Timed = tuple[int, float, dict[str, Any] | None]


def _timed(path: Path) -> Iterator[_Timed]:
    for entry in read_entries(path):
        line, at_s, record = (entry.get(key) for key in ("line", "at_s", "record"))
        if isinstance(line, int) and isinstance(at_s, int | float) and isfinite(at_s):
            yield line, float(at_s), record if isinstance(record, dict) else None


def _pieces(log: Path) -> Iterator[tuple[bytes, bool]]:
    cutter = LineCutter()
    if not log.exists():
        return
    with log.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield from cutter.feed(chunk)
    yield from cutter.finish()
