"""What becomes of a sidecar, and of the GPUs that it changes. Pure.

A sidecar is of one run with its gang: whatever replaces the one replaces the other. What its
GPUs were set to before is remembered by a label on it alone, so it is put back before it goes,
even where a successor is about to set the same again: between the two nobody would know.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from msgspec import Struct

from orchestrator.plans.difference import FieldChange
from orchestrator.plans.drift import Drift
from orchestrator.plans.plan import RemoveSidecar, SetComputeMode, StartSidecar, Unchanged
from orchestrator.state.observed import ObservedSidecar
from orchestrator.state.spec import SidecarSpec


class SidecarSteps(Struct, frozen=True):
    """The part of a plan that is about the sidecar, in the order in which it is carried out."""

    restore_modes: tuple[SetComputeMode, ...] = ()
    remove: tuple[RemoveSidecar, ...] = ()
    start: StartSidecar | None = None
    set_modes: tuple[SetComputeMode, ...] = ()
    unchanged: tuple[Unchanged, ...] = ()


def replace_sidecar(
    wanted: SidecarSpec | None,
    found: Sequence[ObservedSidecar],
    modes: Mapping[str, str],
    drift: Drift,
) -> SidecarSteps:
    """Remove what there is and start what is wanted.

    Args:
        wanted: the sidecar as it should be; None: there should be none.
        found: those that there are.
        modes: the compute modes of this machine's GPUs by UUID, as far as they are known.
        drift: why.
    """
    restores = _restores(found, "put back as its sidecar goes")
    remove = tuple(RemoveSidecar(each, drift.why, drift.changes) for each in found)
    if wanted is None:
        return SidecarSteps(restores, remove)
    # What the GPUs will be set to by the time that the new one comes.
    before = {**modes, **{each.uuid: each.mode for each in restores}}
    changed = wanted.gpu_uuids if wanted.compute_mode else ()
    remembered = tuple((uuid, before[uuid]) for uuid in changed if uuid in before)
    start = StartSidecar(wanted, drift.why, drift.changes, remembered)
    changes = _set_modes(wanted, before)
    kept = _unchanged_gpus(wanted, before, (*restores, *changes))
    return SidecarSteps(restores, remove, start, changes, kept)


def keep_sidecar(
    wanted: SidecarSpec | None, found: Sequence[ObservedSidecar], modes: Mapping[str, str]
) -> SidecarSteps:
    """Leave the sidecar where it is, and its GPUs as they should be."""
    if wanted is None:
        return SidecarSteps()
    changed = _set_modes(wanted, modes)
    kept = tuple(
        Unchanged(f"{each.spec.title} {each.name}", "running" if each.is_active else "finished")
        for each in found
    )
    gpus = _unchanged_gpus(wanted, modes, changed)
    return SidecarSteps(set_modes=changed, unchanged=(*kept, *gpus))


def remove_sidecars(found: Iterable[ObservedSidecar], cause: str) -> SidecarSteps:
    """Remove every sidecar, once its GPUs are as they were before."""
    found = tuple(found)
    remove = tuple(RemoveSidecar(each, cause) for each in found)
    return SidecarSteps(_restores(found, cause), remove)


def _set_modes(wanted: SidecarSpec, found: Mapping[str, str]) -> tuple[SetComputeMode, ...]:
    """Give the sidecar's GPUs the compute mode that they should have, where they have another."""
    mode = wanted.compute_mode
    return tuple(
        _setting(uuid, found.get(uuid), mode, "gpu.set_compute_mode: true")
        for uuid in wanted.gpu_uuids
        if mode is not None and found.get(uuid) != mode
    )


def _unchanged_gpus(
    wanted: SidecarSpec, found: Mapping[str, str], changed: Sequence[SetComputeMode]
) -> tuple[Unchanged, ...]:
    """What is to be known of GPUs that are left as they are."""
    touched = {each.uuid for each in changed}
    return tuple(
        Unchanged(f"gpu {uuid}", _said_of(found[uuid], wanted))
        for uuid in wanted.gpu_uuids
        if uuid in found and uuid not in touched
    )


def _said_of(mode: str, wanted: SidecarSpec) -> str:
    if mode == "EXCLUSIVE_PROCESS":
        return f"compute mode {mode}: who does not reach the {wanted.title} cannot use it"
    if mode != "DEFAULT":
        return f"compute mode {mode}"
    return (
        f"compute mode {mode}: what does not reach the {wanted.title} runs without it;"
        " gpu.set_compute_mode would keep that out"
    )


def _restores(found: Iterable[ObservedSidecar], cause: str) -> tuple[SetComputeMode, ...]:
    return tuple(
        _setting(uuid, sidecar.spec.compute_mode, mode, cause)
        for sidecar in found
        for uuid, mode in sidecar.restores
        if mode != sidecar.spec.compute_mode
    )


def _setting(uuid: str, old: str | None, new: str, cause: str) -> SetComputeMode:
    change = FieldChange("compute_mode", old, new, forces_replacement=False)
    return SetComputeMode(uuid, new, cause, (change,))
