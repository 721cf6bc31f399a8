"""The name and the mark of a reference run: a project of its own beside the one it is for.

It bears the project's owner, has a lock of its own and is found by its labels, like any
other. The mark in the label of its playbook tells it from a project that a user has called
the same.
"""

from __future__ import annotations

import zlib

MARK = " (single process)"
"""Follows the playbook's path in the label of a reference run."""

_SUFFIX = "-reference"
_MAX_NAME = 40


def reference_name(project: str) -> str:
    """What a project's reference run is called: a project's name too, so no longer than one."""
    if len(project) + len(_SUFFIX) <= _MAX_NAME:
        return project + _SUFFIX
    digest = f"-{zlib.crc32(project.encode()):08x}"
    return project[: _MAX_NAME - len(_SUFFIX) - len(digest)] + digest + _SUFFIX


def is_reference(playbook: str) -> bool:
    """True for the label of a reference run."""
    return playbook.endswith(MARK)
