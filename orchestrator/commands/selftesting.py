"""`doctor --gpu-selftest`. It prints, and writes the report."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from orchestrator.choose import cache_folder
from orchestrator.display.console import Console
from orchestrator.display.findings import show_finding
from orchestrator.doctor.examination import Examination, Patient, examine
from orchestrator.doctor.facts import Unknown
from orchestrator.errors import ExitCode, FolderUnusable
from orchestrator.events import (
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    CheckChanged,
    Event,
    StillWaiting,
)
from orchestrator.gpus.inventory import Gpu
from orchestrator.playbook.show import resolved
from orchestrator.redaction import redacted
from orchestrator.selftest.image import lay_out
from orchestrator.selftest.report import FILE, markdown, table
from orchestrator.selftest.result import ModeResult, not_possible
from orchestrator.selftest.running import Bench, run_trial
from orchestrator.selftest.trials import trials
from orchestrator.versions import versions

_TOLD = (ActionStarted, ActionProgressed, ActionFailed, CheckChanged, StillWaiting)


def selftest_verb(console: Console, patient: Patient) -> ExitCode:
    """Try every mode that the GPUs allow, print a table, write a file for an issue."""
    found = examine(replace(patient, loaded=None))
    gpus = found.facts.gpus.inventory
    if isinstance(gpus, Unknown):
        console.say_error(f"orchestrate: {gpus.why}; {gpus.fix}")
    for finding in found.findings:
        if finding.id.startswith("gpu-"):
            show_finding(console, finding)
    results = _try_all(console, patient, () if isinstance(gpus, Unknown) else gpus)
    console.heading("GPU SELFTEST")
    console.show_lines(table(results))
    _write(console, found, results, versions(patient.engine))
    return _code(results)


def _try_all(console: Console, patient: Patient, gpus: tuple[Gpu, ...]) -> list[ModeResult]:
    results = []
    for trial in trials(gpus):
        if trial.obstacle:
            results.append(not_possible(trial))
            continue
        console.heading(f"TRY {trial.mode}")
        results.append(run_trial(trial, _bench(patient), lambda event: _tell(console, event)))
    return results


def _bench(patient: Patient) -> Bench:
    base = patient.loaded or lay_out(cache_folder() / "gpu-selftest")
    return Bench(
        patient.engine,
        resolved(base.playbook),
        base.folder,
        patient.state_folder / "locks",
        patient.inventory,
    )


def _tell(console: Console, event: Event) -> None:
    """What takes long, and what holds; all else is in the folder of the run."""
    if isinstance(event, _TOLD):
        console.tell(event)


def _write(
    console: Console, found: Examination, results: list[ModeResult], named: dict[str, str]
) -> None:
    text = redacted(markdown(found.facts, found.findings, results, named))
    try:
        Path(FILE).write_text(text, encoding="utf-8")
    except OSError as exc:
        raise FolderUnusable(
            f"{FILE} cannot be written: {exc.strerror}", fix="run this in a folder of yours"
        ) from exc
    console.say(f"written to {FILE}: please paste it into an issue, whatever it says")


def _code(results: list[ModeResult]) -> ExitCode:
    tried = [each for each in results if each.status != "not possible"]
    if not tried:
        return ExitCode.GPU_UNAVAILABLE
    holds = all(each.status == "ok" for each in tried)
    return ExitCode.CONVERGED if holds else ExitCode.NOT_CONVERGED
