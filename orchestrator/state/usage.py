"""What a node has used of the machine, as an engine counts it."""

from __future__ import annotations

from msgspec import Struct


class Usage(Struct, frozen=True):
    """What one node has used until a moment. Counters only grow; a rate is a difference of two.

    Attributes:
        node_rank: of the node.
        at_s: when it was looked at, in seconds since the epoch.
        cpu_s: processor time since the node's start, over all processors, in seconds.
        memory_bytes: memory that it holds at that moment, without files that can be given back.
        received_bytes: what came over its network; None where it has none of its own.
        sent_bytes: what went out likewise.
    """

    node_rank: int
    at_s: float
    cpu_s: float
    memory_bytes: int
    received_bytes: int | None = None
    sent_bytes: int | None = None


def processors_used(before: Usage, after: Usage) -> float:
    """How many processors a node kept busy between two looks at it; 0 where no time passed."""
    took_s = after.at_s - before.at_s
    return max(after.cpu_s - before.cpu_s, 0.0) / took_s if took_s > 0 else 0.0
