"""Waiting for what another process does, without a bound that a busy machine would break."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(reached: Callable[[], object], *, within_s: float = 60.0) -> None:
    """Wait for something to become true; a test for which it does not fails."""
    give_up_at_s = time.monotonic() + within_s
    while not reached():
        assert time.monotonic() < give_up_at_s, f"not reached within {within_s:g} s"
        time.sleep(0.02)
