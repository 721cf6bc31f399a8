"""One model over many ranks: FSDP2 shards it, DDP replicates it; everything else is the same."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor
from torch.nn.parallel import DistributedDataParallel

from trainer.config import ModelConfig
from trainer.group import Rank

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def spread(model: PreTrainedModel, config: ModelConfig, rank: Rank) -> nn.Module:
    """The model on the rank's device, sharded or replicated over the default process group.

    Both average gradients over the ranks in fp32 in the backward pass.
    """
    if config.parallel == "fsdp":
        return _shard(model, config.precision, rank)
    return _replicate(model, rank)


def bare(model: nn.Module) -> nn.Module:
    """The model under DDP's wrapper; FSDP2 has none."""
    module: nn.Module = model.module if isinstance(model, DistributedDataParallel) else model
    return module


@contextmanager
def forward_precision(config: ModelConfig, rank: Rank) -> Iterator[None]:
    """The dtype of a forward pass: autocast for DDP; FSDP2 has its own policy."""
    wanted = config.precision == "bf16" and config.parallel == "ddp"
    with torch.autocast(rank.device.type, dtype=torch.bfloat16, enabled=wanted):
        yield


@contextmanager
def gradient_sync(model: nn.Module, *, enabled: bool) -> Iterator[None]:
    """Reduce gradients in the backward pass inside, or only add them up where they are."""
    if isinstance(model, FSDPModule):
        model.set_requires_gradient_sync(enabled)
        yield
    elif isinstance(model, DistributedDataParallel) and not enabled:
        with model.no_sync():
            yield
    else:
        yield


def local_gradients(model: nn.Module) -> list[Tensor]:
    """The gradients that this rank holds: its shards, or all of them."""
    gradients = (parameter.grad for parameter in model.parameters())
    return [
        gradient.to_local() if isinstance(gradient, DTensor) else gradient
        for gradient in gradients
        if gradient is not None
    ]


def gather_state(model: nn.Module, rank: Rank) -> dict[str, Tensor]:
    """Every tensor of the model, whole and on the CPU, on rank 0; nothing on the others.

    All ranks must call it. Shards travel over the CPU backend, because Gloo cannot gather CUDA
    tensors into one (pytorch#152645).
    """
    mesh = init_device_mesh("cpu", (rank.world_size,))
    state = {}
    for name, tensor in bare(model).state_dict().items():
        whole = _gather(tensor, mesh) if isinstance(tensor, DTensor) else tensor
        if rank.rank == 0:
            state[name] = whole.cpu()
    return state


def _shard(model: PreTrainedModel, precision: str, rank: Rank) -> nn.Module:
    mesh = init_device_mesh(rank.device.type, (rank.world_size,))
    policy = MixedPrecisionPolicy()
    if precision == "bf16":
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy)
    fully_shard(model, mesh=mesh, mp_policy=policy)
    return model


def _replicate(model: nn.Module, rank: Rank) -> nn.Module:
    devices = [rank.device] if rank.device.type == "cuda" else None
    return DistributedDataParallel(
        model.to(rank.device),
        device_ids=devices,
        forward_sync_buffers=False,
        gradient_as_bucket_view=True,
    )


def _gather(tensor: DTensor, mesh: DeviceMesh) -> Tensor:
    on_cpu = DTensor.from_local(
        tensor.to_local().cpu(),
        mesh,
        tensor.placements,
        shape=tensor.shape,
        stride=tensor.stride(),
    )
    return on_cpu.full_tensor()
