"""What a suspect is: one thing that happened in a run, and how much it says of the cause. Pure.

What names a cause outright is PRIMARY; what a peer's trouble brings about is SECONDARY; LIKELY
is what fits the facts where nobody says more. The earliest of the lowest weight is the cause
(`diagnose.py`). `endings.py`, `sayings.py`, `joining.py` and `hangs.py` each find some.
"""

from __future__ import annotations

import ipaddress
from enum import IntEnum

from msgspec import Struct

from orchestrator.state.spec import NodeSpec


class Weight(IntEnum):
    """How much a suspect says of the cause; the lowest comes first."""

    PRIMARY = 0
    LIKELY = 1
    SECONDARY = 2


class Evidence(Struct, frozen=True):
    """A line of a node's log, or what the engine or the probe says of it, and when."""

    at_s: float
    node_rank: int
    text: str


class Suspect(Struct, frozen=True):
    """One thing that happened, to a rank or, where `rank` is None, to a node.

    `id` is that of a signature, or a word for what no text says. `what` follows the rank's
    name in a sentence.
    """

    id: str
    weight: Weight
    at_s: float
    node_rank: int
    rank: int | None
    what: str
    why: str = ""
    mend: str = ""
    evidence: tuple[Evidence, ...] = ()


def only_rank(spec: NodeSpec) -> int | None:
    """The rank of a node that has one; None where it has several."""
    return spec.ranks[0] if spec.num_ranks == 1 else None


def is_loopback(address: str) -> bool:
    """True for the names and addresses under which a node finds itself."""
    return address in {"localhost", "::1"} or address.startswith("127.")


def is_address(host: str) -> bool:
    """True for an IP address, which needs no resolving."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
