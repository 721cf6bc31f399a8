"""The records in a node's lines, where a line comes in pieces too. Pure, and bounded."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.framing import RS, split_framed
from orchestrator.records.kinds import Record
from orchestrator.records.parsing import MAX_RECORD_BYTES, parse_record


@dataclass(frozen=True, slots=True)
class Reading:
    """What one piece of a log is: the script's own text, and the records that it completes."""

    own: bytes
    records: tuple[Record, ...] = ()


class RecordReader:
    """Reads one node's log piece by piece, and holds at most one record that is not whole yet.

    A record is a line of JSON alone, as scripts write them, or what follows the last RS of a
    line, as the probe does: after a partial line of the script, in a piece of a line that is
    too long for one, or across the cut between two.
    """

    def __init__(self) -> None:
        self._begun: bytes | None = None

    def read(self, text: bytes, *, continued: bool) -> Reading:
        """Take the next piece; `continued` for every piece of a line but the first."""
        own, framed = split_framed(text)
        if framed is None and continued and self._begun is not None:
            own, framed = b"", self._begun + text
        alone = None if continued else parse_record(text.partition(RS)[0])
        record = parse_record(framed) if framed is not None else None
        may_go_on = record is None and framed is not None and len(framed) <= MAX_RECORD_BYTES
        self._begun = framed if may_go_on else None
        found = tuple(each for each in (alone, record) if each is not None)
        return Reading(text if record is None else own, found)
