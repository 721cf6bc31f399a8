"""What a Docker engine counts of a container -> what a node has used. Pure."""

from __future__ import annotations

from typing import Any

from orchestrator.engines.docker.inspection import Json, parse_time
from orchestrator.state.usage import Usage

_RECLAIMABLE = ("total_inactive_file", "inactive_file")
"""Cached files that the kernel gives back under pressure, in cgroup v1 and v2."""


def usage_from_stats(node_rank: int, stats: Json) -> Usage | None:
    """The node's usage; None of one that does not run, of which the engine counts nothing.

    Memory is what `docker stats` shows: all but cached files that were not used of late.

    Raises:
        KeyError, TypeError, ValueError: the object is none of Docker's.
    """
    memory, at_s = stats["memory_stats"], parse_time(stats["read"])
    if not memory or at_s is None:
        return None
    cached = next((memory["stats"][key] for key in _RECLAIMABLE if key in memory["stats"]), 0)
    networks = stats.get("networks") or {}
    return Usage(
        node_rank,
        at_s,
        int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9,
        max(int(memory["usage"]) - int(cached), 0),
        _sum(networks, "rx_bytes"),
        _sum(networks, "tx_bytes"),
    )


def _sum(networks: dict[str, Any], key: str) -> int | None:
    return sum(int(each[key]) for each in networks.values()) if networks else None
