"""The trained model in the format of transformers' save_pretrained, whole again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from trainer.errors import ModelError
from trainer.group import Rank, synchronise
from trainer.parallel import gather_state
from trainer.tokenizer import Tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def export(
    model: nn.Module, skeleton: PreTrainedModel, tokenizer: Tokenizer, directory: Path, rank: Rank
) -> None:
    """Write weights, configuration and tokenizer; all ranks call it, rank 0 writes.

    Args:
        model: what was trained, spread over the ranks.
        skeleton: the same model before it was spread, without memory: see `make_skeleton`.
        tokenizer: saved beside the weights.
        directory: made where missing; an older export in it is replaced.
        rank: this process.

    Raises:
        ModelError: the directory cannot be written.
    """
    state = gather_state(model, rank)
    if rank.rank == 0:
        try:
            _write(skeleton, state, tokenizer, directory)
        except OSError as exc:
            raise ModelError(
                f"cannot write the export to {directory}: {exc}",
                fix="give --export-dir a directory with room that this user may write",
            ) from exc
    synchronise()


def make_skeleton(model: PreTrainedModel) -> PreTrainedModel:
    """The model's class and configuration without weights.

    Made before spreading, because fully_shard changes the class, and its new name would end up
    in config.json.
    """
    with torch.device("meta"):
        return type(model)(model.config)


def _write(
    skeleton: PreTrainedModel, state: dict[str, Tensor], tokenizer: Tokenizer, directory: Path
) -> None:
    # The directory itself may be a mount point, which cannot be renamed onto: so the files are
    # written inside it and moved one by one, the one that makes it a model last.
    partial = directory / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    (directory / "config.json").unlink(missing_ok=True)
    skeleton.load_state_dict(state, assign=True)
    skeleton.tie_weights()
    skeleton.save_pretrained(partial)
    tokenizer.save(partial)
    for path in sorted(partial.iterdir(), key=lambda path: path.name == "config.json"):
        os.replace(path, directory / path.name)
    partial.rmdir()
