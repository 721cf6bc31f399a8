"""Answers of nodes as a verdict keeps them, and what becomes of a verdict that is damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec.structs import asdict, replace

from orchestrator.kept.answers import kept_answers
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.answers import Answer
from tests.unit.fakes import node_spec

GIVEN = (Answer("http", 0, 1000.5, "503"), Answer("http", 0, 1002.0, "200"))


def node(run_dir: Path | str) -> ObservedNode:
    return ObservedNode("id", node_spec(), "run-1", "hash", NodeStatus.EXITED, run_dir=str(run_dir))


def test_the_answers_of_a_run_are_kept_with_its_verdict(tmp_path: Path) -> None:
    kept = {"answers": [asdict(answer) for answer in GIVEN], "checks": []}
    (tmp_path / "verdict.json").write_text(json.dumps(kept))
    assert kept_answers([node(tmp_path), replace(node("/nowhere"), id="other")]) == GIVEN


def with_answer(**changed: object) -> str:
    return json.dumps({"answers": [asdict(GIVEN[0]) | changed]})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[",
        "[]",
        "{}",
        '{"answers": 7}',
        '{"answers": [7, null, {}]}',
        "[" * 100_000,
        with_answer(node_rank="0"),
        with_answer(said=None),
        with_answer(at_s=10**400),
        with_answer(at_s=7).replace("7", "7" * 5000),
    ],
)
def test_a_verdict_that_is_damaged_has_no_answers(tmp_path: Path, text: str) -> None:
    (tmp_path / "verdict.json").write_text(text)
    assert kept_answers([node(tmp_path)]) == ()


def test_where_nothing_is_kept_there_are_no_answers(tmp_path: Path) -> None:
    assert [kept_answers(nodes) for nodes in ([], [node("")], [node(tmp_path)])] == [(), (), ()]
