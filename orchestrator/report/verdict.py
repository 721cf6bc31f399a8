"""The verdict of a run as it was told when it was judged, from the file that has it.

It was written without secrets, by who knew them. What `recall` makes of the raw logs is the same
verdict, but may quote a line with a secret in it that nobody knows here any more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from msgspec import Struct, convert
from msgspec.structs import replace

from orchestrator.kept.files import VERDICT_FILE
from orchestrator.recall import read_document
from orchestrator.verify.diagnose import Diagnosis
from orchestrator.verify.results import CheckResult, Status
from orchestrator.verify.suspects import Weight
from orchestrator.watch import Judgement

WITHHELD = "left out: it may quote a secret whose value is not known here"


class Quotable(Struct, frozen=True):
    """Where words of nodes may be shown from: not where a secret in them could not be hidden.

    Attributes:
        logs: the raw logs, which hold whatever nodes have printed.
        kept: what apply wrote down of them, without the secrets that it knew.
    """

    logs: bool = True
    kept: bool = True


class Verdict(Struct, frozen=True):
    """The checks, and why one of them failed."""

    checks: tuple[CheckResult, ...]
    diagnosis: Diagnosis | None = None

    @property
    def holds(self) -> bool:
        """True when every check holds."""
        return all(check.status is Status.OK for check in self.checks)


def verdict_of(folder: Path, judgement: Judgement, quotable: Quotable) -> Verdict:
    """As it was told; else as the run is judged now, by what its logs come to."""
    told = _told(folder)
    if told is not None and quotable.kept:
        return told
    if quotable.logs:
        return Verdict(judgement.results, judgement.diagnosis)
    return Verdict(tuple(map(_without_words, told.checks if told else judgement.results)))


def _without_words(check: CheckResult) -> CheckResult:
    why = check.why if check.status is Status.OK else WITHHELD
    return replace(check, why=why, findings=())


def _told(folder: Path) -> Verdict | None:
    try:
        kept = read_document(folder / VERDICT_FILE, dict[str, Any])
        _spell_out_weight(kept.get("diagnosis"))
        found = convert(kept, Verdict)
    except (OSError, ValueError):
        return None
    return found if found.checks else None


def _spell_out_weight(diagnosis: object) -> None:
    """Its name is kept; the type has a number."""
    if isinstance(diagnosis, dict):
        name = str(diagnosis.get("weight")).upper()
        diagnosis["weight"] = Weight[name] if name in Weight.__members__ else None
