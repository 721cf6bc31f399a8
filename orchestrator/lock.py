"""One apply or destroy at a time per project and engine, by a lock that the kernel frees."""

from __future__ import annotations

import fcntl
import json
import os
import pwd
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from orchestrator.errors import FolderUnusable, Locked

SIGNING_S = 0.3
"""How long a process that has taken the lock may need to write who it is."""


@contextmanager
def project_lock(folder: Path, engine: str, project: str, *, doing: str) -> Iterator[None]:
    """Hold the project's lock for the block; the process' end frees it, however it ends.

    Args:
        folder: where lock files lie; created when missing.
        engine: what tells the engine from others, see `EngineTraits.lock_name`.
        project: name of the project.
        doing: the verb that asks, shown to whoever is refused.

    Raises:
        Locked: somebody else holds it; says who and since when.
    """
    path = _lock_file(folder, engine, project)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as exc:
        raise FolderUnusable(
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
        try:
            yield
        finally:
            # Its process id may be another's soon; one that is killed leaves it all the same.
            with suppress(OSError):
                file.truncate(0)


def is_worked_on(folder: Path, engine: str, project: str) -> bool:
    """True while another process lives that has taken the project's lock last.

    It takes no lock itself, not even for a moment: that would get in the way of who wants it.
    """
    said = _signed(_lock_file(folder, engine, project))
    return said is not None and said["pid"] != os.getpid()


def _lock_file(folder: Path, engine: str, project: str) -> Path:
    return folder / f"{engine}-{project}.lock"


def _sign(path: Path, doing: str) -> None:
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    # Only a courtesy to whoever is refused: on a full disk, destroy must still go on.
    with suppress(OSError):
        signature = {"pid": os.getpid(), "user": _user(), "doing": doing, "since": since}
        path.write_text(json.dumps(signature))


def _holder(path: Path) -> str:
    """Who holds the lock. Asked for again while a fresh holder has not signed yet."""
    until_s = time.monotonic() + SIGNING_S
    while (holder := _signature(path)) is None and time.monotonic() < until_s:
        time.sleep(0.01)
    return holder or "another process"


def _signature(path: Path) -> str | None:
    """Who holds the lock, in words; None where nobody says so."""
    said = _signed(path)
    if said is None:
        return None
    process = f"process {said['pid']} of {said['user']}, since {said['since']}"
    return f"`orchestrate {said['doing']}` ({process})"


def _signed(path: Path) -> dict[str, Any] | None:
    """What the holder wrote; None if that is nothing, or was written by one who has ended."""
    try:
        said = json.loads(path.read_text())
        whole = {name: said[name] for name in ("pid", "user", "doing", "since")}
        return whole if _runs(said["pid"]) else None
    except (OSError, OverflowError, ValueError, KeyError, TypeError):
        return None


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container's user need not have a name
        return f"user {os.getuid()}"


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it runs as another user
    return True
