"""What was measured of each case, kept, so that one case can be run again without the others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.diagnosis.cases import CASES

MEASURED = Path(__file__).with_name("measured.json")


@dataclass(frozen=True, slots=True)
class Row:
    """One case as it was run: what was said, whether that was right, and after how long.

    `since` is the moment that `answered_after_s` counts from. The `plain` ones are of the same
    run that nobody follows: None where nothing had ended by then.
    """

    case: str
    wrong: str
    headline: str
    is_right: bool
    since: str
    answered_after_s: float
    plain_node: int
    plain_after_s: float | None
    plain_line: str


def read_rows() -> tuple[Row, ...]:
    """The rows that are kept, in the order of the cases."""
    if not MEASURED.exists():
        return ()
    kept = {fields["case"]: Row(**fields) for fields in json.loads(MEASURED.read_text())}
    return tuple(kept[case.name] for case in CASES if case.name in kept)


def write_rows(rows: Sequence[Row]) -> None:
    """Keep these rows in place of older ones of the same cases."""
    new = {row.case: row for row in (*read_rows(), *rows)}
    ordered = [asdict(new[case.name]) for case in CASES if case.name in new]
    MEASURED.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
