"""A playbook that holds: what the loader gives and the rest of the program starts from."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from orchestrator.playbook.models import Playbook
from orchestrator.playbook.tree import Loc


class LoadedPlaybook(Struct, frozen=True):
    """A playbook that holds, and where it came from.

    Attributes:
        playbook: the models.
        path: the file, absolute; its folder without links.
        digest: `sha256:` and the hexadecimal digest of all that went into it: the file's bytes,
            those of included files and files of variables, `-e`, and what `env()` gave.
        folder: what relative paths in the playbook are relative to; absolute, without links.
        secret: the places of values that hold a secret of the environment.
    """

    playbook: Playbook
    path: Path
    digest: str
    folder: Path
    secret: frozenset[Loc] = frozenset()
