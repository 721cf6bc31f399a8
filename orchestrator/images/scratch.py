"""The cache folder of image builds: one build at a time, and nothing half done left in it."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from orchestrator.errors import ImageUnavailable
from orchestrator.images.failures import io_failure

_POLL_S = 0.2
_SAY_EVERY_S = 10.0


@contextmanager
def exclusive_scratch(
    cache: Path, deadline_s: float, on_line: Callable[[str], None]
) -> Iterator[Path]:
    """Give one build an empty scratch folder in the cache, gone afterwards.

    The kernel frees the lock when its holder dies, so whoever holds it may clear what a killed
    build has left.

    Args:
        cache: the cache folder; made when missing.
        deadline_s: how long to wait for another build, in seconds.
        on_line: told that there is a wait, every ten seconds.

    Raises:
        ImageUnavailable: the folder cannot be written, or the wait was too long.
        OutOfSpace: its disk is full.
    """
    scratch = cache / "scratch"
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / "lock").open("ab")
    except OSError as exc:
        raise io_failure(f"opening the image cache {cache}", exc) from exc
    with lock:
        _wait_for(lock, deadline_s, on_line)
        shutil.rmtree(scratch, ignore_errors=True)
        try:
            scratch.mkdir()
        except OSError as exc:
            raise io_failure(f"using the image cache {cache}", exc) from exc
        try:
            yield scratch
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _wait_for(lock: BinaryIO, deadline_s: float, on_line: Callable[[str], None]) -> None:
    started = said_at = time.monotonic()
    while not _try_lock(lock):
        now = time.monotonic()
        if now - started > deadline_s:
            raise ImageUnavailable(
                f"another image build has held {lock.name} for {deadline_s:g} s",
                fix="wait for it or end it",
            )
        if said_at == started or now - said_at > _SAY_EVERY_S:
            said_at = now
            on_line("waiting for another image build")
        time.sleep(_POLL_S)


def _try_lock(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
