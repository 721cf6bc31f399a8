"""Taking the engine's times out of what `docker logs --timestamps` prints. Pure.

Docker keeps a line as records of at most RECORD_BYTES and prints a time in front of each
record, so also in the middle of a long line, and once more before the line end of a line
whose length is a multiple of RECORD_BYTES [seen on Docker 20.10].
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.engines.docker.inspection import parse_time
from orchestrator.engines.lines import LineCutter
from orchestrator.loglines import LogLine

RECORD_BYTES = 16 * 1024

COMPLAINT_BYTES = 500

_STAMP_BYTES = 40  # an RFC 3339 time with nanoseconds and a zone fits


class StampedLines:
    """Bytes of one container's stamped log in, its lines out, holding a bounded rest.

    A line that does not start with a time is not the node's but docker's own complaint,
    such as that the container has gone; it is left out.
    """

    def __init__(self, node_rank: int) -> None:
        self._node_rank = node_rank
        self._cutter = LineCutter()
        self._rest = b""
        self._room = 0  # bytes until docker puts the next time
        self._starts_line = True
        self._is_complaint = False
        self._at_s = 0.0
        self.complaint = b""
        """The start of what docker said last that was not the node's."""

    def feed(self, chunk: bytes) -> Iterator[LogLine]:
        """Take a chunk, give the lines it completes."""
        data, at = self._rest + chunk, 0
        while at < len(data):
            if self._room == 0:
                found = self._past_stamp(data, at)
                if found is None:
                    break
                at = found
            end = self._text_end(data, at)
            yield from self._lines(data[at:end])
            at = end
        self._rest = data[at:]

    def finish(self) -> Iterator[LogLine]:
        """Give what is left when the stream ends without a line end."""
        # Too short for a time: in the middle of a line it is text, else nothing of the node's.
        if not self._starts_line:
            yield from self._lines(self._rest)
        self._rest = b""
        for text, continued in self._cutter.finish():
            yield LogLine(self._node_rank, self._at_s, text, continued)

    def _past_stamp(self, data: bytes, at: int) -> int | None:
        """Read the time at `at`, if there is one; where the text begins, None: not known yet."""
        stamp, space, _ = data[at : at + _STAMP_BYTES].partition(b" ")
        if not space and b"\n" not in stamp and len(stamp) < _STAMP_BYTES:
            return None
        at_s = parse_time(stamp.decode(errors="replace")) if space else None
        if self._starts_line:
            self._is_complaint = at_s is None
        self._room = RECORD_BYTES
        if at_s is None:
            return at
        self._at_s = at_s
        return at + len(stamp) + 1

    def _text_end(self, data: bytes, at: int) -> int:
        """Where the text that begins at `at` is cut: past its line end, or by the next time."""
        line_end = data.find(b"\n", at, at + self._room)
        if line_end >= 0:
            self._room, self._starts_line = 0, True
            return line_end + 1
        end = min(len(data), at + self._room)
        self._room -= end - at
        self._starts_line = False
        return end

    def _lines(self, text: bytes) -> Iterator[LogLine]:
        if self._is_complaint:
            self.complaint = text[:COMPLAINT_BYTES] if text.strip() else self.complaint
            return
        for piece, continued in self._cutter.feed(text):
            yield LogLine(self._node_rank, self._at_s, piece, continued)
