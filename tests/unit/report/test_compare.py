"""Two runs: what differs, in words."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.report.compare import Comparison, Difference, compare
from tests.unit.report.runs import LANES, MODEL, OTHER, told


def test_two_runs_that_differ() -> None:
    assert compare(MODEL, OTHER) == Comparison(
        run_id="run-0",
        project="pair",
        verdict="unfinished",
        playbook=("@@ -1,3 +1,3 @@", " name: pair", " ranks:", "-  nodes: 4", "+  nodes: 2"),
        versions=(
            Difference("torch", "2.13.0", "2.12.0"),
            Difference("nccl", "-", "2.27"),
        ),
        times=(
            Difference("joined after", "2.5 s", "2.5 s", "+0 %"),
            Difference("import torch", "1.5 s", "1.5 s", "+0 %"),
            Difference("wait for peers", "500 ms", "500 ms", "+0 %"),
            Difference("set-up", "500 ms", "500 ms", "+0 %"),
            Difference("step, median", "375 ms", "750 ms", "-50 %"),
            Difference("step, 95 of 100", "500 ms", "1.0 s", "-50 %"),
            Difference("the whole run", "6.5 s", "13.0 s", "-50 %"),
            Difference("tokens per second", "64", "64", "+0 %"),
        ),
        losses=("1 of 2 losses differ, from step 2 on; most at step 2: 4.5 here, 4.75 there"),
    )


def test_a_run_and_itself() -> None:
    found = compare(MODEL, MODEL)
    assert (found.playbook, found.versions) == ((), ())
    assert found.losses == "the losses of all 2 steps that both have are equal"
    assert {each.change for each in found.times} == {"+0 %"}


def test_a_run_that_never_trained() -> None:
    bare = replace(MODEL, lanes=LANES[1:])
    found = compare(MODEL, bare)
    assert found.losses == "no step has a loss in both runs"
    assert Difference("step, median", "375 ms", "-") in found.times
    late = replace(MODEL, lanes=(replace(LANES[0], told=told(float("nan"), 4.5)),))
    assert compare(late, MODEL).losses == "the losses of all 1 steps that both have are equal"
