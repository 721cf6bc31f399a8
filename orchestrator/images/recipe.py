"""What an image is built from, and the digest that says whether it changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ImageUnavailable
from orchestrator.images.context import IGNORE_FILE, Entry, Kind, context_entries

LABEL_INPUTS = "orchestrate.build_inputs"


@dataclass(frozen=True, slots=True)
class BuildRecipe:
    """One image to build. All paths are absolute."""

    tag: str
    context: Path
    dockerfile: Path
    args: tuple[tuple[str, str], ...] = ()
    # What the Dockerfile installs with pip; its wheels are what an offline build needs.
    requirements: Path | None = None


def make_recipe(
    tag: str, context: Path, dockerfile: Path, args: Mapping[str, str] | None = None
) -> BuildRecipe:
    """Make a recipe; a `requirements.txt` beside the Dockerfile is taken as what it installs.

    Args:
        tag: the name that the image gets.
        context: the folder that is sent to the builder.
        dockerfile: inside of the context or not.
        args: build arguments, by name.
    """
    beside = dockerfile.resolve().parent / "requirements.txt"
    return BuildRecipe(
        tag=tag,
        context=context.resolve(),
        dockerfile=dockerfile.resolve(),
        args=tuple(sorted((args or {}).items())),
        requirements=beside if beside.is_file() else None,
    )


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
