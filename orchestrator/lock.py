"""One apply or destroy at a time per project and engine, by a lock that the kernel frees."""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from orchestrator.errors import Locked, OrchestrateError


@contextmanager
def project_lock(folder: Path, engine: str, project: str, *, doing: str) -> Iterator[None]:
    """Hold the project's lock for the block; the process' end frees it, however it ends.

    Args:
        folder: where lock files lie; created when missing.
        engine: name of the engine.
        project: name of the project.
        doing: the verb that asks, shown to whoever is refused.

    Raises:
        Locked: somebody else holds it; says who and since when.
    """
    path = folder / f"{engine}-{project}.lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as exc:
        raise OrchestrateError(
            f"the lock {path} cannot be opened: {exc.strerror}",
            fix="make its folder writable, or set XDG_STATE_HOME",
        ) from exc
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise Locked(
                f"project {project} is being changed by {_holder(path)}",
                fix="wait for it to end, or end it (Ctrl-C there, or `kill` it)",
            ) from exc
        _sign(path, doing)
        yield


def _sign(path: Path, doing: str) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    path.write_text(json.dumps({"pid": os.getpid(), "doing": doing, "since": since}))


def _holder(path: Path) -> str:
    try:
        said = json.loads(path.read_text())
        return f"`orchestrate {said['doing']}` (process {said['pid']}, since {said['since']})"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
