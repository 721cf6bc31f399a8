"""The documents that `apply --json` and `verify --json` print, as types; docs/results.md.

Their JSON Schema, docs/results.schema.json, is made from these types:
`python -m orchestrator.report.result docs/` writes it.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

SCHEMA_FILE = "results.schema.json"


class PlannedField(TypedDict):
    """A field of an object that differs from what is wanted of it."""

    field: str
    old: str
    new: str
    forces_replacement: bool


class PlannedEntry(TypedDict):
    """One object, what becomes of it, and why."""

    kind: str
    name: str
    action: Literal["create", "change", "replace", "remove", "keep"]
    cause: str
    gpus: NotRequired[list[str]]
    fields: list[PlannedField]


class PlanEntries(TypedDict):
    """A plan; see docs/plan.md."""

    version: int
    project: str
    engine: str
    counts: dict[str, int]
    objects: list[PlannedEntry]


@dataclass(frozen=True, slots=True)
class Performed:
    """An action that was carried out, or that the engine refused: then `reason` says why."""

    kind: str
    name: str
    status: Literal["done", "failed"]
    took_s: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Warned:
    """What of the machine may not do for what was started; see docs/doctor.md."""

    about: str
    found: str
    why: str
    mend: str


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """One rank, or one node where `rank` is null, for which a check does not hold."""

    node_rank: int
    rank: int | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class CheckEntry:
    """One check, its status, and in one line why."""

    name: str
    status: Literal["ok", "failed", "skipped", "pending"]
    why: str
    findings: tuple[FindingEntry, ...]


@dataclass(frozen=True, slots=True)
class RestartEntry:
    """One restart: the attempt that failed, and why.

    `number` counts from 1, up to `limit`.
    """

    number: int
    limit: int
    cause: str
    failed_run_id: str


class WayIntoTheGroup(TypedDict):
    """When a rank reached each phase, in seconds since its node started; null: not seen."""

    rank: int
    node_rank: int
    created: float | None
    started: float | None
    interpreter: float | None
    torch: float | None
    rendezvous: float | None
    resolved: float | None
    reached: float | None
    store: float | None
    joined: float | None


class EvidenceEntry(TypedDict):
    """A line of a node's log, or what the engine or the probe says of it, and when."""

    at_s: float
    node_rank: int
    text: str


class DiagnosisDocument(TypedDict):
    """Why a run failed; see docs/diagnosis.md. `headline` says all of it in a line."""

    headline: str
    cause: str
    node_rank: int | None
    node: str
    rank: int | None
    also: tuple[int, ...]
    what: str
    why: str
    mend: str
    at_s: float
    weight: Literal["primary", "likely", "secondary"]
    evidence: tuple[EvidenceEntry, ...]
    consequences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecapCounts:
    """How many objects and checks were as they should be, changed, failed, or not reached."""

    ok: int
    changed: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class ApplyResult:
    """How an apply ended that came to its end. Times are seconds, `began_at_s` since the epoch.

    `checks` is empty where nothing was waited for (`--detach`). `cause` is what failed in the last
    attempt, in brief, empty when nothing did; `restarts` has one entry for each attempt before.
    """

    project: str
    engine: str
    run_id: str
    run_dir: str
    plan: PlanEntries
    warnings: tuple[Warned, ...]
    actions: tuple[Performed, ...]
    checks: tuple[CheckEntry, ...]
    join: tuple[WayIntoTheGroup, ...]
    restarts: tuple[RestartEntry, ...]
    cause: str
    diagnosis: DiagnosisDocument | None
    recap: RecapCounts
    began_at_s: float
    took_s: float
    exit_code: int


@dataclass(frozen=True, slots=True)
class VerifyResult:
    """How a run was judged: by its nodes, or by what was kept of it.

    `missing` names what was kept no more of a run whose nodes are gone.
    """

    project: str
    engine: str
    run_id: str
    run_dir: str
    source: Literal["nodes", "kept"]
    missing: tuple[str, ...]
    checks: tuple[CheckEntry, ...]
    join: tuple[WayIntoTheGroup, ...]
    cause: str
    diagnosis: DiagnosisDocument | None
    judged_at_s: float
    took_s: float
    exit_code: int


class PlaybookFault(TypedDict):
    """One thing wrong with a playbook; lines and columns count from 1."""

    file: str
    line: int
    column: int
    path: str
    what: str
    fix: str


class ErrorEntry(TypedDict):
    """What went wrong: its kind is the name of the exit code; see docs/exit-codes.md."""

    kind: str
    exit_code: int
    what: str
    fix: NotRequired[str]
    faults: NotRequired[list[PlaybookFault]]


class ErrorResult(TypedDict):
    """What every verb prints with `--json` that did not come to its end."""

    error: ErrorEntry


def results_schema() -> dict[str, Any]:
    """Make the JSON Schema of what apply and verify print with `--json`."""
    adapter: TypeAdapter[Any] = TypeAdapter(ApplyResult | VerifyResult | ErrorResult)
    schema = adapter.json_schema(mode="serialization")
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return {"$schema": dialect, "title": "orchestrate results", **schema}


def schema_text() -> str:
    """Write the schema the way docs/results.schema.json has it."""
    return json.dumps(results_schema(), indent=2) + "\n"


if __name__ == "__main__":
    (Path(sys.argv[1]) / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
