"""HTTP/1.1 as the Docker engine speaks it on its socket. Pure: bytes in, bytes out.

`http.client` would do for the short answers, but not for 64 streams in one thread, and its
import costs more than all questions of an apply. With a declared length or chunks an answer
that was cut short is known for what it is; a log must not be kept by half.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

HEAD_BYTES = 64 * 1024

NO_BODY = frozenset({204, 304})
"""Statuses whose answer ends with its head (RFC 9110, 6.4.1)."""

_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [^\r\n]*)?")
_LENGTH = re.compile(rb"[0-9]{1,15}")
# The line end of the chunk before belongs to what comes before the next one's size.
_CHUNK = re.compile(rb"(?:\r\n)?([0-9a-fA-F]{1,8})(?:;[^\r\n]*)?\r\n")
_LAST_CHUNK = re.compile(rb"(?:\r\n)?0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*\r\n")
_CHUNK_LINE_BYTES = 4096


class NotHttp(ValueError):
    """The bytes are no answer that an HTTP server gives."""


def request(method: str, target: str, body: bytes = b"") -> bytes:
    """A question. `target` is a path with its query, quoted already; `body` is JSON or empty."""
    kind = "Content-Type: application/json\r\n" if body else ""
    length = f"Content-Length: {len(body)}\r\n" if method == "POST" else ""
    head = f"{method} {target} HTTP/1.1\r\nHost: docker\r\n{kind}{length}\r\n"
    return head.encode("ascii") + body


class Answer:
    """One answer, its body decoded as its bytes come, holding a bounded rest.

    `status` is 0 until the head has come; `is_whole` tells that nothing is missing. `server` is
    what answers, as it calls itself in the head; empty where it does not.
    """

    def __init__(self) -> None:
        self.status = 0
        self.server = b""
        self.is_whole = False
        self._rest = b""
        self._is_chunked = False
        self._left: int | None = 0  # bytes of the body or chunk to come; None: until the end

    def feed(self, data: bytes) -> bytes:
        """Take what was received, give what is the body's. Raises NotHttp."""
        self._rest += data
        if not self.status and not self._read_head():
            return b""
        if self.is_whole:
            return b""
        return self._chunks() if self._is_chunked else self._counted()

    def end(self) -> None:
        """The engine has closed the connection: what has no declared length is whole now."""
        self.is_whole |= bool(self.status) and self._left is None

    def _read_head(self) -> bool:
        head, found, rest = self._rest.partition(b"\r\n\r\n")
        if not found:
            if len(head) > HEAD_BYTES:
                raise NotHttp("a head without an end")
            return False
        status, *lines = head.split(b"\r\n")
        match = _STATUS.fullmatch(status)
        if match is None:
            raise NotHttp(f"a first line that is no status: {status[:80]!r}")
        self._rest, self.status = rest, int(match[1])
        headers = _headers(lines)
        self.server = headers.get(b"server", b"")
        if self.status in NO_BODY:
            self.is_whole = True
        else:
            self._expect_body(headers)
        return True

    def _expect_body(self, headers: Mapping[bytes, bytes]) -> None:
        self._is_chunked = headers.get(b"transfer-encoding", b"").lower() == b"chunked"
        length = headers.get(b"content-length")
        if self._is_chunked:
            self._left = 0
        elif length is None:
            self._left = None
        elif _LENGTH.fullmatch(length):
            self._left = int(length)
        else:
            raise NotHttp(f"a length that is no number: {length[:80]!r}")

    def _counted(self) -> bytes:
        body, self._rest = self._rest[: self._left], b""
        if self._left is not None:
            self._left -= len(body)
            self.is_whole = self._left == 0
        return body

    def _chunks(self) -> bytes:
        data, at, left, pieces = self._rest, 0, self._left or 0, []
        while True:
            if left:
                piece = data[at : at + left]
                pieces.append(piece)
                at += len(piece)
                left -= len(piece)
                if left:
                    break
            match = _CHUNK.match(data, at)
            if match is None or not int(match[1], 16):
                break
            at, left = match.end(), int(match[1], 16)
        self._rest, self._left = data[at:], left
        if not left:
            self._look_for_end()
        return b"".join(pieces)

    def _look_for_end(self) -> None:
        self.is_whole = _LAST_CHUNK.match(self._rest) is not None
        if not self.is_whole and len(self._rest) > _CHUNK_LINE_BYTES:
            raise NotHttp(f"a chunk without a size: {self._rest[:80]!r}")


def _headers(lines: list[bytes]) -> dict[bytes, bytes]:
    pairs = (line.partition(b":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
