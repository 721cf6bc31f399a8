"""Secrets as files: written for the nodes that need them, compared, removed with them.

A folder of secrets lies in one that only we may enter; inside it everything may be read, as
a node's user is not known here.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from orchestrator.redaction import learn
from orchestrator.state.spec import Secret

# What a playbook may name; a label may say anything, and must not lead out of the folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}", re.ASCII)


def make_folder(folder: Path) -> None:
    """Make a folder that anybody may read who can get at it."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)  # whatever the umask is: a node's user is seldom ours


def place(folder: Path, secrets: Sequence[Secret]) -> None:
    """Write each secret into the folder, as a file of its name."""
    for secret in secrets:
        path = folder / secret.name
        # Never through a link, and never into a file that somebody else has open.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
        with open(descriptor, "wb") as file:
            file.write(secret.value or b"")
        path.chmod(0o444)


def found(folder: Path, names: Sequence[str]) -> tuple[Secret, ...]:
    """The secrets that are in the folder now, by name; those that cannot be read have no value."""
    return tuple(
        Secret(name, _value(folder / name) if _NAME.fullmatch(name) else None) for name in names
    )


def _value(path: Path) -> bytes | None:
    try:
        value = path.read_bytes()
    except OSError:
        return None
    learn([value])
    return value


def remove(folder: Path) -> None:
    """Remove a folder of ours with all that is in it; gone is no error."""
    with suppress(FileNotFoundError):
        shutil.rmtree(folder)
