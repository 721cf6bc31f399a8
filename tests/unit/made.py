"""Structs for hypothesis, which asks a class for the types of its fields.

Some of those names are imported for mypy alone, and cannot be looked up when the tests run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


def made(kind: type[T]) -> Callable[..., T]:
    """What makes one, and tells nothing of its fields."""

    def make(*args: Any, **fields: Any) -> T:
        return kind(*args, **fields)

    return make
