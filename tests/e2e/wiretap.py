"""A Unix socket in front of the Docker engine that notes what the engine is asked."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.waiting import wait_until

_QUESTION = re.compile(rb"^([A-Z]+) (?:/v[0-9.]+)?([^ ?]+)[^ ]* HTTP/1\.[01]\r$", re.MULTILINE)


@contextmanager
def short_folder() -> Iterator[Path]:
    """A folder for sockets: their paths must be shorter than those of tests' own folders."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


class Wiretap:
    """Passes everything on, both ways, and notes the method and path of each question."""

    def __enter__(self) -> Self:
        self._engine = _engine()
        self._heard = b""
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        with ExitStack() as stack:
            self._folder = stack.enter_context(short_folder())
            self._server = stack.enter_context(socket.socket(socket.AF_UNIX))
            self._server.bind(str(self.path))
            self._server.listen(128)
            self._stack = stack.pop_all()
        self._start(self._serve)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.hang_up()
        for thread in self._threads:
            thread.join(timeout=10)
        for each in self._open:
            each.close()
        self._stack.close()

    def hang_up(self) -> None:
        """Be gone, as an engine that was stopped is: no call goes on and none is accepted."""
        for each in (self._server, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self.path.unlink(missing_ok=True)

    @property
    def path(self) -> Path:
        """Where it listens."""
        return self._folder / "tap.sock"

    def environment(self, *, by_command: bool) -> dict[str, str]:
        """What to set so that docker and whatever reads as docker does go past the tap.

        Args:
            by_command: through a docker context, which only the command itself follows.
        """
        host = f"unix://{self.path}"
        if not by_command:
            return {"DOCKER_HOST": host}
        config = ("docker", "--config", str(self._folder))
        create = (*config, "context", "create", "tapped", "--docker", f"host={host}")
        subprocess.run(create, capture_output=True, check=True, timeout=60)
        chosen = {"DOCKER_CONFIG": str(self._folder), "DOCKER_CONTEXT": "tapped"}
        return chosen | {"DOCKER_HOST": ""}  # which would win over the context

    def take(self) -> list[str]:
        """What was asked since the last time, as `METHOD /path` without version and query."""
        asked = self._asked()
        with self._lock:
            self._heard = b""
        return asked

    def wait_for(self, *parts: str) -> None:
        """Wait until a question was asked that holds all the parts."""
        wait_until(lambda: any(all(part in each for part in parts) for each in self._asked()))

    def _asked(self) -> list[str]:
        with self._lock:
            found = _QUESTION.findall(self._heard)
        return [f"{method.decode()} {path.decode()}" for method, path in found]

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                engine = socket.socket(socket.AF_UNIX)
                engine.connect(self._engine)
                self._open += (client, engine)
                self._pump(client, engine, partial(self._hear, engine))
                self._pump(engine, client, partial(self.on_answer, engine))

    def on_question(self, engine: socket.socket, data: bytes) -> None:
        """Told of what goes to the engine, before it does; an OSError cuts the connection."""

    def on_answer(self, engine: socket.socket, data: bytes) -> None:
        """Told of what comes from the engine, before it is passed on; as `on_question`."""

    def _hear(self, engine: socket.socket, data: bytes) -> None:
        with self._lock:
            self._heard += data
        self.on_question(engine, data)

    def _pump(
        self, source: socket.socket, target: socket.socket, tell: Callable[[bytes], None]
    ) -> None:
        def pump() -> None:
            try:
                while data := source.recv(65536):
                    tell(data)
                    target.sendall(data)
            except ConnectionAbortedError:
                _hang_up(source, target)
            except OSError:
                pass
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        self._start(pump)

    def _start(self, work: Callable[[], None]) -> None:
        self._threads.append(threading.Thread(target=work, daemon=True))
        self._threads[-1].start()


def _engine() -> str:
    """The socket of the engine that the tests run against."""
    host = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    scheme, _, path = host.partition("://")
    assert scheme == "unix", f"the tap sits on a Unix socket, and DOCKER_HOST is {host}"
    return path


def _hang_up(*connection: socket.socket) -> None:
    for each in connection:
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
