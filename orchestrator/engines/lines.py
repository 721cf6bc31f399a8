"""Bytes in, lines out, never holding more than one bounded piece of an unfinished line."""

from __future__ import annotations

from collections.abc import Generator, Iterator

from orchestrator.loglines import LINE_BYTES

CHUNK_BYTES = 64 * 1024


class LineCutter:
    """Cuts one stream into lines of at most LINE_BYTES.

    Each piece comes as `(text, continued)`: without its line end, and `continued` for
    every piece of a line but the first. Joining a line's pieces gives the line.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._continues = False

    def feed(self, chunk: bytes) -> Iterator[tuple[bytes, bool]]:
        """Take a chunk, give the lines it completes and the pieces it fills."""
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            last = yield from self._full_pieces(line)
            yield last, self._continues
            self._continues = False
        self._rest = yield from self._full_pieces(self._rest)

    def finish(self) -> Iterator[tuple[bytes, bool]]:
        """Give what is left when the stream ends without a line end."""
        if self._rest:
            yield self._rest, self._continues
        self._rest, self._continues = b"", False

    def _full_pieces(self, text: bytes) -> Generator[tuple[bytes, bool], None, bytes]:
        """Give pieces while `text` is too long for one; returns what is left of it."""
        while len(text) > LINE_BYTES:
            yield text[:LINE_BYTES], self._continues
            text, self._continues = text[LINE_BYTES:], True
        return text
