"""One finding: what was found, why it matters, and the exact command that mends it."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from orchestrator.errors import ExitCode

PAGE = "docs/doctor.md"


class Status(StrEnum):
    """How a finding is to be taken."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"  # not needed here, or it cannot be told


class RunProgram(Struct, frozen=True):
    """A harmless command; one that takes root is run as such, or through `sudo` that never asks."""

    argv: tuple[str, ...]
    needs_root: bool = True

    def __str__(self) -> str:
        return " ".join(self.argv)


class RemoveProject(Struct, frozen=True):
    """Networks that a killed command has left of a project of ours without nodes."""

    project: str

    def __str__(self) -> str:
        return f"orchestrate destroy {self.project}"


Remedy = RunProgram | RemoveProject
"""What `--fix` can do by itself."""


class Finding(Struct, frozen=True):
    """One answer of the doctor.

    Attributes:
        id: what it is about; also its heading in docs/doctor.md.
        found: what was found.
        why: why that matters; empty where nothing is wrong.
        mend: the command or the change that mends it; empty where nothing is wrong.
        code: how an apply would end because of it; None where it would not.
        remedies: what `--fix` does about it, in order.
    """

    id: str
    status: Status
    found: str
    why: str = ""
    mend: str = ""
    code: ExitCode | None = None
    remedies: tuple[Remedy, ...] = ()

    @property
    def docs(self) -> str:
        """Where more is said of it."""
        return f"{PAGE}#{self.id}"


def ok(id_: str, found: str) -> Finding:
    """As it should be."""
    return Finding(id_, Status.OK, found)


def skipped(id_: str, found: str) -> Finding:
    """Not needed here, or it cannot be told."""
    return Finding(id_, Status.SKIPPED, found)


def exit_code(findings: tuple[Finding, ...]) -> ExitCode:
    """How a doctor that found this ends: as an apply would that meets the first problem."""
    problems = (each.code for each in findings if each.status is Status.PROBLEM)
    return next(problems, None) or ExitCode.CONVERGED
