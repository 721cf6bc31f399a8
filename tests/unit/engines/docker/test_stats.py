"""What a Docker engine counts of containers, and what is made of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.endpoint import by_command, by_socket
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.stats import usage_from_stats
from orchestrator.errors import EngineFailed
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.state.usage import Usage, processors_used
from tests.unit.fakes import node_spec

from .stand_in_engine import stand_in_engine, whole

CAPTURES = Path(__file__).parent / "captures"


def capture(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((CAPTURES / f"stats-{name}.json").read_text())
    return found


# As a container on cgroup v2 without a network has it; only what is read of it.
V2 = {
    "read": "2026-11-26T03:00:02.5Z",
    "cpu_stats": {"cpu_usage": {"total_usage": 1_250_000_000}},
    "memory_stats": {"usage": 5000, "stats": {"inactive_file": 1000, "file": 2000}},
}


def test_a_container_that_runs() -> None:
    assert usage_from_stats(3, capture("running")) == Usage(
        3, 1795662413.5976722, 0.017255796, 450560, received_bytes=310, sent_bytes=0
    )
    assert usage_from_stats(0, V2) == Usage(0, 1795662002.5, 1.25, 4000)


def test_a_container_that_has_ended_has_none() -> None:
    assert usage_from_stats(0, capture("exited")) is None


def node(rank: int) -> ObservedNode:
    return ObservedNode(f"id{rank}", node_spec(rank), "run-1", "hash", NodeStatus.RUNNING)


def test_all_nodes_are_asked_at_once_and_one_that_is_gone_is_left_out(tmp_path: Path) -> None:
    answers = {"GET /containers/id0/": whole(V2), "GET /containers/id2/": whole(capture("exited"))}
    with stand_in_engine(answers) as engine:
        found = docker_engine(engine.path, tmp_path).usage([node(0), node(1), node(2)])
        assert found == (Usage(0, 1795662002.5, 1.25, 4000),)
        asked = [f"GET /containers/id{n}/stats?stream=false&one-shot=true" for n in range(3)]
        assert (sorted(engine.asked), engine.num_connections) == (asked, 3)


@pytest.mark.parametrize("odd", [{}, V2 | {"cpu_stats": None}, V2 | {"read": 7}, {"read": "x"}])
def test_what_is_described_in_another_way_is_told_by_type(odd: object, tmp_path: Path) -> None:
    with (
        stand_in_engine({"GET /containers/": whole(odd)}) as engine,
        pytest.raises(EngineFailed, match="looking at what nodes use"),
    ):
        docker_engine(engine.path, tmp_path).usage([node(0)])


def test_the_docker_command_is_not_asked(tmp_path: Path) -> None:
    ways = by_command(DockerCli())
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path, ways=ways, owner="1")
    assert engine.usage([node(0)]) == ()


def docker_engine(path: Path, folder: Path) -> DockerEngine:
    ways = by_socket(path, Deadlines(5.0))
    return DockerEngine(cache_dir=folder, private_dir=folder, ways=ways, owner="1")


def test_processors_are_time_used_in_time_that_passed() -> None:
    looks = (Usage(0, 10.0, 4.0, 1), Usage(0, 12.0, 7.0, 1), Usage(0, 12.0, 7.0, 1))
    assert processors_used(looks[0], looks[1]) == 1.5
    assert processors_used(looks[1], looks[2]) == 0.0
    assert processors_used(looks[1], looks[0]) == 0.0
