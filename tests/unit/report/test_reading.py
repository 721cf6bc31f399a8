"""The folder of a run -> what a report shows of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.made_run import BEGAN_AT_S
from orchestrator.errors import RunUnreadable
from orchestrator.report.model import (
    Attempt,
    Happening,
    LastWords,
    Mark,
    NodeView,
    PlannedObject,
    Span,
    UsageSeries,
)
from orchestrator.report.reading import read_report
from orchestrator.report.verdict import WITHHELD, Quotable
from orchestrator.verify.results import CheckResult, Status
from tests.unit.report.runs import failed_run, small_run

__all__ = ["failed_run", "small_run"]


def seconds(span: Span) -> Span:
    """To the millisecond: times since the epoch have no more in them."""
    return replace(span, begin_s=round(span.begin_s, 3), end_s=round(span.end_s, 3))


def test_everything_that_was_kept_is_shown(small_run: Path) -> None:
    model = read_report(small_run)
    assert (model.project, model.run_id, model.engine) == ("synthetic", "run-1", "docker")
    assert (model.verdict, model.diagnosis, model.missing) == ("passed", None, ())
    assert (model.began_at_s, round(model.until_s, 3)) == (BEGAN_AT_S, 5.243)
    assert model.checks == (
        CheckResult("alive", Status.OK, "2 nodes in order"),
        CheckResult(
            "joined", Status.OK,
            "2 ranks after 2.4 s (rank 0: import torch 1.6 s, wait for peers 0.7 s)",
        ),
        CheckResult("training", Status.OK, "1 step on every rank"),
        CheckResult("loss", Status.OK, "from 3.172 to 2.257"),
        CheckResult("completed", Status.OK, "2 nodes ended with 0 after 4.9 s"),
    )  # fmt: skip
    assert model.plan == tuple(
        PlannedObject("create", kind, name, "not there yet")
        for kind, name in (
            ("network", "synthetic-net"),
            ("node", "synthetic-node-0"),
            ("node", "synthetic-node-1"),
        )
    )  # fmt: skip
    assert dict(model.versions) == {
        "orchestrate": "0.1.0", "python": "3.11.7", "engine": "28.5.1",
        "python in nodes": "3.11.2", "torch": "2.13.0",
    }  # fmt: skip
    assert model.playbook.startswith("version: 1\nname: synthetic\n")
    assert model.rendezvous == "synthetic-node-0:29500"
    last = model.happenings[-1]
    assert replace(last, at_s=round(last.at_s, 3)) == (
        Happening(5.243, "judged: all 5 checks hold", "good")
    )


def test_a_lane_has_the_way_the_steps_and_what_happened(small_run: Path) -> None:
    lane = read_report(small_run).lanes[1]
    assert (lane.rank, lane.node_rank) == (1, 1)
    assert [seconds(span) for span in lane.spans] == [
        Span("container", 0.07, 0.22),
        Span("interpreter", 0.22, 0.27),
        Span("torch", 0.27, 1.663),
        Span("init", 1.663, 1.713),
        Span("resolve", 1.713, 1.723),
        Span("reach", 1.723, 1.763),
        Span("store", 1.763, 2.59),
        Span("collective", 2.59, 2.64),
        Span("setup", 2.64, 3.822),
        Span("ending", 4.84, 5.143),
    ]
    assert [replace(mark, at_s=round(mark.at_s, 3)) for mark in lane.marks] == [
        *(
            Mark("checkpoint", 3.84 + 0.25 * step, f"checkpoint saved in 0.04 s step-{step}")
            for step in (1, 2, 3, 4)
        ),
        Mark("finished", 5.043, "training finished"),
        Mark("ended", 5.143, "synthetic-node-1 exited with code 0"),
    ]
    assert list(lane.steps.number) == list(lane.told.number) == [1, 2, 3, 4]
    assert [round(each, 2) for each in lane.told.at_s] == [4.09, 4.34, 4.59, 4.84]
    assert dict(lane.reached_s)["joined"] == pytest.approx(2.42, abs=1e-3)


def test_a_node_has_what_it_was_given_and_what_it_used(small_run: Path) -> None:
    node = read_report(small_run).nodes[0]
    usage = node.usage
    assert replace(node, usage=UsageSeries()) == NodeView(
        0, "synthetic-node-0", (0,), "exited with code 0", "good", address="172.20.0.2",
        image="train:1", network="synthetic-net", command="python train.py", cpus=1.0,
        memory_bytes=2**31,
    )  # fmt: skip
    assert list(usage.at_s) == [2.0, 4.0]
    assert (usage.received_bytes, usage.sent_bytes) == (8_000_000, 8_000_000)


def test_a_failure_is_told_as_it_was_told_then(failed_run: Path) -> None:
    model = read_report(failed_run)
    assert model.verdict == "failed"
    assert model.diagnosis is not None
    assert (model.diagnosis.rank, model.diagnosis.node) == (1, "synthetic-node-1")
    assert [(words.who, words.lines[:2]) for words in model.last_words] == [
        (
            "Traceback of rank 1",
            (
                "Traceback (most recent call last):",
                '  File "/workspace/train.py", line 88, in <module>',
            ),
        )
    ]
    assert [mark.kind for mark in model.lanes[1].marks][-2:] == ["failed", "died"]
    assert [len(lane.steps) for lane in model.lanes] == [4, 4, 4]
    assert [(node.ending, node.tone) for node in model.nodes] == [
        ("was stopped (exit code 143)", "plain"),
        ("exited with code 1", "bad"),
        ("was stopped (exit code 143)", "plain"),
    ]


def test_without_a_traceback_the_last_lines_are_shown(failed_run: Path) -> None:
    (failed_run / "node-1.records.jsonl").write_text("")
    (failed_run / "node-1.log").write_text("one\ntwo\n")
    assert read_report(failed_run).last_words == (
        LastWords("Last lines of synthetic-node-1", ("one", "two")),
    )


def test_records_of_others_are_drawn_no_more_than_they_are_believed(small_run: Path) -> None:
    records = small_run / "node-0.records.jsonl"
    kept = records.read_text().splitlines()
    forged = [
        json.dumps(entry | {"record": entry["record"] | claim})
        for entry in map(json.loads, kept)
        for claim in ({"rank": 1}, {"run_id": "another"}, {"event": "nonsense"})
        if "record" in entry
    ]
    before = read_report(small_run)
    records.write_text("\n".join([*kept, *forged, "[" * 5000, '{"at_s": NaN, "record": {}}']))
    assert [lane.steps for lane in read_report(small_run).lanes] == [
        lane.steps for lane in before.lanes
    ]


def test_what_may_not_be_quoted_is_not(failed_run: Path) -> None:
    open_one = read_report(failed_run)
    assert any("loss" in each.text or "synthetic" in each.text for each in open_one.happenings)
    model = read_report(failed_run, Quotable(logs=False, kept=False))
    assert (model.diagnosis, model.last_words) == (None, ())
    assert {check.why for check in model.checks if check.status is Status.FAILED} == {WITHHELD}
    assert [check.findings for check in model.checks] == [()] * 5
    assert {mark.text for lane in model.lanes for mark in lane.marks if mark.kind == "failed"} == {
        ""
    }
    assert "check" not in " ".join(each.text.split()[0] for each in model.happenings)


def test_without_a_verdict_it_is_judged_now(failed_run: Path) -> None:
    told = read_report(failed_run)
    (failed_run / "verdict.json").write_text("{")
    judged = read_report(failed_run)
    assert [check.name for check in judged.checks] == [check.name for check in told.checks]
    assert judged.diagnosis is not None
    assert judged.missing != ()
    mute = read_report(failed_run, Quotable(logs=False))
    assert (mute.verdict, mute.diagnosis) == ("unfinished", None)


def test_what_is_lost_is_left_out(small_run: Path) -> None:
    for name in ("events.jsonl", "usage.jsonl", "plan.json", "playbook.yaml", "node-1.json"):
        (small_run / name).unlink()
    (small_run / "node-0.records.jsonl").write_text("")
    model = read_report(small_run)
    assert (model.happenings, model.plan, model.playbook) == ((), (), "")
    assert len(model.nodes[0].usage.at_s) == 0
    (small_run / "run.json").unlink()
    with pytest.raises(RunUnreadable):
        read_report(small_run)


def test_attempts_before_this_one_are_told(small_run: Path) -> None:
    path = small_run / "verdict.json"
    verdict = json.loads(path.read_text())
    restart = {"number": 1, "limit": 2, "cause": "node 1 died", "failed_run_id": "run-0"}
    verdict["apply"]["restarts"] = [restart, {"number": "2"}]
    path.write_text(json.dumps(verdict))
    assert read_report(small_run).attempts == (Attempt(1, "node 1 died", "run-0"),)
