"""What nodes used, as it is kept with their run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.events import AttemptJudged, NodesSampled
from orchestrator.kept import keeper as keeping
from orchestrator.kept.keeper import RunKeeper
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.state.usage import Usage
from tests.unit.fakes import node_spec

LOOK = (Usage(0, 1002.0, 1.25, 4096, 10, 20), Usage(1, 1002.0, 0.5, 1024))
KEPT: list[dict[str, float | None]] = [
    {
        "node_rank": 0, "at_s": 1002.0, "cpu_s": 1.25, "memory_bytes": 4096,
        "received_bytes": 10, "sent_bytes": 20,
    },
    {
        "node_rank": 1, "at_s": 1002.0, "cpu_s": 0.5, "memory_bytes": 1024,
        "received_bytes": None, "sent_bytes": None,
    },
]  # fmt: skip


def keep(folder: Path, *looks: tuple[Usage, ...]) -> list[Any]:
    """What is kept of looks in the folder of a run that is there."""
    node = ObservedNode("id", node_spec(), "run-1", "h", NodeStatus.RUNNING, run_dir=str(folder))
    keeper = RunKeeper(lambda _: None)
    keeper.tell(NodesSampled(looks[0]))  # of no run: kept nowhere
    keeper.take_up([node])
    for look in looks:
        keeper.tell(NodesSampled(look))
    keeper.tell(AttemptJudged((), (), 0.0))
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    assert [each["event"] for each in events] == ["attempt_judged"]
    return [json.loads(line) for line in (folder / "usage.jsonl").read_text().splitlines()]


def test_each_look_at_each_node_is_a_line(tmp_path: Path) -> None:
    later = tuple(replace(usage, at_s=1004.0) for usage in LOOK)
    assert keep(tmp_path, LOOK, later) == KEPT + [each | {"at_s": 1004.0} for each in KEPT]


def test_it_has_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MAX_USAGE_BYTES", 200)
    assert keep(tmp_path, LOOK, LOOK) == [KEPT[0], {"truncated": True}]
