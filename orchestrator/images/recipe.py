"""What an image is built from, and the digest that says whether it changed."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import ImageUnavailable
from orchestrator.images.context import IGNORE_FILE, Entry, Kind, context_entries


class BuildRecipe(Struct, frozen=True):
    """One image to build. All paths are absolute."""

    tag: str
    context: Path
    dockerfile: Path
    args: tuple[tuple[str, str], ...] = ()
    # What the Dockerfile installs with pip; its wheels are what an offline build needs.
    # None: the requirements.txt beside the Dockerfile, where there is one.
    requirements: Path | None = None


def requirements_of(recipe: BuildRecipe) -> Path | None:
    """Return what the Dockerfile installs with pip: as told, else the file beside the Dockerfile.

    Only a build needs it; it is no part of the digest unless the `.dockerignore` lets it in.
    """
    beside = recipe.dockerfile.parent / "requirements.txt"
    if recipe.requirements is None and beside.is_file():
        return beside
    return recipe.requirements


def inputs_digest(recipe: BuildRecipe) -> str:
    """Digest everything that decides what the image holds: `v1:sha256` and 64 hex digits.

    That is the Dockerfile, the `.dockerignore`, every file it lets in (path, executable bit,
    content; a link's target) and the build arguments. Not times of change, not the tag, and not
    how the image is built: the digest stays when the network goes.

    Raises:
        ImageUnavailable: the context or the Dockerfile cannot be read.
    """
    digest = hashlib.sha256()
    entries = context_entries(recipe.context)
    try:
        _add(digest, "dockerfile", recipe.dockerfile.read_bytes())
        _add(digest, "ignore", _read_if_there(recipe.context / IGNORE_FILE))
        for name, value in sorted(recipe.args):
            _add(digest, f"arg {name}", value.encode())
        for entry in entries:
            _add_entry(digest, recipe.context, entry)
    except OSError as exc:
        raise ImageUnavailable(
            f"an input of image {recipe.tag} cannot be read: {exc}",
            fix="correct image.build in the playbook",
        ) from exc
    return f"v1:sha256{digest.hexdigest()}"


def _read_if_there(path: Path) -> bytes:
    return path.read_bytes() if path.is_file() else b""


def _add_entry(digest: hashlib._Hash, context: Path, entry: Entry) -> None:
    path = context / entry.path
    name = f"{entry.kind.value}{'x' if entry.executable else '-'} {entry.path}"
    match entry.kind:
        case Kind.FILE:
            _add(digest, name, path.read_bytes())
        case Kind.LINK:
            _add(digest, name, os.fsencode(os.readlink(path)))
        case Kind.FOLDER:
            _add(digest, name, b"")


def _add(digest: hashlib._Hash, name: str, content: bytes) -> None:
    """Feed one named part; lengths first, so that no two different inputs read the same."""
    encoded = name.encode("utf-8", "surrogateescape")
    digest.update(b"%d %d\n" % (len(encoded), len(content)))
    digest.update(encoded)
    digest.update(content)
