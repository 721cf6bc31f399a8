"""What a rank went through, as spans and marks."""

from __future__ import annotations

import math
from array import array

from msgspec.structs import replace

from orchestrator.records import record_of
from orchestrator.report.lanes import Passage, end_mark, mark_of, spans_of
from orchestrator.report.model import Mark, Span, Steps
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.rank_facts import Phase
from tests.unit.fakes import node_spec

NODE = ObservedNode(
    "id", node_spec(), "run-1", "h", NodeStatus.EXITED,
    exit_code=0, created_at_s=100.5, started_at_s=101.0, finished_at_s=120.0,
)  # fmt: skip
PHASES = {
    Phase.INTERPRETER: 101.5,
    Phase.TORCH: 104.0,
    Phase.RENDEZVOUS: 104.25,
    Phase.RESOLVED: 104.5,
    Phase.REACHED: 105.0,
    Phase.STORE: 106.0,
    Phase.JOINED: 107.0,
}
STEPS = Steps(
    array("I", [1, 2]), array("d", [10.0, 12.0]), array("f", [1.0, 2.0]), array("f", [math.nan] * 2)
)


def test_the_whole_way() -> None:
    assert spans_of(Passage(NODE, PHASES, "", 120.0), STEPS, 100.0) == (
        Span("container", 0.5, 1.0),
        Span("interpreter", 1.0, 1.5),
        Span("torch", 1.5, 4.0),
        Span("init", 4.0, 4.25),
        Span("resolve", 4.25, 4.5),
        Span("reach", 4.5, 5.0),
        Span("store", 5.0, 6.0),
        Span("collective", 6.0, 7.0),
        Span("setup", 7.0, 9.0),
        Span("ending", 12.0, 20.0),
    )


def test_a_rank_that_got_no_further_says_where_it_stopped() -> None:
    phases = {phase: PHASES[phase] for phase in (Phase.INTERPRETER, Phase.TORCH)}
    found = spans_of(Passage(NODE, phases, "never called", 120.0), Steps(), 100.0)
    assert found[2:] == (Span("torch", 1.5, 4.0), Span("stuck", 4.0, 20.0, "never called"))


def test_a_rank_that_waits_for_others_is_told_from_the_one_that_they_wait_for() -> None:
    phases = dict(PHASES)
    del phases[Phase.JOINED]
    found = spans_of(Passage(NODE, phases, "1 of 2", 120.0), Steps(), 100.0)
    assert found[-1] == Span("collective", 6.0, 20.0, "1 of 2")
    del phases[Phase.STORE]
    found = spans_of(Passage(NODE, phases, "1 of 2", 120.0), Steps(), 100.0)
    assert found[-1] == Span("store", 5.0, 20.0, "1 of 2")


def test_a_rank_that_joined_and_made_no_step_is_between() -> None:
    assert spans_of(Passage(NODE, PHASES, "", 120.0), Steps(), 100.0)[-1] == (
        Span("setup", 7.0, 20.0)
    )


def test_steps_without_a_probe_and_a_node_that_never_started() -> None:
    assert spans_of(Passage(NODE, {}, "nothing", 120.0), STEPS, 100.0) == (
        Span("container", 0.5, 1.0), Span("setup", 1.0, 9.0), Span("ending", 12.0, 20.0),
    )  # fmt: skip
    unborn = replace(NODE, started_at_s=None, finished_at_s=None)
    assert spans_of(Passage(unborn, {}, "nothing", 120.0), Steps(), 100.0) == ()


def test_only_what_happens_at_a_moment_leaves_a_mark() -> None:
    told = [
        {"event": "checkpoint_saved", "rank": 0, "path": "a/b", "took_s": 0.25},
        {"event": "rank_failed", "rank": 0, "reason": "no\nmore", "error_type": "OSError"},
        {"event": "rank_failed", "rank": 0, "reason": "late", "thread": "loader"},
        {"event": "stacks", "rank": 0, "waited_s": 31.0, "call": "all_reduce", "threads": {}},
        {"event": "training_finished", "rank": 0},
        {"event": "step", "rank": 0, "step": 1},
    ]
    records = [record_of(fields) for fields in told]
    assert [record and mark_of(record, 5.0) for record in records] == [
        Mark("checkpoint", 5.0, "checkpoint saved in 0.25 s a/b"),
        Mark("failed", 5.0, "failed: OSError: no"),
        None,
        Mark("stalled", 5.0, "no progress for 31 s in all_reduce"),
        Mark("finished", 5.0, "training finished"),
        None,
    ]


def test_a_node_that_ended_marks_how() -> None:
    died = replace(NODE, exit_code=137, oom_killed=True)
    found = [
        end_mark(NODE, 100.0, was_stopped=False),
        end_mark(died, 100.0, was_stopped=False),
        end_mark(died, 100.0, was_stopped=True),
        end_mark(replace(NODE, finished_at_s=None), 100.0, was_stopped=False),
    ]
    assert found == [
        Mark("ended", 20.0, "pair-node-0 exited with code 0"),
        Mark("died", 20.0, "pair-node-0 ran out of memory (exit code 137)"),
        Mark("ended", 20.0, "pair-node-0 was stopped (exit code 137)"),
        None,
    ]
