"""checkpoint_saved: sees what is written by the functions that are commonly used for it."""

from __future__ import annotations

import functools
import os
import time

from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Callable

    from .reporting import Reporter

MAX_RECORDS = 1000

_num_records = 0


def hook(module: ModuleType, name: str, reporter: Reporter) -> None:
    """Put a function around `module.name` that reports what it has written, and where."""
    original = getattr(module, name, None)
    if original is not None:
        setattr(module, name, _reporting(original, reporter))


def _reporting(original: Callable[..., Any], reporter: Reporter) -> Callable[..., Any]:
    @functools.wraps(original)
    def save(*args: Any, **kwargs: Any) -> Any:
        started_s = time.perf_counter()
        result = original(*args, **kwargs)
        _report(reporter, args, kwargs, time.perf_counter() - started_s)
        return result

    return save


@guarded("checkpoint")
def _report(reporter: Reporter, args: Any, kwargs: Any, took_s: float) -> None:
    global _num_records  # noqa: PLW0603  (one process, one count)
    path = _path(args, kwargs)
    if path and reporter.rank is not None and _num_records < MAX_RECORDS:
        _num_records += 1
        reporter.send("checkpoint_saved", path=path[:1000], took_s=round(took_s, 6))


def _path(args: Any, kwargs: Any) -> str:
    """Where it went: the second argument, or the one that is named so; empty for a stream."""
    named = (kwargs.get(name) for name in ("f", "filename", "checkpoint_id"))
    for each in (*args[1:2], *named):
        if isinstance(each, (str, bytes, os.PathLike)):
            return os.fsdecode(each)
    return ""
