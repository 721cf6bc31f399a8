"""The part of the doctor that apply does first: what this machine has, against what nodes ask for.

Only what costs next to nothing: a few numbers of the kernel's. Where they do not fit, the engine
is asked as well, since it may be given less or more than this process, and its word counts.
"""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.doctor.fitting import cpus_fit, disk_fits, memory_fits, space_for
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, NodeNotStarted, OrchestrateError, OutOfSpace
from orchestrator.plans.plan import BuildImage, Plan
from orchestrator.state.desired import DesiredState

if TYPE_CHECKING:
    from orchestrator.doctor.finding import Finding

DATA_ROOT = "/var/lib/docker"
"""Where the engine's disk is unless it was moved."""

_ERRORS: dict[ExitCode, type[OrchestrateError]] = {
    ExitCode.NODE_NOT_STARTED: NodeNotStarted,
    ExitCode.OUT_OF_SPACE: OutOfSpace,
}


class Machine(Struct, frozen=True):
    """What there is for nodes; None where that is not known."""

    cpus: int
    memory_bytes: int
    memory_free_bytes: int | None
    disk: str
    disk_free_bytes: int | None = None
    disk_free_files: int | None = None


@runtime_checkable
class KnowsMachine(Protocol):
    """An engine that can say what its machine has: processors, memory, and where its disk is."""

    def machine(self) -> tuple[int, int, str]:
        """Processors, bytes of memory, folder. Raises as the engine's other calls do."""


def this_machine(disk: str = DATA_ROOT) -> Machine:
    """What the kernel says."""
    free_bytes = free_files = None
    with suppress(OSError):
        found = os.statvfs(disk)
        free_bytes = found.f_bfree * found.f_frsize
        free_files = found.f_ffree if found.f_files else None
    page = os.sysconf("SC_PAGE_SIZE")
    total = page * os.sysconf("SC_PHYS_PAGES")
    return Machine(os.cpu_count() or 1, total, _memory_free(), disk, free_bytes, free_files)


def _memory_free() -> int | None:
    with suppress(OSError), open("/proc/meminfo", encoding="ascii") as file:
        if found := re.search(r"^MemAvailable:\s*([0-9]{1,15}) kB", file.read(), re.MULTILINE):
            return int(found[1]) * 1024
    return None


def usual_engine(engine: Engine) -> KnowsMachine | None:
    """The engine, where it is the usual one of this very machine and can be asked about it."""
    traits = engine.traits
    is_here = sys.platform == "linux" and traits.places_probe and not traits.endpoint
    return engine if is_here and isinstance(engine, KnowsMachine) else None


def preflight(
    desired: DesiredState, plan: Plan, engine: KnowsMachine, machine: Machine
) -> tuple[Finding, ...]:
    """Say what of this machine will not do for what is about to be started; most often nothing."""
    if not plan.start_nodes or _fits(desired, plan, machine):
        return ()
    from orchestrator.doctor.finding import Status

    told = _told_by(engine, machine)
    return tuple(each for each in _judged(desired, plan, told) if each.status is not Status.OK)


def _told_by(engine: KnowsMachine, machine: Machine) -> Machine:
    """The same machine as its engine has it."""
    cpus, memory_bytes, disk = engine.machine()
    seen = machine if disk == machine.disk else this_machine(disk)
    return replace(seen, cpus=cpus, memory_bytes=memory_bytes)


def _needed(plan: Plan) -> int:
    return space_for(builds=isinstance(plan.image, BuildImage), is_here=plan.image is None)


def _fits(desired: DesiredState, plan: Plan, machine: Machine) -> bool:
    limits = [node.limits for node in desired.nodes]
    cpus = [each.cpus or 0.0 for each in limits]
    memory = sum(each.memory_bytes or 0 for each in limits)
    return (
        cpus_fit(of_one=max(cpus, default=0.0), together=sum(cpus), has=machine.cpus)
        and memory_fits(together=memory, total=machine.memory_bytes, free=machine.memory_free_bytes)
        and (
            machine.disk_free_bytes is None
            or disk_fits(
                free_bytes=machine.disk_free_bytes,
                free_files=machine.disk_free_files,
                needed=_needed(plan),
            )
        )
    )


def _judged(desired: DesiredState, plan: Plan, machine: Machine) -> list[Finding]:
    from orchestrator.doctor.facts import Room, Unknown
    from orchestrator.doctor.judging.room import judge_cpus, judge_disk, judge_memory
    from orchestrator.doctor.needs import load_of

    load, free = load_of(desired.nodes), machine.memory_free_bytes
    known = Unknown("this system does not say what is free") if free is None else free
    found = [
        judge_cpus(load, machine.cpus),
        judge_memory(load, machine.memory_bytes, known),
    ]
    if machine.disk_free_bytes is not None:
        room = Room(machine.disk, machine.disk_free_bytes, machine.disk_free_files)
        found.append(judge_disk(room, _needed(plan)))
    return found


def refuse_problems(findings: tuple[Finding, ...]) -> None:
    """Stop for what would surely fail: with the finding's own words.

    Raises:
        OrchestrateError: of the kind that the engine's own refusal would have had.
    """
    for finding in findings:
        if finding.code is not None:
            error = _ERRORS.get(finding.code, OrchestrateError)
            raise error(f"{finding.found}: {finding.why}", fix=finding.mend)
