"""Which node gets which GPUs. Pure, and stable: a node keeps what it has where it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu

Uuids = tuple[str, ...]


def assign(
    demand: GpuDemand,
    gpus: Sequence[Gpu],
    held: Sequence[Uuids],
    taken: Mapping[str, str] | None = None,
) -> tuple[Uuids, ...]:
    """Choose the GPUs of every node.

    Args:
        demand: what the playbook asks for.
        gpus: what the machine has.
        held: what each node has now, by node rank; empty for one that is to be made.
        taken: `{uuid: who}` of GPUs that others use. Nobody is given one of them anew; a
            node that holds one keeps it, as it may have ended before the other came.

    Returns:
        UUIDs by node rank, those of one node in the order of its CUDA ordinals.

    Raises:
        GpuUnavailable: `devices` names what is not there or cannot be used, or there are too
            few.
    """
    taken = taken or {}
    pool = _pool(demand, gpus)
    if demand.mode == "shared":
        return (_shared(pool, held, taken),) * len(held)
    return _exclusive(demand, pool, held, taken)


def _pool(demand: GpuDemand, gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """What may be chosen, in the order in which it is."""
    if not demand.devices:
        if whole := tuple(gpu for gpu in gpus if not gpu.has_mig):
            return whole
        raise _unusable("every GPU here is cut into MIG slices", gpus)
    named: dict[str, Gpu] = {}
    for device in demand.devices:
        gpu = _named(device, gpus)
        if gpu.uuid in named:
            raise _unusable(f"gpu.devices names GPU {gpu.index} twice, as {device} too", gpus)
        named[gpu.uuid] = gpu
    return tuple(named.values())


def _named(device: int | str, gpus: Sequence[Gpu]) -> Gpu:
    gpu = next((each for each in gpus if device in (each.index, each.uuid)), None)
    if gpu is None:
        raise _unusable(f"gpu.devices: there is no GPU {device} here", gpus)
    if gpu.has_mig:
        raise _unusable(f"gpu.devices: GPU {device} is cut into MIG slices", gpus)
    return gpu


def _shared(pool: Sequence[Gpu], held: Sequence[Uuids], taken: Mapping[str, str]) -> Uuids:
    usable = [gpu.uuid for gpu in pool]
    if kept := [uuids for uuids in held if len(uuids) == 1 and uuids[0] in usable]:
        return kept[0]
    free = [uuid for uuid in usable if uuid not in taken]
    if not free:
        raise _too_few("one GPU is needed", pool, taken)
    return (free[0],)


def _exclusive(
    demand: GpuDemand, pool: Sequence[Gpu], held: Sequence[Uuids], taken: Mapping[str, str]
) -> tuple[Uuids, ...]:
    left = dict.fromkeys(gpu.uuid for gpu in pool)
    kept: dict[int, Uuids] = {}
    for node_rank, uuids in enumerate(held):
        if len(set(uuids)) == len(uuids) == demand.per_node and left.keys() >= set(uuids):
            kept[node_rank] = uuids
            for uuid in uuids:
                del left[uuid]
    free = iter([uuid for uuid in left if uuid not in taken])
    chosen = []
    for node_rank in range(len(held)):
        uuids = kept.get(node_rank) or tuple(
            uuid for _, uuid in zip(range(demand.per_node), free, strict=False)
        )
        if len(uuids) < demand.per_node:
            raise _too_few(_need(len(held), demand.per_node), pool, taken)
        chosen.append(uuids)
    return tuple(chosen)


def _need(num_nodes: int, per_node: int) -> str:
    return f"{num_nodes * per_node} GPUs are needed ({num_nodes} nodes, {per_node} each)"


def _too_few(need: str, pool: Sequence[Gpu], taken: Mapping[str, str]) -> GpuUnavailable:
    in_use = [f"{taken[gpu.uuid]} uses {gpu.uuid}" for gpu in pool if gpu.uuid in taken]
    return GpuUnavailable(
        f"{need}, and {len(pool) - len(in_use)} can be used of {_listed(pool)}"
        + "".join(f"; {each}" for each in in_use),
        fix="lower ranks.nodes or gpu.per_node, name more gpu.devices, or use gpu.mode: shared",
    )


def _unusable(what: str, gpus: Sequence[Gpu]) -> GpuUnavailable:
    return GpuUnavailable(
        f"{what}; this machine has {_listed(gpus)}", fix="mend gpu.devices, or leave it out"
    )


def _listed(gpus: Sequence[Gpu]) -> str:
    return ", ".join(map(str, gpus)) or "no GPU"
