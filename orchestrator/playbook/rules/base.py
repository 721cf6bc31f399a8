"""What a rule is, and what it may know of the world."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

from msgspec import Struct

from orchestrator.playbook.models import Mount, Playbook
from orchestrator.playbook.tree import Complaint, Loc

# Whoever may write to one of these owns the machine.
_ENGINE_SOCKETS = (
    "/run/docker.sock",
    "/var/run/docker.sock",
    "/run/containerd/containerd.sock",
    "/run/podman/podman.sock",
)


class Site(Struct, frozen=True):
    """The machine that a playbook is checked against.

    Attributes:
        folder: the playbook's folder, absolute and without links.
        memory_bytes: the machine's physical memory.
        engine_sockets: sockets of container engines, absolute and without links.
    """

    folder: Path
    memory_bytes: int
    engine_sockets: tuple[str, ...]

    @classmethod
    def here(cls, folder: Path) -> Site:
        """Describe this machine."""
        sockets = [*_ENGINE_SOCKETS]
        scheme, _, path = os.environ.get("DOCKER_HOST", "").partition("://")
        if scheme == "unix" and path:
            sockets.append(path)
        return cls(
            folder=folder,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            engine_sockets=tuple(dict.fromkeys(map(os.path.realpath, sockets))),
        )


Check: TypeAlias = Callable[[Playbook, Site], Iterator[Complaint]]


class Rule(Struct, frozen=True):
    """One rule.

    Attributes:
        check: gives what is wrong; a right playbook gives nothing.
        reads: the values without which the rule has nothing to say. Where one of them has a
            fault of its own, the rule is left out.
    """

    check: Check
    reads: tuple[Loc, ...] = ()


def lists_of_mounts(playbook: Playbook) -> Iterator[tuple[Loc, tuple[Mount, ...]]]:
    """List the mounts of all nodes and those of single nodes, each list with its place."""
    yield ("ranks", "mounts"), playbook.ranks.mounts
    for node, override in playbook.ranks.per_node.items():
        yield ("ranks", "per_node", node, "mounts"), override.mounts
