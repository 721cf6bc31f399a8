"""The order in which nodes are launched: the one that holds the rendezvous starts first."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.command_reader import CliReader
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.endpoint import Ways
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import ImageUnavailable
from orchestrator.state.desired import NetworkSpec, RunIdentity
from tests.unit.fakes import desired_state

NODES = desired_state(4).nodes
IDENTITY = RunIdentity("pair", "run-1", "/runs")


class Launches:
    """A `Changer` that writes down what it is told; the first creation takes its time."""

    def __init__(self, *, first_fails: bool) -> None:
        self.started: list[str] = []
        self._first_fails = first_fails

    def create(self, creation: Creation) -> None:
        assert creation == Creation(creation.node, IDENTITY, "1000", Path("/nowhere/pair@run-1"))
        if creation.node.name.endswith("-0"):
            time.sleep(0.1)
            if self._first_fails:
                raise ImageUnavailable("no such image")

    def start(self, name: str) -> None:
        self.started.append(name)

    def create_network(self, network: NetworkSpec, labels: Mapping[str, str]) -> None:
        raise NotImplementedError

    def remove_network(self, id_: str, name: str) -> None:
        raise NotImplementedError

    def signal(self, ids: Sequence[str], signal: str) -> None:
        raise NotImplementedError

    def unpause(self, ids: Sequence[str]) -> None:
        raise NotImplementedError

    def remove(self, ids: Sequence[str]) -> None:
        raise NotImplementedError


def engine(launches: Launches) -> DockerEngine:
    folder, ways = Path("/nowhere"), Ways(CliReader(DockerCli()), launches)
    return DockerEngine(cache_dir=folder, private_dir=folder, ways=ways, owner="1000")


def test_the_first_node_starts_before_its_peers() -> None:
    launches = Launches(first_fails=False)
    told: list[str] = []
    engine(launches).start_nodes(NODES, IDENTITY, told.append)
    assert launches.started[0] == NODES[0].name
    assert sorted(launches.started) == sorted(told) == [node.name for node in NODES]


def test_no_peer_starts_when_the_first_cannot_be_created() -> None:
    launches = Launches(first_fails=True)
    told: list[str] = []
    with pytest.raises(ImageUnavailable, match="no such image") as caught:
        engine(launches).start_nodes(NODES, IDENTITY, told.append)
    assert (launches.started, told, caught.value.about) == ([], [], NODES[0].name)
