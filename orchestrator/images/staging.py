"""The folder that a build is sent: what the digest saw, and the wheels of an offline build."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from msgspec import Struct

from orchestrator.images.context import Kind, context_entries
from orchestrator.images.failures import io_failure
from orchestrator.images.recipe import BuildRecipe

WHEELS_FOLDER = "wheels"


class Stage(Struct, frozen=True):
    """What `docker build` is pointed at."""

    context: Path
    dockerfile: Path


def make_stage(recipe: BuildRecipe, dockerfile: str, wheels: Path | None, scratch: Path) -> Stage:
    """Lay out the build context, by hard links where that works.

    Args:
        recipe: names the context.
        dockerfile: the text to build with.
        wheels: a folder of wheels to send along, in `wheels/`.
        scratch: an empty folder, best on the file system of the context or of the wheels.

    Raises:
        ImageUnavailable: the context cannot be read.
        OutOfSpace: the disk of the scratch folder is full.
    """
    stage = Stage(scratch / "context", scratch / "Dockerfile")
    try:
        stage.context.mkdir()
        stage.dockerfile.write_text(dockerfile, encoding="utf-8")
        _lay_out(recipe.context, stage.context)
        if wheels is not None:
            (stage.context / WHEELS_FOLDER).mkdir(exist_ok=True)
            for wheel in wheels.iterdir():
                _put(wheel, stage.context / WHEELS_FOLDER / wheel.name)
    except OSError as exc:
        raise io_failure("laying out the build context", exc) from exc
    return stage


def _lay_out(source: Path, target: Path) -> None:
    for entry in context_entries(source):
        destination = target / entry.path
        # a folder that is shut out itself may hold a file that is let in
        destination.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind is Kind.FOLDER:
            destination.mkdir(exist_ok=True)
        else:
            _put(source / entry.path, destination)


def _put(source: Path, destination: Path) -> None:
    try:
        os.link(source, destination, follow_symlinks=False)
    except FileExistsError:
        return
    except OSError:
        # another file system, or a file of someone else: copying is what is left
        shutil.copy2(source, destination, follow_symlinks=False)
