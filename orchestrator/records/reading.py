"""The records in a node's lines, where a line comes in pieces too. Pure, and bounded."""

from __future__ import annotations

from msgspec import Struct

from orchestrator.framing import RS, split_framed
from orchestrator.records.kinds import Record
from orchestrator.records.parsing import MAX_RECORD_BYTES, parse_record


class Reading(Struct, frozen=True):
    """What one piece of a log is: the script's own text, and the records that it completes."""

    own: bytes
    records: tuple[Record, ...] = ()


class RecordReader:
    """Reads one node's log piece by piece, and holds at most one record that may not be whole.

    A record is a line of JSON alone, as scripts write them, or what follows the last RS of a
    line, as the probe does: after a partial line of the script, in a piece of a line that is
    too long for one, or across the cut between two. It ends with its line.
    """

    def __init__(self) -> None:
        self._begun: bytes | None = None

    def read(self, text: bytes, *, continued: bool = False, is_full: bool = False) -> Reading:
        """Take the next piece.

        Args:
            text: the piece, without its line's end.
            continued: whether it goes on with the line of the piece before.
            is_full: whether it is as long as pieces are, so that its line may go on.
        """
        before = () if continued else self.finish()
        begun, self._begun = self._begun, None
        own, framed = split_framed(text)
        if framed is None and begun is not None:
            own, framed = b"", begun + text
        alone = None if continued else parse_record(text.partition(RS)[0])
        if framed is not None and is_full:
            self._begun = framed if len(framed) <= MAX_RECORD_BYTES else None
        record = parse_record(framed) if framed is not None and not is_full else None
        found = tuple(each for each in (*before, alone, record) if each is not None)
        return Reading(text if record is None else own, found)

    def finish(self) -> tuple[Record, ...]:
        """Say that the line has ended: the record that ends it, if there is one."""
        begun, self._begun = self._begun, None
        record = parse_record(begun) if begun is not None else None
        return () if record is None else (record,)
