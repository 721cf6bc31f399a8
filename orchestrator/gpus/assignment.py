"""Which node gets which GPUs. Pure, and stable: a node keeps what it has where it may."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu
from orchestrator.gpus.pool import Unit, listed, make_pool

Uuids = tuple[str, ...]


def assign(
    demand: GpuDemand,
    gpus: Sequence[Gpu],
    held: Sequence[Uuids],
    taken: Mapping[str, str] | None = None,
) -> tuple[Uuids, ...]:
    """Choose the GPUs of every node, or its slice of one.

    Args:
        demand: what the playbook asks for.
        gpus: what the machine has.
        held: what each node has now, by node rank; empty for one that is to be made.
        taken: `{uuid: why}` of GPUs that cannot be had, as others use them. Nobody is given
            one of them anew; a node that holds one keeps it, as it may have ended before.

    Returns:
        UUIDs by node rank, those of one node in the order of the machine's indexes, which is
        that of its CUDA ordinals where CUDA orders by PCI bus.

    Raises:
        GpuUnavailable: `devices` names what is not there or cannot be used, or there are too
            few.
    """
    taken = taken or {}
    pool = make_pool(demand, gpus)
    if demand.is_alone:
        place = {gpu.uuid: gpu.index for gpu in gpus}
        chosen = _each_its_own(demand, pool, held, taken)
        return tuple(tuple(sorted(each, key=lambda uuid: place.get(uuid, 0))) for each in chosen)
    return (_shared(demand, pool, held, taken),) * len(held)


def _shared(
    demand: GpuDemand, pool: Sequence[Unit], held: Sequence[Uuids], taken: Mapping[str, str]
) -> Uuids:
    usable = [unit.uuid for unit in pool]
    if kept := [uuids for uuids in held if len(uuids) == 1 and uuids[0] in usable]:
        return kept[0]
    free = [uuid for uuid in usable if uuid not in taken]
    if not free:
        raise _too_few(demand, "one GPU is needed", pool, taken)
    return (free[0],)


def _each_its_own(
    demand: GpuDemand, pool: Sequence[Unit], held: Sequence[Uuids], taken: Mapping[str, str]
) -> tuple[Uuids, ...]:
    left = dict.fromkeys(unit.uuid for unit in pool)
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
            raise _too_few(demand, _need(len(held), demand), pool, taken)
        chosen.append(uuids)
    return tuple(chosen)


def _need(num_nodes: int, demand: GpuDemand) -> str:
    each = demand.per_node
    what = "MIG slices" if demand.mode == "mig" else "GPUs"
    return f"{num_nodes * each} {what} are needed ({num_nodes} nodes, {each} each)"


def _too_few(
    demand: GpuDemand, need: str, pool: Sequence[Unit], taken: Mapping[str, str]
) -> GpuUnavailable:
    in_use = [f"{unit.uuid}: {taken[unit.uuid]}" for unit in pool if unit.uuid in taken]
    return GpuUnavailable(
        f"{need}, and {len(pool) - len(in_use)} can be used of {listed(pool)}"
        + "".join(f"; {each}" for each in in_use),
        fix=_FEW_SLICES if demand.mode == "mig" else _FEW_GPUS,
    )


_FEW_GPUS = "lower ranks.nodes or gpu.per_node, name more gpu.devices, or use gpu.mode: shared"
_FEW_SLICES = (
    "lower ranks.nodes, name more gpu.devices, or cut more slices (`nvidia-smi mig -lgip` lists "
    "what still fits)"
)
