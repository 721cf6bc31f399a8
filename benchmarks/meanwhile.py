"""What others did on this machine while a benchmark ran, by the kernel's accounts."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")
IDLE = (3, 4)
"""Of the numbers in /proc/stat's first line, those of no work: idle and iowait."""

TWICE = (8, 9)
"""Those of guests, which are in the first two as well."""


class Meanwhile:
    """Counts the processor time of all but this process and its children, from its making on."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._others_s = _others_s()

    def cores_of_others(self) -> float:
        """How many cores others have kept busy so far. Children count once they have ended."""
        return (_others_s() - self._others_s) / (time.monotonic() - self._began_s)


def _others_s() -> float:
    own = os.times()
    return busy_s(STAT.read_text("ascii"), os.sysconf("SC_CLK_TCK")) - sum(own[:4])


def busy_s(stat: str, ticks_per_s: int) -> float:
    """The processor time of all there is, of a text like /proc/stat."""
    ticks = [int(each) for each in stat.splitlines()[0].split()[1:]]
    worked = sum(each for at, each in enumerate(ticks) if at not in (*IDLE, *TWICE))
    return worked / ticks_per_s
