"""The verb doctor. It prints, and asks before it mends."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import click
from msgspec import Struct

from orchestrator.choose import EngineName, docker_engine, local_engine, state_folder
from orchestrator.display.console import Console, print_json
from orchestrator.display.findings import show_finding, show_mended
from orchestrator.doctor.examination import Examination, Patient, examine
from orchestrator.doctor.finding import Finding, Remedy, Status, exit_code
from orchestrator.doctor.fixing import Mended, perform, remedies
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode
from orchestrator.gpus.nvidia_smi import read_inventory
from orchestrator.playbook.given import NOTHING, Given

GPU_DEADLINE_S = 15.0


class DoctorOptions(Struct, frozen=True):
    """The options of doctor."""

    engine: EngineName = EngineName.AUTO
    given: Given = NOTHING
    fix: bool = False
    yes: bool = False
    as_json: bool = False
    gpu_selftest: bool = False


def doctor_verb(path: Path | None, options: DoctorOptions) -> ExitCode:
    """Examine the machine and print what was found; with `fix`, mend, and examine again."""
    _refuse_what_does_not_fit(options)
    console = Console(quiet=options.as_json)
    patient = _patient(path, options)
    _introduce(console, path, patient)
    if options.gpu_selftest:
        from orchestrator.commands.selftesting import selftest_verb

        return selftest_verb(console, patient)
    found = examine(patient)
    _show(console, found)
    mended: tuple[Mended, ...] = ()
    if options.fix:
        mended = tuple(_mend(console, found.findings, patient, options))
        if mended:
            found = examine(patient)
            console.heading("AGAIN")
            _show(console, found)
    if options.as_json:
        _print_document(path, patient, found, mended)
    return exit_code(found.findings)


def _refuse_what_does_not_fit(options: DoctorOptions) -> None:
    if options.yes and not options.fix:
        raise click.UsageError("--yes goes with --fix")
    if options.gpu_selftest and (options.fix or options.as_json):
        raise click.UsageError("--gpu-selftest writes a file of its own, and mends nothing")
    if options.fix and options.as_json and not options.yes:
        raise click.UsageError("--json leaves no room for questions: give --yes with --fix")


def _patient(path: Path | None, options: DoctorOptions) -> Patient:
    loaded = None
    if path is not None:
        from orchestrator.playbook.loader import load

        loaded = load(path, options.given)
    return Patient(
        engine=_engine(options.engine),
        loaded=loaded,
        state_folder=state_folder(),
        inventory=lambda: read_inventory(GPU_DEADLINE_S),
        environ=os.environ,
    )


def _engine(name: EngineName) -> Engine:
    """Docker unless the other one is named: that Docker does not answer is what to find out."""
    return local_engine() if name is EngineName.LOCAL else docker_engine()


def _introduce(console: Console, path: Path | None, patient: Patient) -> None:
    about = "this machine"
    if patient.loaded is not None:
        ranks = patient.loaded.playbook.ranks
        about = f"{path}: {patient.loaded.playbook.name}, {ranks.nodes} nodes"
    console.heading(f"DOCTOR {about}, on {patient.engine.traits.name}")


def _show(console: Console, found: Examination) -> None:
    for finding in found.findings:
        show_finding(console, finding)
    counts = " ".join(f"{status.value}={found.count(status)}" for status in Status)
    console.heading(f"FOUND {counts}")


def _mend(
    console: Console, findings: tuple[Finding, ...], patient: Patient, options: DoctorOptions
) -> Iterator[Mended]:
    for finding, remedy in remedies(findings):
        if options.yes or _agreed(remedy):
            done = perform(finding, remedy, patient.engine, patient.state_folder / "locks")
            show_mended(console, done)
            yield done
    left = [each for each in findings if each.mend and not each.remedies]
    if left:
        console.say(f"left for you: {', '.join(each.id for each in left)}")


def _agreed(remedy: Remedy) -> bool:
    """Ask. Whoever cannot be asked, as there is no terminal, has not agreed."""
    try:
        return click.confirm(f"run `{remedy}`?", default=False)
    except click.Abort:
        return False


def _print_document(
    path: Path | None, patient: Patient, found: Examination, mended: tuple[Mended, ...]
) -> None:
    from orchestrator.doctor.document import doctor_result

    project = patient.loaded.playbook.name if patient.loaded else ""
    names = (str(path or ""), project, patient.engine.traits.name)
    result = doctor_result(names, found.facts.system, found.findings, mended)
    print_json(asdict(result))
