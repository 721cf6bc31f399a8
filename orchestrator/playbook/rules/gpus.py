"""Rules on GPUs: what a mode has a meaning for, and what it cannot be combined with. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook.gpu import Gpu
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.rules.base import Rule, Site
from orchestrator.playbook.tree import Complaint, Loc, printable

_MODES_OF = {
    "devices": ("exclusive", "shared", "mps", "mig"),
    "per_node": ("exclusive",),
    "memory_fraction": ("shared", "mps"),
    "thread_percentage": ("mps",),
    "pinned_memory": ("mps",),
    "set_compute_mode": ("mps",),
    "daemon_image": ("mps",),
    "memlock": ("exclusive", "shared", "mps", "mig"),
    "allow_unsupported": ("shared", "mps", "mig"),
}
_NO_NCCL = {
    "shared": "nccl does not support ranks that share a GPU",
    "mps": "nccl does not support ranks that share a GPU",
    # It takes one PCI device for one rank, and slices have no way to each other but the host's.
    "mig": "nccl does not support MIG slices",
}
_ONE_GPU = ("shared", "mps")
"""Modes in which all nodes have the same GPU."""

_VISIBLE = frozenset(("NVIDIA_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES"))


def _backend(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    loc: Loc = ("rendezvous", "backend")
    gpu = playbook.gpu
    if playbook.rendezvous.backend != "nccl":
        return
    if gpu.mode == "cpu":
        what = "nccl needs a GPU for every rank, and gpu.mode is cpu"
        yield Complaint(loc, what, "use auto or gloo")
    elif gpu.mode in _NO_NCCL and not gpu.allow_unsupported:
        what = f"{_NO_NCCL[gpu.mode]}: it may hang, and would not say why"
        yield Complaint(loc, what, "use auto or gloo, or say gpu.allow_unsupported: true")


def _keys(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    gpu = playbook.gpu
    for key in _given(gpu):
        if gpu.mode not in _MODES_OF[key]:
            what = f"has no meaning in mode {gpu.mode}"
            fix = f"remove it, or use mode: {_one_of(_MODES_OF[key])}"
            yield Complaint(("gpu", key), what, fix, at="key")


def _one_of(modes: tuple[str, ...]) -> str:
    *first, last = modes
    return f"{', '.join(first)} or {last}" if first else last


def _given(gpu: Gpu) -> list[str]:
    names = {"memlock_bytes": "memlock", "pinned_memory_bytes": "pinned_memory"}
    # A default that is written out means as little as one that is not.
    given = {
        names.get(name, name)
        for name, field in Gpu.model_fields.items()
        if getattr(gpu, name) != field.get_default(call_default_factory=True)
    }
    return [key for key in _MODES_OF if key in given]


def _devices(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    gpu, nodes = playbook.gpu, playbook.ranks.nodes
    for index, device in enumerate(gpu.devices):
        if device in gpu.devices[:index]:
            what = f"GPU {device} is named twice"
            yield Complaint(("gpu", "devices", index), what, "remove one of the two")
        if gpu.mode != "mig" and str(device).startswith("MIG-"):
            what = f"{device} is a MIG slice, and mode {gpu.mode} gives whole GPUs"
            yield Complaint(("gpu", "devices", index), what, "name a GPU, or use mode: mig")
    num_named = len(set(gpu.devices))
    if gpu.mode in _ONE_GPU and num_named > 1:
        what = f"{num_named} GPUs named, and in mode {gpu.mode} all nodes use one"
        yield Complaint(("gpu", "devices"), what, "name one, or use mode: exclusive")
    per_node = gpu.per_node or playbook.ranks.nproc_per_node
    if gpu.mode == "exclusive" and 0 < num_named < nodes * per_node:
        what = f"{num_named} named of {nodes * per_node} needed ({nodes} nodes, {per_node} each)"
        yield Complaint(("gpu", "devices"), what, "name more, or lower ranks.nodes")


def _ranks(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    gpu, ranks = playbook.gpu, playbook.ranks
    num_ranks = ranks.nproc_per_node
    if gpu.mode in _ONE_GPU and num_ranks > 1:
        what = f"{num_ranks} ranks in a node would look for {num_ranks} GPUs, and each node has one"
        fix = f"use nproc_per_node: 1 and nodes: {ranks.nodes * num_ranks}"
        yield Complaint(("ranks", "nproc_per_node"), what, fix)
    if gpu.mode == "mig" and num_ranks > 1:
        what = f"{num_ranks} ranks in a node, and CUDA shows one MIG slice to all processes of it"
        fix = f"use nproc_per_node: 1 and nodes: {ranks.nodes * num_ranks}"
        yield Complaint(("ranks", "nproc_per_node"), what, fix)
    if gpu.mode == "exclusive" and gpu.per_node is not None and gpu.per_node < num_ranks:
        what = f"{gpu.per_node} for {num_ranks} ranks in each node"
        yield Complaint(("gpu", "per_node"), what, "give each rank a GPU of its own")


def _memory(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    gpu, nodes = playbook.gpu, playbook.ranks.nodes
    fraction = gpu.memory_fraction
    # A third each, written 0.334, is meant well.
    if gpu.mode in _ONE_GPU and fraction is not None and fraction * nodes > 1.01:
        what = f"{nodes} ranks with {fraction:g} each are {fraction * nodes:g} of one GPU's memory"
        yield Complaint(("gpu", "memory_fraction"), what, f"use at most {_floor(1 / nodes)}")


def _floor(number: float) -> str:
    return f"{int(number * 1000) / 1000:g}"


_OF_MPS = {
    "CUDA_MPS_PIPE_DIRECTORY": "remove it",
    "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "use gpu.thread_percentage",
    "CUDA_MPS_PINNED_DEVICE_MEM_LIMIT": "use gpu.pinned_memory",
}


def _environment(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    places: list[tuple[Loc, dict[str, str]]] = [(("ranks", "env"), playbook.ranks.env)]
    for node_rank, own in playbook.ranks.per_node.items():
        places.append((("ranks", "per_node", node_rank, "env"), own.env))
    for at, env in places:
        for name in env:
            if name in _VISIBLE:
                what = f"{printable(name)}: gpu.mode and gpu.devices say which GPUs a node sees"
                yield Complaint((*at, name), what, "remove it", at="key")
            elif playbook.gpu.mode == "mps" and name in _OF_MPS:
                what = f"{printable(name)}: in mode mps it is set for you"
                yield Complaint((*at, name), what, _OF_MPS[name], at="key")


def _daemon(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    """An MPS server serves one user at a time, and two images may mean two."""
    gpu = playbook.gpu
    if gpu.mode == "mps" and gpu.daemon_image is not None and playbook.ranks.user is None:
        what = "nodes and their MPS daemon must be of one user, and two images may differ in that"
        yield Complaint(("gpu", "daemon_image"), what, "say who they run as in ranks.user")


_MODE: Loc = ("gpu", "mode")
_RANKS: tuple[Loc, ...] = (("ranks", "nodes"), ("ranks", "nproc_per_node"))

BACKEND = Rule(_backend, reads=(_MODE, ("gpu", "allow_unsupported")))
GPU_KEYS = Rule(_keys, reads=(_MODE,))
GPU_DEVICES = Rule(_devices, reads=(_MODE, ("gpu", "per_node"), *_RANKS))
GPU_RANKS = Rule(_ranks, reads=(_MODE, *_RANKS))
GPU_MEMORY = Rule(_memory, reads=(_MODE, ("ranks", "nodes")))
GPU_ENVIRONMENT = Rule(_environment, reads=(_MODE,))
GPU_DAEMON = Rule(_daemon, reads=(_MODE, ("ranks", "user")))

GPU_RULES = (
    BACKEND,
    GPU_KEYS,
    GPU_DEVICES,
    GPU_RANKS,
    GPU_MEMORY,
    GPU_ENVIRONMENT,
    GPU_DAEMON,
)
