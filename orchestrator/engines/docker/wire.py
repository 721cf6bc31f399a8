"""Questions to a Docker engine over its Unix socket, and what becomes of bad answers."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec import Struct

from orchestrator.engines.docker.cli import to_error
from orchestrator.engines.docker.frames import NotFrames
from orchestrator.engines.docker.http_codec import Answer, NotHttp, request
from orchestrator.engines.lines import CHUNK_BYTES
from orchestrator.errors import EngineFailed, EngineUnavailable, OrchestrateError

BODY_BYTES = 64 * 1024 * 1024
"""An answer that is no log; thousands of containers take a few megabytes."""

OK = 200


class Errand(Struct, frozen=True):
    """Whom to ask, what it is for, and how long the engine may be waited for altogether."""

    path: Path
    doing: str
    deadline_s: float

    def late(self) -> EngineUnavailable:
        """The error for what did not come by the deadline."""
        return EngineUnavailable(
            f"{self.doing}: docker did not answer within {self.deadline_s:g} s",
            fix="see whether the engine is overloaded or hangs (`docker info`)",
        )


class Wire:
    """A connection that carries question after question, until one fails.

    Its deadline counts the time spent waiting for the engine, and not what the caller does
    in between: a log may be paged through for hours.
    """

    def __init__(self, client: socket.socket, errand: Errand) -> None:
        self.client = client
        self.server = b""  # what gave the last answer, as it calls itself
        self._errand = errand
        self._left_s = errand.deadline_s

    @property
    def is_late(self) -> bool:
        """True when the engine has been waited for as long as the errand allows."""
        return self._left_s <= 0

    def connect(self) -> None:
        """Make the connection. Raises EngineUnavailable."""
        with self._waiting():
            try:
                self.client.connect(str(self._errand.path))
            except TimeoutError:
                raise
            except OSError as exc:
                raise _refused(exc, self._errand) from exc

    def ask(self, target: str, *, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
        """One question and its whole answer: the status and the body."""
        self.send(target, method=method, body=body)
        return self.answer()

    def answer(self) -> tuple[int, bytes]:
        """The whole answer to the question that was sent: the status and the body."""
        answer, given = Answer(), bytearray()
        while not answer.is_whole:
            given += self.receive(answer)
            if len(given) > BODY_BYTES:
                raise EngineFailed(f"{self._errand.doing}: docker's answer has no end")
        self.server = answer.server
        return answer.status, bytes(given)

    def send(self, target: str, *, method: str = "GET", body: bytes = b"") -> None:
        """Send one question. Raises EngineUnavailable."""
        with self._waiting():
            self.client.sendall(request(method, target, body))

    def receive(self, answer: Answer) -> bytes:
        """Wait for an answer's next bytes; give those of the body.

        Raises:
            EngineUnavailable: nothing came by the deadline (`is_late`), or the engine closed
                the connection before it had answered.
            EngineFailed: what came is no answer of an engine.
        """
        with self._waiting():
            data = self.client.recv(CHUNK_BYTES)
        with no_engine(self._errand):
            body = answer.feed(data)
        if not data:
            self._end(answer)
        return body

    def _end(self, answer: Answer) -> None:
        answer.end()
        if not answer.is_whole:
            raise EngineUnavailable(
                f"{self._errand.doing}: docker closed the connection before it had answered",
                fix=_WHY_CLOSED,
            )

    @contextmanager
    def _waiting(self) -> Iterator[None]:
        if self.is_late:
            raise self._errand.late()
        self.client.settimeout(self._left_s)
        began_s = time.monotonic()
        try:
            yield
        except TimeoutError as exc:
            self._left_s = 0.0
            raise self._errand.late() from exc
        except ConnectionError as exc:
            raise EngineUnavailable(
                f"{self._errand.doing}: docker closed the connection", fix=_WHY_CLOSED
            ) from exc
        finally:
            self._left_s -= time.monotonic() - began_s


_WHY_CLOSED = "see whether the engine was stopped (`docker info`)"


@contextmanager
def connected(errand: Errand) -> Iterator[Wire]:
    """A wire for as long as the block lasts. Raises EngineUnavailable."""
    with socket.socket(socket.AF_UNIX) as client:
        wire = Wire(client, errand)
        wire.connect()
        yield wire


@contextmanager
def no_engine(errand: Errand) -> Iterator[None]:
    """Type what the parsers of answers raise inside the block."""
    try:
        yield
    except (NotHttp, NotFrames) as exc:
        raise EngineFailed(
            f"{errand.doing}: what listens on {errand.path} is no Docker engine: it gave {exc}",
            fix="see DOCKER_HOST",
        ) from exc


def _refused(error: OSError, errand: Errand) -> OrchestrateError:
    why = (error.strerror or str(error)).lower()
    # The command's own words: they are what `to_error` knows.
    said = f"Cannot connect to the Docker daemon: dial unix {errand.path}: {why}"
    return to_error(said, errand.doing)


def refusal(status: int, body: bytes, doing: str) -> OrchestrateError:
    """The error for an answer with another status than OK."""
    text = body.decode(errors="replace")
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    message = found.get("message") if isinstance(found, dict) else None
    why = message or text.strip() or f"HTTP status {status}"
    return to_error(f"Error response from daemon: {why}", doing)
