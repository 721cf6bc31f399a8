"""Events as they were kept, in words; and what is no event."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.report import happenings as telling
from orchestrator.report.happenings import happenings, planned
from orchestrator.report.model import Happening

ACTION = {"kind": "start_node", "name": "pair-node-0", "cause": "not there yet"}


def event(kind: str, **fields: object) -> dict[str, Any]:
    return {"at_s": 101.5, "event": kind, **fields}


@pytest.mark.parametrize(
    ("told", "text", "tone"),
    [
        (
            event("plan_made", plan={"create": 3, "change": 0, "keep": 1}),
            "plan: 3 to create",
            "plain",
        ),
        (event("plan_made", plan={"create": 0, "keep": 4}), "plan: nothing to do", "plain"),
        (
            event("machine_warned", about="cpus", found="4 of 2 processors", why="w", mend="m"),
            "warning: cpus: 4 of 2 processors",
            "plain",
        ),
        (
            event("action_done", action=ACTION, took_s=0.25),
            "start node pair-node-0 (not there yet), in 0.25 s",
            "plain",
        ),
        (
            event("action_done", action=ACTION | {"cause": ""}, took_s=0.25),
            "start node pair-node-0, in 0.25 s",
            "plain",
        ),
        (
            event("action_failed", action=ACTION, reason="no room"),
            "start node pair-node-0 (not there yet): no room",
            "bad",
        ),
        (event("attempt_began", nodes=[1, 2]), "2 nodes are followed", "plain"),
        (
            event("check_changed", result={"name": "joined", "status": "ok", "why": "2 ranks"}),
            "check joined ok: 2 ranks",
            "good",
        ),
        (
            event("node_ended", node={"name": "pair-node-1", "exit_code": 3}),
            "pair-node-1 ended with 3",
            "bad",
        ),
        (
            event("failure_diagnosed", diagnosis={"node": "pair-node-1", "what": "exited"}),
            "diagnosis: pair-node-1 exited",
            "bad",
        ),
        (event("attempt_judged", results=[{"status": "ok"}]), "judged: all 1 checks hold", "good"),
        (
            event("attempt_judged", results=[{"status": "failed"}, {"status": "skipped"}]),
            "judged: 1 of 2 checks failed",
            "bad",
        ),
        (
            event("attempt_judged", results=[{"status": "skipped"}]),
            "judged: 1 of 1 checks not reached",
            "plain",
        ),
        (
            event("gang_stopped", node_names=["a"], took_s=1.0),
            "1 nodes stopped, in 1.00 s",
            "plain",
        ),
        (
            event("restart_decided", restart={"number": 1, "cause": "alive"}),
            "restart 1 is decided: alive",
            "bad",
        ),
        (event("gang_restarted", restart={"number": 1}), "gang started again, restart 1", "plain"),
        (
            event("reference_ran", project="pair-single", failure=""),
            "pair-single: its losses are there",
            "plain",
        ),
    ],
)
def test_an_event_in_words(told: dict[str, Any], text: str, tone: Any) -> None:
    assert happenings([told], 100.0) == (Happening(1.5, text, tone),)


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"event": "plan_made", "plan": {}},
        event("plan_made", plan=7) | {"at_s": "1"},
        event("plan_made", plan={}) | {"at_s": float("inf")},
        event("action_done", action=ACTION, took_s="soon"),
        event("check_changed", result=[]),
        event("node_ended", node={"name": "n", "exit_code": None}),
        event("still_waiting", pending=[]),
        event("of_another_version"),
    ],
)
def test_what_is_not_as_it_was_written_is_left_out(odd: dict[str, Any]) -> None:
    assert happenings([odd], 100.0) == ()


def test_of_very_many_the_latest_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telling, "MAX_HAPPENINGS", 2)
    three = [event("attempt_began", nodes=[None] * num) for num in (1, 2, 3)]
    assert [each.text for each in happenings(three, 0.0)] == [
        "2 nodes are followed", "3 nodes are followed",
    ]  # fmt: skip


def test_the_objects_of_a_plan() -> None:
    entry = {"action": "create", "kind": "node", "name": "n", "cause": "not there yet"}
    assert [*planned({"objects": [entry, {}, 7, {"action": 1}]})] == [
        ("create", "node", "n", "not there yet")
    ]
    odds: tuple[object, ...] = (None, [], {}, {"objects": 7})
    assert [[*planned(odd)] for odd in odds] == [[], [], [], []]
