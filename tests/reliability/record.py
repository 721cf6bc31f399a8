"""What tests measured, as rows of tables.

A test takes the fixture `record_case` and calls it once for each row it can vouch for, after
its assertions:

    record_case("crash points, docker", "first apply", moment="before", points=5, converged=5)

The first argument names the table, the second the row; keywords are the columns, in the order
given. Rows are kept in the order in which they came. `pytest --reliability-out DIR` runs only
the tests that take the fixture and writes the rows to DIR/results.json, and
`python -m tests.reliability` makes the page of that file. A table that `page.py` has no words
for is shown all the same, under its own name.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

Cell = str | int | float
RecordCase = Callable[..., None]
"""`record_case(table, case, **columns)`."""

RESULTS_FILE = "results.json"
MALFORMED = "malformed inputs"


def record_inputs(record_case: RecordCase, kind: str, *, refused: int = 0, read: int = 0) -> None:
    """Add inputs of a kind that ended as they should: refused with a typed error, or read.

    The page adds up the rows of a kind, so a test may call this for each input.
    """
    num = refused + read
    record_case(MALFORMED, kind, inputs=num, refused=refused, read=read, passed=num)


@dataclass
class Results:
    """The rows of all tables of one test run."""

    tables: dict[str, list[dict[str, Cell]]] = field(default_factory=dict)

    def record(self, table: str, case: str, **columns: Cell) -> None:
        """Add one row."""
        self.tables.setdefault(table, []).append({"case": case, **columns})

    def write(self, folder: Path) -> None:
        """Write all rows to the folder's results file."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / RESULTS_FILE).write_text(json.dumps(self.tables, indent=1) + "\n")
