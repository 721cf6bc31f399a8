"""Sharded checkpoints: a directory is complete or it does not bear a checkpoint's name."""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.checkpoint.state_dict_loader import load as load_shards
from torch.distributed.checkpoint.state_dict_saver import save as save_shards
from torch.optim import Optimizer

from trainer.errors import CheckpointError
from trainer.group import synchronise

_NAME = re.compile(r"step-(\d{8})")
_PROGRESS = "progress.json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """What must be the same for a resumed run to continue the loss curve of the saved one."""

    seed: int  # with the step it also gives the random state: see `seed_step`
    sequence_length: int
    global_batch_size: int
    data_sha256: str  # of the token ids
    parameters: int


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a checkpoint stands; the world that continues it may be another one."""

    step: int  # completed; step * global_batch_size is the position in the data
    loss: float | None  # of that step; None before the first
    world_size: int
    parallel: str
    recipe: Recipe


def seed_step(seed: int, step: int, rank: int) -> None:
    """Make the random state of a step a function of these three.

    So a checkpoint holds the random state by holding seed and step, and a run resumed with
    another number of ranks has one too.
    """
    torch.manual_seed((seed * 1_000_003 + step) * 65_537 + rank)


def find_latest(directory: Path) -> Path | None:
    """The newest complete checkpoint of a directory, as rank 0 sees it; the same on all ranks."""
    found: list[Path | None] = [None]
    if dist.get_rank() == 0:
        found = [max(_complete(directory), default=None)]
    dist.broadcast_object_list(found, src=0, device=torch.device("cpu"))
    return found[0]


def path_of(root: Path, step: int) -> Path:
    """Where the complete checkpoint of a step lies."""
    return root / f"step-{step:08}"


def save(root: Path, progress: Progress, model: nn.Module, optimizer: Optimizer) -> Path:
    """Write one checkpoint, on all ranks together, and return its directory.

    Shards go to a directory that `find_latest` does not look at; rank 0 renames it when every
    rank's files are on disk. Whatever dies before that leaves no checkpoint, and the next save of
    the same step clears it away.

    Raises:
        CheckpointError: the ranks do not share the directory, or it cannot be written.
    """
    target = path_of(root, progress.step)
    partial = root / f".{target.name}.partial"
    try:
        _prepare(partial)
        weights, moments = get_state_dict(model, optimizer)
        save_shards({"model": weights, "optimizer": moments}, checkpoint_id=partial)
        if dist.get_rank() == 0:
            _publish(partial, target, progress)
    except (OSError, CheckpointException) as exc:
        raise CheckpointError(
            f"cannot write {target}: {exc}", fix="give --checkpoint-dir a directory with room"
        ) from exc
    synchronise()
    return target


def load(path: Path, recipe: Recipe, model: nn.Module, optimizer: Optimizer) -> Progress:
    """Put a checkpoint's weights and optimizer state into the two, resharded where needed.

    Raises:
        CheckpointError: it was made by another recipe, or cannot be read by this rank.
    """
    progress = _read_progress(path)
    _check_recipe(path, progress.recipe, recipe)
    weights, moments = get_state_dict(model, optimizer)
    try:
        load_shards({"model": weights, "optimizer": moments}, checkpoint_id=path)
    except (OSError, CheckpointException) as exc:
        raise CheckpointError(
            f"cannot read {path}: {exc}", fix="remove it to go on from the one before"
        ) from exc
    set_state_dict(model, optimizer, model_state_dict=weights, optim_state_dict=moments)
    return progress


def _complete(directory: Path) -> list[Path]:
    if not directory.is_dir():
        return []
    return [
        path
        for path in directory.iterdir()
        if _NAME.fullmatch(path.name) and (path / _PROGRESS).is_file()
    ]


def _prepare(partial: Path) -> None:
    """An empty directory that every rank sees."""
    if dist.get_rank() == 0:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
    synchronise()
    if not partial.is_dir():
        raise CheckpointError(
            f"rank {dist.get_rank()} does not see {partial}, which rank 0 made",
            fix="mount one directory as --checkpoint-dir into all nodes",
        )


def _publish(partial: Path, target: Path, progress: Progress) -> None:
    with (partial / _PROGRESS).open("w", encoding="utf-8") as file:
        json.dump(asdict(progress), file, indent=2)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(target)
    root = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(root)  # the rename itself survives a power cut
    finally:
        os.close(root)


def _read_progress(path: Path) -> Progress:
    try:
        values = json.loads((path / _PROGRESS).read_text(encoding="utf-8"))
        return Progress(**{**values, "recipe": Recipe(**values["recipe"])})
    except (OSError, ValueError, TypeError, KeyError) as exc:
        raise CheckpointError(
            f"cannot read {path / _PROGRESS}: {exc}",
            fix="mount one directory as --checkpoint-dir into all nodes, or remove this checkpoint",
        ) from exc


def _check_recipe(path: Path, saved: Recipe, wanted: Recipe) -> None:
    was, now = asdict(saved), asdict(wanted)
    changed = [f"{name} was {was[name]}, is {now[name]}" for name in was if was[name] != now[name]]
    if changed:
        raise CheckpointError(
            f"{path} does not continue this run: {', '.join(changed)}",
            fix="use the same flags and data, or start anew in another --checkpoint-dir",
        )
