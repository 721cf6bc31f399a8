"""Lines of many nodes in the order of their times, though they come late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from orchestrator.display.merge import Merger


def test_a_line_is_held_back_for_a_moment_and_no_longer() -> None:
    merger: Merger[str] = Merger(hold_s=0.25)
    merger.add(10.0, "a", now_s=1.0)
    assert (merger.take(1.125), merger.take(1.25), merger.take(1.5)) == ([], ["a"], [])


def test_a_line_that_comes_late_stands_where_it_belongs() -> None:
    merger: Merger[str] = Merger(hold_s=0.25)
    merger.add(10.2, "second", now_s=1.0)
    merger.add(10.1, "first", now_s=1.125)
    merger.add(10.3, "third", now_s=1.125)
    assert (merger.take(1.25), merger.num_held) == (["first", "second"], 1)
    assert merger.take(1.4) == ["third"]


def test_what_is_later_still_is_not_waited_for() -> None:
    merger: Merger[str] = Merger(hold_s=0.25)
    merger.add(10.2, "second", now_s=1.0)
    assert merger.take(1.25) == ["second"]
    merger.add(10.1, "first", now_s=1.5)
    assert merger.take(1.75) == ["first"]


def test_lines_of_one_time_stay_in_the_order_in_which_they_came() -> None:
    merger: Merger[int] = Merger(hold_s=0.25)
    for number in range(5):
        merger.add(10.0, number, now_s=1.0)
    assert merger.take_all() == [0, 1, 2, 3, 4]


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.19)), max_size=50))
def test_lines_no_later_than_the_hold_come_out_sorted(lines: list[tuple[float, float]]) -> None:
    merger: Merger[float] = Merger(hold_s=0.25)
    out: list[float] = []
    for arrives_s, at_s in sorted((at_s + late_s, at_s) for at_s, late_s in lines):
        out += merger.take(arrives_s)
        merger.add(at_s, at_s, now_s=arrives_s)
    out += merger.take_all()
    assert out == sorted(at_s for at_s, _ in lines)
