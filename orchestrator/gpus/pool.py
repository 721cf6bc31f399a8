"""What a playbook may choose from: whole GPUs, or the MIG slices of them. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu, Slice

Unit = Gpu | Slice
"""What is given to a node as one: it has a UUID, and CUDA sees one device."""


def make_pool(demand: GpuDemand, gpus: Sequence[Gpu]) -> tuple[Unit, ...]:
    """What may be chosen, in the order in which it is.

    Raises:
        GpuUnavailable: nothing, or `devices` names what is not there or of the wrong kind.
    """
    if not demand.devices:
        return _everything(demand, gpus)
    named: dict[str, Unit] = {}
    for device in demand.devices:
        for unit in _named(demand, device, gpus):
            if unit.uuid in named:
                what = f"gpu.devices names {_kind(unit)} twice, as {device} too"
                raise _unusable(what, gpus)
            named[unit.uuid] = unit
    return tuple(named.values())


def _everything(demand: GpuDemand, gpus: Sequence[Gpu]) -> tuple[Unit, ...]:
    if demand.mode == "mig":
        if slices := tuple(each for gpu in gpus for each in gpu.slices):
            return slices
        raise _uncut("no GPU here is cut into MIG slices", gpus)
    if whole := tuple(gpu for gpu in gpus if not gpu.has_mig):
        return whole
    raise _unusable("every GPU here is cut into MIG slices", gpus, ", or use gpu.mode: mig")


def _named(demand: GpuDemand, device: int | str, gpus: Sequence[Gpu]) -> Iterator[Unit]:
    """The slice of that name; the GPU of that name, or all its slices."""
    wants_slices = demand.mode == "mig"
    if wants_slices:
        for each in (each for gpu in gpus for each in gpu.slices if each.uuid == device):
            yield each
            return
    gpu = next((each for each in gpus if device in (each.index, each.uuid)), None)
    if gpu is None:
        kind = "MIG slice" if str(device).startswith("MIG-") else "GPU"
        raise _unusable(f"gpu.devices: there is no {kind} {device} here", gpus)
    if wants_slices and not gpu.slices:
        raise _uncut(f"gpu.devices: GPU {device} is not cut into MIG slices", gpus)
    if not wants_slices and gpu.has_mig:
        what = f"gpu.devices: GPU {device} is cut into MIG slices"
        raise _unusable(what, gpus, ", or use gpu.mode: mig")
    yield from gpu.slices if wants_slices else (gpu,)


def closed(demand: GpuDemand, gpus: Sequence[Gpu]) -> dict[str, str]:
    """`{uuid: why}` of the GPUs whose compute mode keeps such nodes from using CUDA.

    [nvidia-smi's manual: PROHIBITED lets no process in, EXCLUSIVE_PROCESS one at a time]
    """
    shut = {
        "exclusive": ("prohibited",),
        "shared": ("prohibited", "exclusive"),
        "mps": ("prohibited",),
    }
    return {
        gpu.uuid: f"its compute mode is {gpu.compute_mode} (`nvidia-smi -i {gpu.index} -c DEFAULT`)"
        for gpu in gpus
        if gpu.compute_mode.lower().startswith(shut.get(demand.mode, ("none",)))
    }


def _kind(unit: Unit) -> str:
    return f"GPU {unit.index}" if isinstance(unit, Gpu) else f"MIG slice {unit.uuid}"


def _uncut(what: str, gpus: Sequence[Gpu]) -> GpuUnavailable:
    return GpuUnavailable(
        f"{what}; this machine has {listed(gpus)}",
        fix="cut one as root, where its kind can be (`nvidia-smi -i 0 -mig 1`, then `nvidia-smi "
        "mig -i 0 -cgi PROFILE,PROFILE -C`; `nvidia-smi mig -lgip` lists profiles), or use "
        "gpu.mode: shared",
    )


def _unusable(what: str, gpus: Sequence[Gpu], instead: str = "") -> GpuUnavailable:
    return GpuUnavailable(
        f"{what}; this machine has {listed(gpus)}",
        fix=f"mend gpu.devices, or leave it out{instead}",
    )


def listed(units: Sequence[Unit]) -> str:
    """All of them in one line."""
    return ", ".join(map(str, units)) or "no GPU"
