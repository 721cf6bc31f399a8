"""The log of one build: every line in a file, the telling ones for who waits."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from msgspec import Struct

from orchestrator.images.failures import io_failure

_LOGS_KEPT = 10
# The command line says this on every build without buildx; it is no news for who builds.
_NOISE = re.compile(
    r"^DEPRECATED: The legacy builder|Install the buildx component|docs\.docker\.com/go/buildx"
    r"|BuildKit is currently disabled|^ +environment-variable\.$"
    r"|^#\d+ sha256:|^ ---> |^Removing intermediate container"
)


class BuildLog(Struct, frozen=True):
    """Where the lines of one build go."""

    path: Path
    _file: TextIO
    _on_line: Callable[[str], None]

    def say(self, line: str) -> None:
        """Record a line and hand it to who waits, unless it is noise."""
        self.record(line)
        if not _NOISE.search(line):
            self._on_line(line)

    def record(self, line: str) -> None:
        """Record a line in the file alone."""
        try:
            print(line, file=self._file, flush=True)
        except OSError as exc:
            raise io_failure(f"writing {self.path}", exc) from exc


@contextmanager
def open_build_log(folder: Path, tag: str, on_line: Callable[[str], None]) -> Iterator[BuildLog]:
    """Open the log of a new build; the oldest files beyond ten are removed.

    Args:
        folder: where the logs lie; made when missing.
        tag: the image's name; part of the file's name.
        on_line: gets progress lines.

    Raises:
        OrchestrateError: the folder cannot be written, or is full.
    """
    name = re.sub(r"[^A-Za-z0-9._-]", "-", tag)
    path = folder / f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{name}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for old in sorted(folder.glob("*.log"))[: -_LOGS_KEPT + 1]:
            old.unlink(missing_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as exc:
        raise io_failure(f"opening the build log {path}", exc) from exc
    with file:
        yield BuildLog(path, file, on_line)
