"""Examine a machine for a playbook: gather the facts, and what planning says of it."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator import __version__
from orchestrator.deciding import Decision, Request, decide, desired_state
from orchestrator.doctor.facts import Docker, Facts, Folder, Unknown
from orchestrator.doctor.finding import Finding, Status
from orchestrator.doctor.gathering.gpus import read_gpus
from orchestrator.doctor.gathering.machine import (
    memory_free,
    read_folder,
    read_kernel,
    read_system,
)
from orchestrator.doctor.judging import judge
from orchestrator.doctor.judging.machine import NETWORKING, SHAPING
from orchestrator.doctor.needs import Needs, needs_of
from orchestrator.engines.base import Engine
from orchestrator.errors import OrchestrateError
from orchestrator.gpus.inventory import Gpu, Inventory
from orchestrator.plans.document import plan_text
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.state.desired import DesiredState


class Patient(Struct, frozen=True):
    """What is examined.

    Attributes:
        engine: where nodes would run.
        loaded: the playbook; None: the general part alone.
        state_folder: where locks and secrets are kept.
        inventory: asks for the machine's GPUs.
        root: where the machine's files begin.
        environ: the environment.
    """

    engine: Engine
    loaded: LoadedPlaybook | None
    state_folder: Path
    inventory: Inventory
    root: Path = Path("/")
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)

    @property
    def uses_docker(self) -> bool:
        """True where nodes are containers."""
        return self.engine.traits.is_isolated


class Examination(Struct, frozen=True):
    """What was found out of a machine, and what comes of it."""

    facts: Facts
    findings: tuple[Finding, ...]

    def count(self, status: Status) -> int:
        """How many findings have a status."""
        return sum(each.status is status for each in self.findings)


def examine(patient: Patient) -> Examination:
    """Ask the machine all there is to know, and judge it. Changes nothing.

    Raises:
        OrchestrateError: the playbook cannot be understood for this engine, such as a secret
            that is not there.
    """
    request, desired, needs = _wanted(patient)
    facts = _gather(patient, needs)
    if request is not None and desired is not None:
        facts = _with_plan(facts, replace(request, inventory=_told(facts)), desired)
    return Examination(facts, _once(judge(facts, needs)))


def _wanted(patient: Patient) -> tuple[Request | None, DesiredState | None, Needs | None]:
    if patient.loaded is None:
        return None, None, None
    request = Request(patient.loaded, patient.engine, patient.state_folder / "locks")
    desired = desired_state(request)
    return request, desired, needs_of(desired)


def _gather(patient: Patient, needs: Needs | None) -> Facts:
    root, environ = patient.root, patient.environ
    with ThreadPoolExecutor(2) as pool:  # each waits for other programs
        docker = pool.submit(_docker, patient, needs.image if needs else None)
        gpus = pool.submit(read_gpus, patient.inventory, environ, root)
        release = os.uname().release
        return Facts(
            system=read_system(root),
            release=release,
            python=f"{platform.python_version()}, orchestrate {__version__}",
            cpus=os.cpu_count() or 1,
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            memory_free_bytes=memory_free(root),
            folders=_folders(patient),
            docker=docker.result(),
            kernel=read_kernel((*NETWORKING, *SHAPING), release, root),
            gpus=gpus.result(),
        )


def _docker(patient: Patient, image: str | None) -> Docker | None:
    if not patient.uses_docker:
        return None
    from orchestrator.doctor.gathering.docker import Asked, docker_cli, read_docker

    environ = patient.environ
    return read_docker(Asked(docker_cli(environ), patient.engine, image, environ))


def _folders(patient: Patient) -> tuple[Folder, ...]:
    try:
        runs = read_folder("runs", Path.cwd() / ".orchestrate" / "runs")
    except FileNotFoundError:  # the working folder was removed
        runs = Folder("runs", ".", ".", 0)
    return read_folder("state", patient.state_folder), runs


def _told(facts: Facts) -> Inventory:
    """The inventory that was found, so that nobody is asked twice."""

    def tell() -> tuple[Gpu, ...]:
        found = facts.gpus.inventory
        if isinstance(found, Unknown):
            from orchestrator.errors import GpuUnavailable

            raise GpuUnavailable(found.why, fix=found.fix)
        return found

    return tell


def _with_plan(facts: Facts, request: Request, desired: DesiredState) -> Facts:
    """The facts with what planning says; it needs an engine that answers."""
    if facts.docker is not None and isinstance(facts.docker.engine, Unknown):
        return facts
    try:
        decision = decide(request, desired)
    except OrchestrateError as exc:
        return replace(facts, plan=Unknown(exc.what, exc.fix, exc.exit_code))
    summary = plan_text(decision.plan).rpartition("\n")[2].removeprefix("Plan: ")
    return replace(facts, plan=summary, port=_port(request, decision))


def _port(request: Request, decision: Decision) -> Unknown | None:
    """Whether rank 0 can listen, where it does so on this machine and none of ours does yet."""
    is_up = any(node.is_active for node in decision.observed.nodes)
    if request.engine.traits.is_isolated or is_up:
        return None
    from orchestrator.engines.local.launch import check_port

    try:
        check_port(str(request.loaded.playbook.rendezvous.port))
    except OrchestrateError as exc:
        return Unknown(exc.what, exc.fix, exc.exit_code)
    return None


def _once(findings: tuple[Finding, ...]) -> tuple[Finding, ...]:
    """Leave out what planning says where an earlier finding has said it, with better advice."""
    told = {each.found for each in findings if each.id != "plan"}
    return tuple(each for each in findings if each.id != "plan" or each.found not in told)
