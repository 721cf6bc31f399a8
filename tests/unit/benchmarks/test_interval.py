"""Between what the median of all there might be lies, by the order of a sample."""

from __future__ import annotations

import pytest

from benchmarks.interval import Interval, median_interval


@pytest.mark.parametrize(
    ("num_values", "low", "high"),
    # The ranks that tables of the sign test give for a median, at 95 %.
    [(1, 1, 1), (5, 1, 5), (6, 1, 6), (8, 1, 8), (9, 2, 8), (15, 4, 12), (30, 10, 21)],
)
def test_the_ends_are_values_that_tosses_of_a_coin_hardly_ever_leave_outside(
    num_values: int, low: int, high: int
) -> None:
    sample = [float(each) for each in range(num_values, 0, -1)]
    assert median_interval(sample) == Interval((num_values + 1) / 2, low, high)
