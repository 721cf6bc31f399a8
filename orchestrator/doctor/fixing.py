"""What `--fix` does: the harmless mends alone, each by name. It asks nobody; its caller has.

Never done here, whatever is found: installing packages, restarting an engine that runs (its
containers end), removing images or what is not ours, changing groups, the engine's
configuration, kernel parameters, or a GPU's mode.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from orchestrator.doctor.finding import Finding, Remedy, RemoveProject, RunProgram
from orchestrator.engines.base import Engine, Query
from orchestrator.errors import OrchestrateError
from orchestrator.images.command import Limits, stream
from orchestrator.lock import project_lock

DEADLINE_S = 120.0


class Mended(Struct, frozen=True):
    """A remedy that was tried; `error` is empty where it went well."""

    finding: str
    command: str
    error: str = ""


def remedies(findings: tuple[Finding, ...]) -> Iterator[tuple[Finding, Remedy]]:
    """What can be done about what was found, in order."""
    for finding in findings:
        for remedy in finding.remedies:
            yield finding, remedy


def perform(finding: Finding, remedy: Remedy, engine: Engine, lock_folder: Path) -> Mended:
    """Do one thing. Never raises what it fails with."""
    match remedy:
        case RemoveProject(project):
            error = _removed(project, engine, lock_folder)
        case RunProgram():
            error = _ran(remedy)
    return Mended(finding.id, str(remedy), error)


def _removed(project: str, engine: Engine, lock_folder: Path) -> str:
    """Remove the networks of a project that still has no node; an apply may have come since."""
    try:
        with project_lock(lock_folder, engine.traits.lock_name, project, doing="doctor --fix"):
            observed = engine.observe(Query(project))
            if observed.nodes:
                return "it has nodes again"
            if observed.sidecars:
                return "it has an MPS daemon as well, whose GPU only destroy puts back"
            for network in observed.networks:
                engine.remove_network(network)
    except OrchestrateError as exc:
        return str(exc)
    return ""


def _ran(program: RunProgram) -> str:
    # `-n`: sudo fails rather than wait for a password that nobody types.
    prefix = ("sudo", "-n") if program.needs_root and os.geteuid() != 0 else ()
    argv = (*prefix, *program.argv)
    try:
        done = stream(argv, Limits(DEADLINE_S), lambda _line: None)
    except OSError as exc:
        return f"{argv[0]}: {exc.strerror}"
    if done.ok:
        return ""
    if done.timed_out:
        return f"it did not end within {DEADLINE_S:g} s"
    return done.lines[-1] if done.lines else f"exit code {done.returncode}"
