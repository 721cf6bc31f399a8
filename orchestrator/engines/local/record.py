"""What the embedded engine writes into a node's folder, and how it is read back.

Every file is checked against its schema. A file that is missing, cut or made by
something else is a value (`None`, `Damaged`), never a traceback: what it means is
decided where the node is observed.
"""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec import Struct

from orchestrator.engines.local.supervisor import EXIT_FILE, NODE_FILE, PROCESS_FILE
from orchestrator.state.desired import RunIdentity
from orchestrator.state.spec import NodeSpec

T = TypeVar("T")

_RECORD_BYTES = 4 * 1024 * 1024
"""Far above any record: a command and its environment stay below the kernel's 2 MiB."""


class NodeRecord(Struct, frozen=True):
    """What a node was started as: all that the labels of a container would hold, and its spec.

    `birth` is random: a node that was removed and started anew is another node.
    """

    format: Literal[1]
    birth: str
    identity: RunIdentity
    spec_hash: str
    spec: NodeSpec


class ProcessRecord(Struct, frozen=True):
    """The node's main process; `start_ticks` is None where there is no /proc."""

    pid: int
    start_ticks: int | None
    started_at_s: float


class ExitRecord(Struct, frozen=True):
    """How a node ended; `exit_code` is 128+n for signal n, `error` what to know besides."""

    exit_code: int
    finished_at_s: float
    error: str


class Damaged(Struct, frozen=True):
    """A record that is there but cannot be believed, and why."""

    why: str


def write_node(folder: Path, record: NodeRecord) -> None:
    """Write the node's record in one step: it is there as a whole or not at all."""
    part = folder / f"{NODE_FILE}.part"
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(msgspec.to_builtins(record), file)
    part.replace(folder / NODE_FILE)


def read_node(folder: Path) -> NodeRecord | Damaged | None:
    """The node's record; None when there is none."""
    return _read(folder / NODE_FILE, NodeRecord)


def read_process(folder: Path) -> ProcessRecord | Damaged | None:
    """The node's main process; None when it was never started."""
    return _read(folder / PROCESS_FILE, ProcessRecord)


def read_exit(folder: Path) -> ExitRecord | Damaged | None:
    """How the node ended; None while it runs, or when its supervisor was killed."""
    return _read(folder / EXIT_FILE, ExitRecord)


def _read(path: Path, kind: type[T]) -> T | Damaged | None:
    try:
        content = _content(path)
    except FileNotFoundError:
        return None
    except (IsADirectoryError, NotADirectoryError):
        return Damaged(f"{path.name} is not a file")
    except OSError as error:
        if error.errno == errno.ELOOP:
            return Damaged(f"{path.name} is a link")
        raise
    if len(content) > _RECORD_BYTES:
        return Damaged(f"{path.name} is too large")
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.DecodeError as error:
        return Damaged(f"{path.name} is damaged: {error}")


def _content(path: Path) -> bytes:
    # Without O_NONBLOCK a pipe of that name would hold us for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as file:
        return file.read(_RECORD_BYTES + 1)
