"""The order in which nodes are launched: the one that holds the rendezvous starts first."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import ImageUnavailable
from orchestrator.state.desired import RunIdentity
from orchestrator.state.spec import NodeSpec
from tests.unit.fakes import desired_state

NODES = desired_state(4).nodes
IDENTITY = RunIdentity("pair", "run-1", "/runs")


class Launches(DockerEngine):
    """Writes down what would be done; the first node's creation takes its time."""

    def __init__(self, *, first_fails: bool) -> None:
        super().__init__(cache_dir=Path("/nowhere"), private_dir=Path("/nowhere"))
        self.started: list[str] = []
        self._first_fails = first_fails

    def _create_node(self, node: NodeSpec, identity: RunIdentity) -> None:
        assert identity is IDENTITY
        if node.node_rank == 0:
            time.sleep(0.1)
            if self._first_fails:
                raise ImageUnavailable("no such image")

    def _start_node(self, node: NodeSpec) -> None:
        self.started.append(node.name)


def test_the_first_node_starts_before_its_peers() -> None:
    engine = Launches(first_fails=False)
    told: list[str] = []
    engine.start_nodes(NODES, IDENTITY, told.append)
    assert engine.started[0] == NODES[0].name
    assert sorted(engine.started) == sorted(told) == [node.name for node in NODES]


def test_no_peer_starts_when_the_first_cannot_be_created() -> None:
    engine = Launches(first_fails=True)
    told: list[str] = []
    with pytest.raises(ImageUnavailable, match="no such image"):
        engine.start_nodes(NODES, IDENTITY, told.append)
    assert (engine.started, told) == ([], [])
