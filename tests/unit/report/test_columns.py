"""Records of steps and looks at usage -> columns."""

from __future__ import annotations

import math
from array import array

from orchestrator.records import Step
from orchestrator.report import columns
from orchestrator.report.columns import (
    StepColumns,
    stride_for,
    thinned_steps,
    thinned_told,
    usage_series,
)
from orchestrator.report.model import Steps, Told, UsageSeries
from orchestrator.state.usage import Usage

NAN = math.nan


def step(number: int, **fields: object) -> Step:
    return Step.model_validate({"event": "step", "rank": 0, "step": number, **fields})


def rows(steps: Steps) -> list[tuple[float, ...]]:
    found = zip(steps.number, steps.end_s, steps.took_s, steps.busy_s, strict=True)
    return [tuple(-1.0 if math.isnan(each) else round(each, 6) for each in row) for row in found]


def test_a_record_of_several_steps_is_laid_out_back_from_its_time() -> None:
    folded = StepColumns(zero_s=100.0)
    folded.add(101.0, step(1, source="probe"))
    folded.add(103.0, step(4, source="probe", times_s=(0.5, 0.25, 1.0), busy_s=(0.25, 0.125, 0.5)))
    assert rows(folded.steps) == [
        (1, 1.0, -1.0, -1.0), (2, 1.75, 0.5, 0.25), (3, 2.0, 0.25, 0.125), (4, 3.0, 1.0, 0.5),
    ]  # fmt: skip


def test_work_that_is_told_as_a_share_is_laid_out_likewise() -> None:
    folded = StepColumns(zero_s=100.0)
    folded.add(103.0, step(4, source="probe", times_us=(500_000, 1_000_000), busy_share=0.25))
    assert rows(folded.steps) == [(3, 2.0, 0.5, 0.125), (4, 3.0, 1.0, 0.25)]


def test_what_the_probe_measured_comes_first_and_the_script_fills_in_its_first_step() -> None:
    folded = StepColumns(zero_s=0.0)
    folded.add(1.0, step(1, source="probe"))
    folded.add(1.1, step(1, step_time_s=0.75, loss=2.5, tokens_per_s=64.0))
    folded.add(2.0, step(2, source="probe", times_s=(0.5,)))
    folded.add(2.1, step(2, step_time_s=0.6))
    assert rows(folded.steps) == [(1, 1.0, 0.75, -1.0), (2, 2.0, 0.5, -1.0)]
    told = folded.told
    assert (list(told.number), list(told.at_s), told.loss[0]) == ([1, 2], [1.1, 2.1], 2.5)
    assert math.isnan(told.loss[1])


def test_without_a_probe_the_script_is_believed() -> None:
    folded = StepColumns(zero_s=0.0)
    folded.add(9.0, step(11, step_time_s=0.5, loss=float("inf")))
    assert rows(folded.steps) == [(11, 9.0, 0.5, -1.0)]
    assert math.isnan(folded.told.loss[0])


def test_numbers_that_fit_nowhere_do_no_harm() -> None:
    folded = StepColumns(zero_s=0.0)
    folded.add(1.0, step(2**63 - 1, step_time_s=1e300, loss=-1e300, tokens_per_s=1e300))
    assert rows(folded.steps) == [(2**32 - 1, 1.0, -1.0, -1.0)]
    assert [math.isnan(each) for each in (folded.told.loss[0], folded.told.tokens_per_s[0])] == [
        True, True,
    ]  # fmt: skip


def test_of_too_many_steps_every_so_many_th_is_taken_and_the_last(monkeypatch: object) -> None:
    assert [stride_for(num) for num in (0, columns.MAX_STEPS, columns.MAX_STEPS + 1)] == [1, 1, 2]
    numbers = array("I", range(1, 8))
    four = (array("d", range(1, 8)), array("f", range(1, 8)), array("f", range(1, 8)))
    assert thinned_steps(Steps(numbers, *four), 3).number == array("I", [3, 6, 7])
    assert thinned_told(Told(numbers, *four), 3).loss == array("f", [3, 6, 7])
    steps = Steps(numbers, *four)
    assert thinned_steps(steps, 1) is steps


def test_usage_has_a_rate_from_the_nodes_start_on() -> None:
    looks = [
        Usage(0, 102.0, 1.0, 100, 5, 6),
        Usage(0, 104.0, 4.0, 200, 7, 8),
        Usage(0, 104.0, 4.0, 200, 7, 8),
    ]
    assert usage_series(looks, 100.0, 101.0) == UsageSeries(
        array("d", [2.0, 4.0]), array("f", [1.0, 1.5]), array("d", [100.0, 200.0]), 7, 8
    )
    assert usage_series(looks, 100.0, None).at_s == array("d", [4.0])
    assert usage_series([], 100.0, 101.0) == UsageSeries()
