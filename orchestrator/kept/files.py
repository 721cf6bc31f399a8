"""The files of a kept run: what they are called, and how they are written."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from orchestrator.errors import FolderUnusable, OutOfSpace

PLAYBOOK_FILE: Final = "playbook.yaml"
RUN_FILE: Final = "run.json"
PLAN_FILE: Final = "plan.json"
EVENTS_FILE: Final = "events.jsonl"
USAGE_FILE: Final = "usage.jsonl"
VERDICT_FILE: Final = "verdict.json"

FORMAT: Final = 1
"""Of the folder; raised when a file changes its meaning or goes."""

_PART = re.compile(r"\..+\.([0-9]{1,10})\.part")
_NODE_FILE = re.compile(r"node-([0-9]{1,9})(\.log|\.json|\.records\.jsonl)")


def log_file(folder: Path, node_rank: int) -> Path:
    """What a node wrote, byte for byte."""
    return folder / f"node-{node_rank}.log"


def sidecar_log_file(folder: Path, role: str) -> Path:
    """What a sidecar wrote, byte for byte."""
    return folder / f"{role}.log"


def sidecar_file(folder: Path) -> Path:
    """How the sidecar was found last."""
    return folder / "sidecar.json"


def state_file(folder: Path, node_rank: int) -> Path:
    """How a node was found last."""
    return folder / f"node-{node_rank}.json"


def records_file(folder: Path, node_rank: int) -> Path:
    """A node's records, and when its lines came."""
    return folder / f"node-{node_rank}.records.jsonl"


def rank_of_file(name: str) -> int | None:
    """The rank of the node that a file is about; None for any other file."""
    match = _NODE_FILE.fullmatch(name)
    return int(match[1]) if match else None


@contextmanager
def keeping(what: str, folder: Path, *, then: str) -> Iterator[None]:
    """Give an error of the disk its type; `then` says what was left as it was.

    Raises:
        OutOfSpace: the disk is full.
        FolderUnusable: the folder cannot be written.
    """
    try:
        yield
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutOfSpace(
                f"{what} cannot be kept in {folder}: the disk is full",
                fix=f"free some space and try again; {then}",
            ) from exc
        raise FolderUnusable(
            f"{what} cannot be kept in {folder}: {exc.strerror}",
            fix=f"make that folder writable; {then}",
        ) from exc


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: there is the old one, or the whole new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(path)
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def part_of(path: Path) -> Path:
    """Where a file is written before it is there as a whole: named by who writes it."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def sweep(folder: Path) -> None:
    """Remove the parts of files that were begun in a folder by processes that are no more."""
    for part in folder.glob(".*.part"):
        if (writer := _PART.fullmatch(part.name)) and not _is_there(int(writer[1])):
            with suppress(OSError):  # somebody else sweeps too, or may and we may not
                part.unlink()


def _is_there(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def write_json(path: Path, document: object) -> None:
    """Write a document in one step; it must hold no secret any more."""
    write_text(path, json.dumps(document, indent=1) + "\n")


def json_line(document: object) -> bytes:
    """A document as one line of a file of lines."""
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


def is_complete(path: Path) -> bool:
    """True when a file of a node's lines goes to the end of its log, or up to its bound."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - 256, 0))
            last = json.loads(file.read().splitlines()[-1])
    except (OSError, IndexError, ValueError, RecursionError):
        return False
    return isinstance(last, dict) and (last.get("end") is True or last.get("truncated") is True)


class LineFile:
    """A file that only grows, by whole lines, up to a bound.

    What was added is held back until `flush`, or until it is `HELD_BYTES`: a node that talks
    without end must not cost a write a line.
    """

    HELD_BYTES: Final = 64 * 1024

    def __init__(self, path: Path, *, max_bytes: int) -> None:
        self.path = path
        self._max_bytes = max_bytes
        self._held = bytearray()
        self._num_bytes = path.stat().st_size if path.exists() else 0
        self.is_full = False

    def add(self, document: object) -> None:
        """Add a line; the first one past the bound says that there are more, and is the last."""
        if self.is_full:
            return
        line = json_line(document)
        if self._num_bytes + len(line) > self._max_bytes:
            self.is_full, line = True, json_line({"truncated": True})
        self._held += line
        self._num_bytes += len(line)
        if len(self._held) >= self.HELD_BYTES:
            self.flush()

    def flush(self) -> None:
        """Write what was held back. Raises OSError."""
        if self._held:
            with self.path.open("ab", buffering=0) as file:
                file.write(self._held)
            self._held.clear()
