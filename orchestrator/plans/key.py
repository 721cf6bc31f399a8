"""The key of the digests in a plan file: who has the file alone can test no guess with it.

A digest of a short secret is as good as the secret to who can try all of them. With a key
that stays on this machine it tells nothing, and still changes when the secret does.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from orchestrator.errors import FolderUnusable

_NUM_BYTES = 32


def plan_key(folder: Path) -> bytes:
    """This account's key, made when there is none; of two who make it at once, one wins.

    Raises:
        FolderUnusable: it cannot be written or read, or is damaged.
    """
    path = folder / "plan.key"
    try:
        if not path.exists():
            _make(path)
        key = path.read_bytes()
    except OSError as exc:
        raise _unusable(f"{path} cannot be used: {exc.strerror}") from exc
    if len(key) != _NUM_BYTES:
        raise _unusable(f"{path} is damaged")
    return key


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.urandom(8).hex()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(os.urandom(_NUM_BYTES))
        with suppress(FileExistsError):
            os.link(part, path)  # whole or not at all, and never over another's
    finally:
        part.unlink()


def _unusable(what: str) -> FolderUnusable:
    fix = "remove it, and make kept plans anew; or set XDG_STATE_HOME"
    return FolderUnusable(f"the key of plan files {what}", fix=fix)
