"""Text file -> packed token blocks -> the rows of a step, the same for every world size."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from trainer.config import DataConfig
from trainer.errors import DataError
from trainer.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Blocks:
    """The whole text as overlapping blocks of sequence_length + 1 tokens.

    Blocks are packed, not padded: every sequence has the same number of targets, so the mean over
    sequences is the mean over tokens. Block b starts at token b * sequence_length; its last token
    is the first of the next, so every token but the first is a target once per epoch.
    """

    tokens: Tensor  # int64, on the CPU, at least sequence_length + 1 of them
    sequence_length: int
    seed: int

    def __len__(self) -> int:
        return (len(self.tokens) - 1) // self.sequence_length

    def sha256(self) -> str:
        """Digest of the token ids: tells a resumed run that its data is the same."""
        return hashlib.sha256(self.tokens.numpy().tobytes()).hexdigest()

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Inputs and targets of samples start..stop-1 of the endless shuffled stream.

        A sample's place depends on the seed alone, so the position in the data is one number.

        Returns:
            Two int64 tensors of shape (stop - start, sequence_length).
        """
        offsets = torch.tensor([self._block(sample) for sample in range(start, stop)])
        places = offsets[:, None] * self.sequence_length + torch.arange(self.sequence_length + 1)
        block = self.tokens[places]
        return block[:, :-1], block[:, 1:]

    def _block(self, sample: int) -> int:
        epoch, index = divmod(sample, len(self))
        return int(_epoch_order(self.seed, epoch, len(self))[index])


@lru_cache(maxsize=2)  # a step can touch two epochs; another one is made again when wanted
def _epoch_order(seed: int, epoch: int, size: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(size, generator=generator)


def load_blocks(config: DataConfig, tokenizer: Tokenizer, seed: int) -> Blocks:
    """Read, tokenize and pack the training text.

    Raises:
        DataError: the file cannot be read, is malformed, or is shorter than one sequence.
    """
    ids: list[int] = []
    for document in _documents(config.path):
        ids.extend(tokenizer.encode(document))
        ids.append(tokenizer.end_id)
    if len(ids) <= config.sequence_length:
        raise DataError(
            f"{config.path} has {len(ids)} tokens, fewer than one sequence and its last target,"
            f" {config.sequence_length + 1}",
            fix="lower --sequence-length or give more text",
        )
    return Blocks(torch.tensor(ids), config.sequence_length, seed)


def _documents(path: Path) -> Iterator[str]:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise DataError(f"cannot read {path}: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise DataError(f"{path} is not UTF-8: byte {exc.start}: {exc.reason}") from exc
    if path.suffix != ".jsonl":
        yield text
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _document(line, f"{path}:{number}")


def _document(line: str, where: str) -> str:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise DataError(f"{where}: not JSON: {exc}") from exc
    if not isinstance(record, dict) or not isinstance(record.get("text"), str):
        raise DataError(f'{where}: not an object with a string under "text"')
    text: str = record["text"]
    return text
