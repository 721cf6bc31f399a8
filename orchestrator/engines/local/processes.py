"""What the processes of a node use, from /proc: those that descend from its supervisor.

Sessions would not do: torchrun gives each of its ranks one of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from orchestrator.engines.local.liveness import is_live
from orchestrator.engines.local.record import ProcessRecord, read_process
from orchestrator.engines.local.supervisor import stat_fields
from orchestrator.state.usage import Usage

_PARENT, _TIMES, _START, _PAGES = 1, slice(11, 15), 19, 21
"""Fields of /proc/PID/stat behind the name: `proc(5)` has them as 4, 14 to 17, 22 and 24."""


class _Process(Struct, frozen=True):
    parent: int
    start_ticks: int
    cpu_s: float  # its own, and that of its children that have ended
    memory_bytes: int


def usage(folders: Mapping[int, Path]) -> tuple[Usage, ...]:
    """What the nodes in these folders have used, by node rank; those that live.

    Memory is what their processes hold resident; what they share counts for each.
    """
    running = _processes()
    supervisors = {
        running[main.pid].parent: rank
        for rank, folder in folders.items()
        if is_live(folder)
        and isinstance(main := read_process(folder), ProcessRecord)
        and main.pid in running
        and running[main.pid].start_ticks == main.start_ticks
    }
    at_s, of_rank = time.time(), dict[int, list[_Process]]()
    for pid, process in running.items():
        if (rank := _rank(pid, running, supervisors)) is not None:
            of_rank.setdefault(rank, []).append(process)
    return tuple(
        Usage(
            rank,
            at_s,
            sum(each.cpu_s for each in found),
            sum(each.memory_bytes for each in found),
        )
        for rank, found in sorted(of_rank.items())
    )


def _rank(pid: int, running: Mapping[int, _Process], supervisors: Mapping[int, int]) -> int | None:
    """The node that a process belongs to: that of the first supervisor among its ancestors."""
    seen = set[int]()
    while pid not in supervisors:
        if pid not in running or pid in seen:
            return None
        seen.add(pid)  # ids are used again: what was read of two moments may go in a circle
        pid = running[pid].parent
    return supervisors[pid]


def _processes() -> dict[int, _Process]:
    if not os.path.isdir("/proc/self"):
        return {}
    ticks, page_bytes = os.sysconf("SC_CLK_TCK"), os.sysconf("SC_PAGE_SIZE")
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal() and (fields := stat_fields(name)) is not None:
            found[int(name)] = _Process(
                int(fields[_PARENT]),
                int(fields[_START]),
                sum(map(int, fields[_TIMES])) / ticks,
                int(fields[_PAGES]) * page_bytes,
            )
    return found
