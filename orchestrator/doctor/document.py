"""The document that `doctor --json` prints, as types; docs/doctor.md.

Its JSON Schema, docs/doctor.schema.json, is made from these types:
`python -m orchestrator.doctor.document docs/` writes it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.doctor.facts import System
from orchestrator.doctor.finding import Finding, Status, exit_code
from orchestrator.doctor.fixing import Mended

SCHEMA_FILE = "doctor.schema.json"


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """One finding; `why` and `mend` are empty where nothing is wrong.

    `exit_code` is how apply would end because of it, null where it would not; `fixes` are the
    commands that `--fix` offers to run.
    """

    id: str
    status: Literal["ok", "warning", "problem", "skipped"]
    found: str
    why: str
    mend: str
    docs: str
    exit_code: int | None
    fixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MendedEntry:
    """What `--fix` has tried; `error` is empty where it went well."""

    finding: str
    command: str
    error: str


@dataclass(frozen=True, slots=True)
class DoctorResult:
    """What the doctor found. `playbook` and `project` are empty where none was named.

    With `--fix`, `findings` are those after it, and `mended` is what was tried.
    """

    playbook: str
    project: str
    engine: str
    system: str
    findings: tuple[FindingEntry, ...]
    mended: tuple[MendedEntry, ...]
    counts: dict[str, int]
    exit_code: int


def doctor_result(
    names: tuple[str, str, str],
    system: System,
    findings: tuple[Finding, ...],
    mended: tuple[Mended, ...],
) -> DoctorResult:
    """Make the document.

    Args:
        names: of the playbook's file, the project and the engine.
        system: what the commands are for.
        findings: in order.
        mended: what was tried before.
    """
    playbook, project, engine = names
    return DoctorResult(
        playbook=playbook,
        project=project,
        engine=engine,
        system=system.name,
        findings=tuple(map(_entry, findings)),
        mended=tuple(MendedEntry(each.finding, each.command, each.error) for each in mended),
        counts={status.value: sum(each.status is status for each in findings) for status in Status},
        exit_code=int(exit_code(findings)),
    )


def _entry(finding: Finding) -> FindingEntry:
    return FindingEntry(
        id=finding.id,
        status=finding.status.value,
        found=finding.found,
        why=finding.why,
        mend=finding.mend,
        docs=finding.docs,
        exit_code=None if finding.code is None else int(finding.code),
        fixes=tuple(map(str, finding.remedies)),
    )


def doctor_schema() -> dict[str, Any]:
    """Make the JSON Schema of what the doctor prints with `--json`."""
    from pydantic import TypeAdapter

    schema = TypeAdapter(DoctorResult).json_schema(mode="serialization")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, **schema, "title": "orchestrate doctor"}


def schema_text() -> str:
    """Write the schema the way docs/doctor.schema.json has it."""
    return json.dumps(doctor_schema(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
