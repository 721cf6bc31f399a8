"""docs/diagnosis.md is what the table of signatures and the measured runs make of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.diagnosis.answers import read_answers
from tests.diagnosis.cases import CASES
from tests.diagnosis.measured import Plain, Row, measured_rows
from tests.diagnosis.page import fill, runs_section, signature_section

PAGE = Path(__file__).resolve().parents[2] / "docs" / "diagnosis.md"
ROW = Row("killed", "it | dies", "rank 1 (diagnosis-node-1) dies", False, "start", 3.25)


def test_the_signatures_are_in_step() -> None:
    text = PAGE.read_text()
    assert fill(text, "signatures", signature_section()) == text


def test_the_runs_are_those_that_were_measured_and_every_answer_was_right() -> None:
    text, rows = PAGE.read_text(), measured_rows()
    assert fill(text, "runs", runs_section(rows)) == text
    assert [(row.case, row.wrong, row.is_right) for row in rows] == [
        (case.name, case.wrong, True) for case in CASES
    ]


def test_a_row_says_what_its_capture_says() -> None:
    answers = read_answers()
    told = {row.case: row.headline for row in measured_rows()}
    assert told == {name: headline_of(kept) for name, kept in answers.items()}


def headline_of(kept: object) -> object:
    assert isinstance(kept, dict)
    return kept["diagnosis"]["headline"]


@pytest.mark.parametrize(
    ("plain", "told"),
    [
        (None, "not measured |  |"),
        (Plain(0, None, ""), "nothing | — |"),
        (Plain(1, 3.0, "ValueError: a|b"), "node 1: `ValueError: a\\|b` | 3.0 s |"),
        (Plain(0, 11.0, "Timed out after 9 s"), "node 0: `Timed out after 9 s` | 11.0 s ⏱ |"),
    ],
)
def test_a_row_of_the_table(plain: Plain | None, told: str) -> None:
    exited = replace(ROW, since="first exit", case="missing_file")
    hung = replace(ROW, since="last step", case="endless_loop", is_right=True)
    row = replace(ROW, plain=plain)
    lines = runs_section([row, exited, hung]).splitlines()
    assert lines[2] == (
        f"| `killed` | it \\| dies | rank 1 (node-1) dies | **no** | 3.2 s after the start | {told}"
    )
    assert lines[-1] == (
        "1 of 3 right. Slowest answer after a first exit: 3.2 s; after the last step of a run that"
        " hung: 3.2 s."
    )


def test_a_page_without_the_part_is_refused() -> None:
    with pytest.raises(ValueError, match="not found"):
        fill("a page", "runs", "")
