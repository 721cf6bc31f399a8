"""Rounds with the probe and without become a row, and a row a verdict."""

from __future__ import annotations

import pytest

from benchmarks.interval import Interval
from benchmarks.meanwhile import busy_s
from benchmarks.probe_cost import (
    Measured,
    Record,
    Round,
    Size,
    Turn,
    replaced,
    row,
    section,
    verdict,
)

SIZE = Size(256, 64)
ROUNDS = [
    Round(
        probed=[Turn(100, 0.102 + 0.0003 * number, 0.12), Turn(200, 0.201, 0.10725)],
        without=[Turn(200, 0.199, 0.1), Turn(100, 0.1005, 0.1), Turn(100, 0.1005, 0.1)],
    )
    for number in range(-3, 4)
]
CELLS = (
    "256 wide, 64 rows",
    "1.00",
    "+1.00 % (+0.70 to +1.30)",
    "not shown",
    "+1.00 % (+1.00 to +1.00)",
    "+0.67 % (+0.67 to +0.67)",
)


def test_steps_with_the_probe_are_compared_with_those_without() -> None:
    assert row(SIZE, ROUNDS) == CELLS


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.98, 1.0099, "yes"),
        (0.9, 0.95, "yes"),
        (0.99, 1.0101, "not shown"),
        (1.0099, 1.5, "not shown"),
        (1.0101, 1.02, "**no**"),
    ],
)
def test_a_bound_is_shown_where_the_whole_interval_keeps_it(
    low: float, high: float, expected: str
) -> None:
    assert verdict(Interval((low + high) / 2, low, high)) == expected


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (0.25, "Others used 0.25 cores meanwhile."),
        (0.26, "**The machine was busy: others used 0.26 cores meanwhile."),
    ],
)
def test_the_section_says_whose_the_machine_was(others: float, said: str) -> None:
    measured = Measured([(SIZE, ROUNDS)], Record(SIZE, 0.000321), 1.2e-7, others)
    text = section("2026-11-26 (2 cores)", measured)
    assert text.startswith(
        f"Written by `python -m benchmarks.probe` on 2026-11-26 (2 cores). {said}"
    )
    assert f"| {' | '.join(CELLS)} |\n" in text
    assert "takes 0.1 µs" in text
    assert "321 µs more of the processor (256 wide, 64 rows).\n" in text


def test_only_what_is_between_the_marks_is_replaced() -> None:
    page = "# A\n<!-- measured: begin -->\nold\n<!-- measured: end -->\n## B\n"
    assert replaced(page, "new\n") == page.replace("old", "new")


def test_time_without_work_is_not_counted_nor_that_of_guests_twice() -> None:
    ticks_a_second = 100
    stat = "cpu  100 10 50 7000 900 5 15 20 60 6\ncpu0 1 2 3\n"
    assert busy_s(stat, ticks_a_second) == 2.0
