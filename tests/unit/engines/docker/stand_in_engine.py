"""A Unix socket that answers as it is told to: well, badly, or not at all."""

from __future__ import annotations

import json
import re
import socket
import struct
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Script = Callable[[socket.socket], bool]
"""Answers one question on a connection; True: and waits there for the next one."""

STAMP = b"2026-11-22T10:57:46.500000000Z "
AT_S = 1795345066.5


def whole(body: object, status: int = 200) -> Script:
    """A JSON answer of a declared length."""
    return raw(head(status, f"Content-Length: {len(_json(body))}") + _json(body), stay=True)


def chunked(*pieces: bytes, last: bytes = b"0\r\n\r\n") -> Script:
    """An answer in chunks, each sent by itself."""
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return raw(head(200, "Transfer-Encoding: chunked"), *chunks, last, stay=last == b"0\r\n\r\n")


def raw(*parts: bytes, stay: bool = False) -> Script:
    """Bytes as they are, then the end of the connection unless told to stay."""

    def answer(client: socket.socket) -> bool:
        for part in parts:
            client.sendall(part)
        return stay

    return answer


def in_turn(*scripts: Script) -> Script:
    """Another answer each time; the last one for good."""
    left = list(scripts)

    def answer(client: socket.socket) -> bool:
        script = left.pop(0) if len(left) > 1 else left[0]
        return script(client)

    return answer


def hang_after(*parts: bytes) -> Script:
    """Bytes, then silence until the other side gives up."""

    def answer(client: socket.socket) -> bool:
        for part in parts:
            client.sendall(part)
        client.recv(1)
        return False

    return answer


def drip(before: bytes, part: bytes, every_s: float) -> Script:
    """The same bytes again and again, far apart, without end."""

    def answer(client: socket.socket) -> bool:
        client.sendall(before)
        pause = threading.Event()
        while not pause.wait(every_s):
            client.sendall(part)
        return False

    return answer


def head(status: int, *headers: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", *headers, "", ""]).encode()


def frame(content: bytes, source: int = 1) -> bytes:
    """One frame of a log."""
    return struct.pack(">BxxxI", source, len(content)) + content


def _json(body: object) -> bytes:
    return json.dumps(body).encode()


@dataclass
class StandInEngine:
    """Listens at `path`; `answers` says what to give for which start of `METHOD target`."""

    path: Path
    answers: dict[str, Script]
    asked: list[str] = field(default_factory=list)
    bodies: list[object] = field(default_factory=list)  # of the questions that had one
    num_connections: int = 0

    def serve(self, server: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = server.accept()
                self.num_connections += 1
                threading.Thread(target=self._converse, args=(client,), daemon=True).start()

    def _converse(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while question := self._question(client):
                self.asked.append(question)
                if not self._script_for(question)(client):
                    return

    def _question(self, client: socket.socket) -> str:
        received = b""
        while b"\r\n\r\n" not in received:
            if not (piece := client.recv(4096)):
                return ""
            received += piece
        top, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: ([0-9]+)", top)
        while len(body) < int(length[1] if length else 0):
            body += client.recv(4096)
        if body:
            self.bodies.append(json.loads(body))
        method, target, _ = top.split(b"\r\n")[0].decode().split(" ")
        return f"{method} {target}"

    def _script_for(self, question: str) -> Script:
        fitting = [start for start in self.answers if question.startswith(start)]
        found = max(fitting, key=len, default=None)
        return self.answers[found] if found else whole({"message": "page not found"}, 404)


@contextmanager
def stand_in_engine(answers: dict[str, Script]) -> Iterator[StandInEngine]:
    """An engine for as long as the block lasts. Its path is short, as a socket's must be."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder) / "engine.sock"
        server.bind(str(path))
        server.listen(128)
        engine = StandInEngine(path, answers)
        thread = threading.Thread(target=engine.serve, args=(server,), daemon=True)
        thread.start()
        try:
            yield engine
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join(timeout=5)


def frames(contents: Sequence[bytes], source: int = 1) -> bytes:
    """Several frames of one source."""
    return b"".join(frame(content, source) for content in contents)
