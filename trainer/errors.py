"""What the trainer raises on purpose: one root, what is wrong and how to mend it."""

from __future__ import annotations


class TrainerError(Exception):
    """Root of everything the trainer raises on purpose.

    Args:
        what: what is wrong, one sentence without a full stop.
        fix: what the reader can do about it, one sentence, or empty.
    """

    exit_code = 1

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what


class UsageError(TrainerError):
    """An argument or an environment variable is wrong; nothing was started."""

    exit_code = 2


class GroupError(TrainerError):
    """The process group formed, but not as the environment says."""


class DataError(TrainerError):
    """The training text is missing, malformed or too short."""


class ModelError(TrainerError):
    """The model or its tokenizer cannot be loaded or does not fit the data."""


class CheckpointError(TrainerError):
    """A checkpoint cannot be written, found or continued from."""


class NonFiniteError(TrainerError):
    """Loss or gradient norm became NaN or infinite."""
