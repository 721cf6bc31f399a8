"""The page of what reliability tests measured."""

from __future__ import annotations

import json
from pathlib import Path

from tests.reliability.page import LIMITS, render
from tests.reliability.record import MALFORMED, RESULTS_FILE, Results, record_inputs


def test_rows_become_tables_known_ones_first() -> None:
    tables = {
        "unknown": [{"case": "a|b", "points": 3}, {"case": "c", "seconds_s": 0.5}],
        "one at a time": [{"case": "x", "refused": 19}],
    }
    page = render(tables)  # type: ignore[arg-type]
    assert page.index("## One at a time") < page.index("## Unknown") < page.index(LIMITS)
    assert "| case | refused |\n| --- | --- |\n| x | 19 |\n" in page
    assert (
        "| case | points | seconds s |\n| --- | --- | --- |\n| a\\|b | 3 |  |\n| c |  | 0.5 |\n"
        in page
    )


def test_bad_engines_are_summed_up_by_call() -> None:
    rows = [
        {"case": "observe", "way": "socket", "it": it, "ends": ends, "took_s": took_s}
        for it, ends, took_s in (("hangs", "EngineUnavailable", 0.44), ("lies", "goes on", 0.01))
    ]
    assert "| observe | socket | 2 | 1 | 1 | 0.4 |\n" in render({"bad engines": rows})  # type: ignore[dict-item]


def test_inputs_of_a_kind_are_added_up() -> None:
    results = Results()
    for refused in (1, 0, 1):
        record_inputs(results.record, "one by one", refused=refused, read=1 - refused)
    record_inputs(results.record, "at once", refused=90, read=10)
    results.record(MALFORMED, "uncounted", inputs=7, refused="", read="", passed=7)
    assert (
        "| case | inputs | refused | read | passed |\n| --- | --- | --- | --- | --- |\n"
        "| one by one | 3 | 2 | 1 | 3 |\n| at once | 100 | 90 | 10 | 100 |\n"
        "| uncounted | 7 |  |  | 7 |\n"
    ) in render(results.tables)


def test_what_was_recorded_is_written(tmp_path: Path) -> None:
    results = Results()
    results.record("t", "first", points=1)
    results.record("t", "second", points=2)
    results.write(tmp_path / "new")
    assert json.loads((tmp_path / "new" / RESULTS_FILE).read_text()) == {
        "t": [{"case": "first", "points": 1}, {"case": "second", "points": 2}]
    }
