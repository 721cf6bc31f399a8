"""Rules on what the machine has, and on values that rule each other out."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook.models import Playbook, Ranks
from orchestrator.playbook.rules.base import Rule, Site
from orchestrator.playbook.tree import Complaint, Loc

# Docker's own networks: none of them resolves the names of containers.
_WITHOUT_NAMES = frozenset(("bridge", "host", "none", "default"))


def _memory(playbook: Playbook, site: Site) -> Iterator[Complaint]:
    needed = _memory_sum(playbook.ranks)
    if needed > site.memory_bytes:
        what = (
            f"{_gib(needed)} GiB for all nodes together, "
            f"and this machine has {_gib(site.memory_bytes)} GiB"
        )
        yield Complaint(_memory_loc(playbook.ranks), what, "lower memory or ranks.nodes")


def _memory_sum(ranks: Ranks) -> int:
    common = ranks.resources.memory_bytes or 0
    overrides = [
        node.resources.memory_bytes
        for rank, node in ranks.per_node.items()
        if 0 <= rank < ranks.nodes and node.resources and node.resources.memory_bytes
    ]
    return common * (ranks.nodes - len(overrides)) + sum(overrides)


def _memory_loc(ranks: Ranks) -> Loc:
    if ranks.resources.memory_bytes:
        return ("ranks", "resources", "memory")
    return ("ranks", "per_node")


def _gib(size_bytes: int) -> str:
    return f"{size_bytes / 1024**3:.1f}"


def _network(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    network = playbook.network
    if network.external and network.name is None:
        fix = "add network.name, the name of a network that exists"
        yield Complaint(("network", "external"), "true without a name", fix)
    if network.name in _WITHOUT_NAMES:
        what = f"nodes find each other by name, and Docker's own {network.name} has no names"
        yield Complaint(("network", "name"), what, "use a network of your own")


MEMORY = Rule(_memory, reads=(("ranks", "nodes"), ("ranks", "resources", "memory")))
NETWORK = Rule(_network, reads=(("network", "name"),))
