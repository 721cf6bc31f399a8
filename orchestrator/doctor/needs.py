"""What a playbook asks of the machine, in sums. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from orchestrator.gpus.demand import GpuDemand
from orchestrator.resolve import DEFAULT_SHM_BYTES
from orchestrator.state.desired import DesiredState
from orchestrator.state.spec import NodeSpec


class Load(Struct, frozen=True):
    """What nodes may use together. A node without a limit adds nothing to a sum."""

    num_nodes: int
    cpus: float
    cpus_of_one: float
    memory_bytes: int
    shm_bytes: int | None  # the smallest of them; None where no node says
    shm_over_memory: str  # the first node whose /dev/shm may outgrow its memory; else empty
    limits: frozenset[str]  # of memory, cpus, pids: those that some node has


class Needs(Struct, frozen=True):
    """What one playbook asks of the machine and its engine.

    Attributes:
        image: its tag; None where nodes have none.
        builds: the image is made here.
        network: the one that is made for it, which takes a range of addresses.
        gpu_mode: `cpu` where it asks for none; `gpus` is what it asks for.
        has_mounts: nodes are to see folders of this machine, the probe's apart.
    """

    load: Load
    image: str | None
    builds: bool
    network: str | None
    gpu_mode: str
    gpus: GpuDemand | None
    has_mounts: bool


def load_of(nodes: Sequence[NodeSpec]) -> Load:
    """Add up what nodes may use."""
    limits = [node.limits for node in nodes]
    cpus = [each.cpus or 0.0 for each in limits]
    set_by = {
        "memory": any(each.memory_bytes for each in limits),
        "cpus": any(cpus),
        "pids": any(each.pids for each in limits),
    }
    return Load(
        num_nodes=len(nodes),
        cpus=sum(cpus),
        cpus_of_one=max(cpus, default=0.0),
        memory_bytes=sum(each.memory_bytes or 0 for each in limits),
        shm_bytes=min((each.shm_bytes for each in limits if each.shm_bytes), default=None),
        shm_over_memory=next(_with_too_much_shm(nodes), ""),
        limits=frozenset(name for name, is_set in set_by.items() if is_set),
    )


def _with_too_much_shm(nodes: Iterable[NodeSpec]) -> Iterator[str]:
    """Those that say so: what is left out is more than many need, and costs nothing unused."""
    for node in nodes:
        limits = node.limits
        if limits.shm_bytes == DEFAULT_SHM_BYTES:
            continue
        if limits.memory_bytes and (limits.shm_bytes or 0) > limits.memory_bytes:
            yield node.name


def needs_of(desired: DesiredState) -> Needs:
    """What a desired state asks for."""
    image, network = desired.image, desired.network
    return Needs(
        load=load_of(desired.nodes),
        image=image.tag if image else None,
        builds=bool(image and image.recipe),
        network=network.name if network and not network.external else None,
        gpu_mode=desired.gpus.mode if desired.gpus else "cpu",
        gpus=desired.gpus,
        has_mounts=any(node.mounts for node in desired.nodes),
    )
