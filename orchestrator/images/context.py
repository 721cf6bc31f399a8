"""The files of a build context, as they reach the builder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import ImageUnavailable
from orchestrator.images.ignorefile import IgnoreFile, Matches, PatternError, parse_ignore_file

IGNORE_FILE = ".dockerignore"
# Run folders and caches of this program: never an input, or every run would make the image stale.
OWN_FOLDER = ".orchestrate"


class Kind(Enum):
    """What an entry is; sockets, pipes and devices never travel."""

    FILE = "f"
    FOLDER = "d"
    LINK = "l"


class Entry(Struct, frozen=True):
    """One file, folder or link that the `.dockerignore` lets in."""

    path: str  # relative to the context, with `/`
    kind: Kind
    executable: bool


def read_ignore_file(context: Path) -> IgnoreFile:
    """Read the `.dockerignore` of a context; none is one that lets everything in.

    Raises:
        ImageUnavailable: it is not text, or holds a line that Docker refuses.
    """
    path = context / IGNORE_FILE
    try:
        return parse_ignore_file(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return IgnoreFile()
    except (OSError, UnicodeDecodeError, PatternError) as exc:
        raise ImageUnavailable(f"{path} cannot be used: {exc}", fix="mend that file") from exc


def context_entries(context: Path) -> list[Entry]:
    """List what the builder is sent, sorted by path.

    Raises:
        ImageUnavailable: the context or a part of it cannot be read.
    """
    ignore = read_ignore_file(context)
    try:
        return sorted(_walk(context, "", ignore, Matches()), key=lambda entry: entry.path)
    except OSError as exc:
        raise ImageUnavailable(
            f"the build context {context} cannot be read: {exc}",
            fix="correct image.build.context, or shut the file out in .dockerignore",
        ) from exc


def _walk(root: Path, folder: str, ignore: IgnoreFile, parent: Matches) -> Iterator[Entry]:
    for item in os.scandir(root / folder):
        path = f"{folder}/{item.name}" if folder else item.name
        if path == OWN_FOLDER:
            continue
        found = ignore.match(path, parent)
        is_folder = item.is_dir(follow_symlinks=False)
        if not found.ignored:
            entry = _entry(path, item.stat(follow_symlinks=False).st_mode)
            if entry is not None:
                yield entry
        if is_folder and (not found.ignored or ignore.may_hold_exceptions(path)):
            yield from _walk(root, path, ignore, found)


def _entry(path: str, mode: int) -> Entry | None:
    executable = bool(mode & stat.S_IXUSR)
    if stat.S_ISREG(mode):
        return Entry(path, Kind.FILE, executable)
    if stat.S_ISDIR(mode):
        return Entry(path, Kind.FOLDER, executable=True)
    if stat.S_ISLNK(mode):
        return Entry(path, Kind.LINK, executable=False)
    return None
