"""Environment -> process group, with the proof that every rank is in it."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from structlog.typing import FilteringBoundLogger

from trainer.config import GroupConfig
from trainer.errors import GroupError, UsageError
from trainer.gpu import gpu_uuid

_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")
# A CPU backend is always there: checkpoints and the export gather on the CPU. Plain "gloo" with
# CUDA present would make a DeviceMesh quietly add nccl, which ranks that share a GPU cannot use.
_TORCH_BACKEND = {
    ("cpu", "gloo"): "gloo",
    ("cuda", "gloo"): "cpu:gloo,cuda:gloo",
    ("cuda", "nccl"): "cpu:gloo,cuda:nccl",
}


@dataclass(frozen=True, slots=True)
class Rank:
    """This process in the group that formed."""

    rank: int
    world_size: int
    device: torch.device
    backend: str  # gloo | nccl: what carries the gradients


@dataclass(frozen=True, slots=True)
class _Place:
    """What the environment says of this process. The master is null for one that is alone."""

    rank: int
    world_size: int
    local_rank: int
    master_addr: str | None
    master_port: int | None


def join(config: GroupConfig, environ: Mapping[str, str], log: FilteringBoundLogger) -> Rank:
    """Form the default process group, prove it by a collective, record `process_group_joined`.

    Raises:
        UsageError: rank variables are incomplete or wrong, or backend and device do not match.
        GroupError: the ranks that joined are not 0..world_size-1, once each.
        torch.distributed.DistError, RuntimeError: not all ranks came within the timeout.
    """
    place = _read_place(environ)
    device = _choose_device(config.device, place.local_rank)
    _limit_memory(config.gpu_memory_fraction, device)
    backend = _choose_backend(config.backend, device)
    _init(config, place, _TORCH_BACKEND[device.type, backend])
    rank = Rank(place.rank, place.world_size, device, backend)
    log.info(
        "process_group_joined",
        local_rank=place.local_rank,
        backend=backend,
        master_addr=place.master_addr,
        master_port=place.master_port,
        hostname=socket.gethostname(),
        gpu=gpu_uuid(device, environ),
        rank_sum=_prove(rank),
        torch_version=torch.__version__,
    )
    # Joining and training have different deadlines; torch has no public way to change a group's.
    dist.distributed_c10d._set_pg_timeout(timedelta(seconds=config.collective_timeout_s))
    return rank


def leave() -> None:
    """Wait for every rank, then take the group down: rank 0's store serves until the end."""
    synchronise()
    dist.destroy_process_group()


def synchronise() -> None:
    """Return once every rank is here; an all_reduce, because Gloo has no barrier on GPUs."""
    dist.all_reduce(torch.zeros(1))


def _read_place(environ: Mapping[str, str]) -> _Place:
    local_rank = _number(environ, "LOCAL_RANK", 0, default="0")
    missing = [name for name in _VARIABLES if not environ.get(name)]
    if len(missing) == len(_VARIABLES):
        return _Place(0, 1, local_rank, None, None)
    if missing:
        raise UsageError(
            f"env:// rendezvous: environment variable {missing[0]} expected, but not set",
            fix=f"set all of {', '.join(_VARIABLES)}, or none of them for a single process",
        )
    world_size = _number(environ, "WORLD_SIZE", 1)
    rank = _number(environ, "RANK", 0)
    if rank >= world_size:
        raise UsageError(
            f"RANK {rank} with WORLD_SIZE {world_size}", fix="ranks count from 0 to WORLD_SIZE - 1"
        )
    port = _number(environ, "MASTER_PORT", 1)
    return _Place(rank, world_size, local_rank, environ["MASTER_ADDR"], port)


def _number(environ: Mapping[str, str], name: str, low: int, default: str = "") -> int:
    text = environ.get(name) or default
    if not text.isdecimal() or int(text) < low:
        raise UsageError(f"{name} is {text!r}", fix=f"it is a whole number from {low} up")
    return int(text)


def _choose_device(wanted: str, local_rank: int) -> torch.device:
    if wanted == "cpu" or (wanted == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    found = torch.cuda.device_count()
    if local_rank >= found:
        raise UsageError(
            f"LOCAL_RANK {local_rank}, but {found} CUDA devices are visible",
            fix="start at most one rank for each visible GPU, see that torch is a CUDA build, or "
            "use --device cpu",
        )
    device = torch.device("cuda", local_rank)
    torch.cuda.set_device(device)
    return device


def _limit_memory(fraction: float, device: torch.device) -> None:
    """Keep this rank to its part of a GPU that others use too; beyond it torch is out of memory."""
    if device.type == "cuda" and fraction < 1:
        torch.cuda.set_per_process_memory_fraction(fraction, device)


def _choose_backend(wanted: str, device: torch.device) -> str:
    if wanted == "auto":
        return "nccl" if device.type == "cuda" else "gloo"
    if (device.type, wanted) not in _TORCH_BACKEND:
        raise UsageError(
            f"backend {wanted} cannot carry tensors on {device.type}",
            fix="use --backend auto, or gloo",
        )
    return wanted


def _init(config: GroupConfig, place: _Place, backend: str) -> None:
    timeout = timedelta(seconds=config.init_timeout_s)
    if place.master_addr is None:
        # Alone: the same code path from here on, without a port that others could connect to.
        store = dist.HashStore()  # type: ignore[attr-defined]
        dist.init_process_group(backend, store=store, rank=0, world_size=1, timeout=timeout)
    else:
        # DeviceMesh reads LOCAL_RANK, and torch reads the rest, from the process's environment.
        os.environ.setdefault("LOCAL_RANK", str(place.local_rank))
        dist.init_process_group(backend, init_method="env://", timeout=timeout)


def _prove(rank: Rank) -> int:
    """The sum of all ranks: the store counts connections, only a collective shows who is there."""
    total = torch.tensor([rank.rank], device=rank.device)
    dist.all_reduce(total)
    expected = rank.world_size * (rank.world_size - 1) // 2
    if int(total) != expected:
        raise GroupError(
            f"the ranks add up to {int(total)} where {rank.world_size} ranks make {expected}",
            fix="give each process a RANK of its own and all the same WORLD_SIZE",
        )
    return expected
