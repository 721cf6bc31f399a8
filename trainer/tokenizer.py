"""Text -> token ids: the built-in bytes, or what lies beside a pretrained model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trainer.errors import ModelError


class Tokenizer(Protocol):
    """What the data needs of a tokenizer."""

    @property
    def end_id(self) -> int:
        """The id that ends a document."""
        ...

    def encode(self, text: str) -> Sequence[int]:
        """Ids of a text, without special ones."""
        ...

    def save(self, directory: Path) -> None:
        """Write what transformers' AutoTokenizer loads."""
        ...


class ByteTokenizer:
    """UTF-8 bytes as ids, in the numbering of transformers' ByT5Tokenizer.

    Ids 0, 1, 2 are pad, end, unknown; byte b is b + 3. Encoding needs no import of transformers'
    tokenizers, whose own ByT5 implementation also takes a Python call for every byte.
    """

    vocabulary_size = 259
    end_id = 1
    _offset = 3

    def encode(self, text: str) -> Sequence[int]:
        """Ids of a text, one per byte."""
        ids = np.frombuffer(text.encode(), dtype=np.uint8).astype(np.int64) + self._offset
        numbers: list[int] = ids.tolist()
        return numbers

    def save(self, directory: Path) -> None:
        """Write it as a ByT5Tokenizer."""
        # Imported here because only an export needs it.
        from transformers import ByT5Tokenizer

        ByT5Tokenizer(extra_ids=0).save_pretrained(directory)


class PretrainedTokenizer:
    """The tokenizer of a model directory or hub name."""

    def __init__(self, tokenizer: Any, end_id: int) -> None:
        self._tokenizer = tokenizer
        self.end_id = end_id

    @classmethod
    def load(cls, name: str) -> PretrainedTokenizer:
        """Load from a directory or hub name.

        Raises:
            ModelError: there is no usable tokenizer there.
        """
        from transformers import AutoTokenizer  # seconds that `tiny` does not need

        try:
            tokenizer = AutoTokenizer.from_pretrained(name)
        except (OSError, ValueError) as exc:
            raise ModelError(
                f"cannot load a tokenizer from {name}: {exc}",
                fix="put the model's tokenizer files beside its config.json",
            ) from exc
        if tokenizer.eos_token_id is None:
            raise ModelError(f"the tokenizer of {name} has no end-of-text token")
        return cls(tokenizer, tokenizer.eos_token_id)

    def encode(self, text: str) -> Sequence[int]:
        """Ids of a text, without special ones."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def save(self, directory: Path) -> None:
        """Write it as it was loaded."""
        self._tokenizer.save_pretrained(directory)
