"""The engine's log stream: frames of stdout and stderr, each a record of a log. Pure.

A frame is a header of 8 bytes (the source, three zeros, the length in big endian) and one
record: a line, or a piece of one that is longer than a record holds, behind the engine's
time if times were asked for. Seen on Docker 20.10; the format is that of the engine's API,
"Attach to a container", stream format.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from orchestrator.engines.docker.inspection import parse_time
from orchestrator.engines.lines import LineCutter
from orchestrator.loglines import LogLine

FRAME_BYTES = 4 * 1024 * 1024
"""A record is 16 KiB at most by default; what claims to be this long is no frame."""

COMPLAINT = 3
"""The source of frames in which the engine itself says what went wrong with the log."""

_HEADER = struct.Struct(">B3sI")
_STAMP_BYTES = 40  # an RFC 3339 time with nanoseconds and a zone fits


class NotFrames(ValueError):
    """The bytes are not the frames of a log."""


class Frames:
    """Bytes of a stream in, its frames out, holding at most one unfinished frame."""

    def __init__(self) -> None:
        self._rest = b""

    @property
    def is_between(self) -> bool:
        """True when no frame is cut in the middle."""
        return not self._rest

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Take a chunk, give the frames it completes: source and content. Raises NotFrames."""
        data, at = self._rest + data, 0
        while len(data) - at >= _HEADER.size:
            source, zeros, length = _HEADER.unpack_from(data, at)
            if source > COMPLAINT or any(zeros) or length > FRAME_BYTES:
                raise NotFrames(f"no header of a frame: {data[at : at + _HEADER.size]!r}")
            begin = at + _HEADER.size
            if len(data) < begin + length:
                break
            at = begin + length
            yield source, data[begin:at]
        self._rest = data[at:]


class StampedRecords:
    """Records with a time in front in, the lines of one node out, holding a bounded rest."""

    def __init__(self, node_rank: int) -> None:
        self._node_rank = node_rank
        self._cutter = LineCutter()
        self._at_s = 0.0

    def feed(self, record: bytes) -> Iterator[LogLine]:
        """Take one record, give the lines it completes. What has no time is text from its start."""
        stamp, space, text = record.partition(b" ")
        is_short = bool(space) and len(stamp) <= _STAMP_BYTES
        at_s = parse_time(stamp.decode(errors="replace")) if is_short else None
        if at_s is not None:
            self._at_s = at_s
        for piece, continued in self._cutter.feed(record if at_s is None else text):
            yield LogLine(self._node_rank, self._at_s, piece, continued)

    def finish(self) -> Iterator[LogLine]:
        """Give what is left when the log ends without a line end."""
        for piece, continued in self._cutter.finish():
            yield LogLine(self._node_rank, self._at_s, piece, continued)
