"""Whether what nodes ask for fits into what there is: numbers in, yes or no out. Pure.

Apart from the findings that are made of it, as apply asks this before each start, and loading
what findings are made with would take longer than to ask.
"""

from __future__ import annotations

GIB = 1024**3
FULL_BYTES = 1024**2
BUILD_BYTES = 5 * GIB
PULL_BYTES = 3 * GIB
LOGS_BYTES = GIB // 2


def cpus_fit(*, of_one: float, together: float, has: int) -> bool:
    """True where each node, and all of them at once, get the processors that they may use."""
    return of_one <= has and together <= has


def memory_fits(*, together: int, total: int, free: int | None) -> bool:
    """True where all nodes at once get the memory that they may use; `free` None: not known."""
    return together <= (total if free is None else min(free, total))


def space_for(*, builds: bool, is_here: bool) -> int:
    """How many bytes an apply may well need on the engine's disk."""
    if is_here:
        return LOGS_BYTES
    return BUILD_BYTES if builds else PULL_BYTES


def is_full(*, free_bytes: int, free_files: int | None) -> bool:
    """True where not even a container can be made."""
    return free_bytes < FULL_BYTES or free_files == 0


def disk_fits(*, free_bytes: int, free_files: int | None, needed: int) -> bool:
    """True where there is room for what an apply may well need."""
    return free_bytes >= needed and not is_full(free_bytes=free_bytes, free_files=free_files)
