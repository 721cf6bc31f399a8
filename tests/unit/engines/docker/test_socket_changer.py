"""Telling an engine over its socket: what is asked, what is taken, what is refused."""

from __future__ import annotations

import pytest

from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.socket_changer import SocketChanger
from orchestrator.errors import (
    EngineFailed,
    EngineUnavailable,
    ImageUnavailable,
    NameTaken,
    NodeNotStarted,
    OrchestrateError,
    OutOfSpace,
)
from orchestrator.state.desired import NetworkSpec, RunIdentity
from orchestrator.state.spec import NodeSpec
from tests.unit.engines.docker.stand_in_engine import (
    Script,
    StandInEngine,
    hang_after,
    head,
    raw,
    stand_in_engine,
    whole,
)

CREATION = Creation(
    NodeSpec(node_rank=0, num_ranks=1, name="pair-node-0", command=("true",), image="app:1"),
    RunIdentity("pair", "r", "/r"),
    "1000",
)
DONE = raw(head(204), stay=True)


def changer(engine: StandInEngine) -> SocketChanger:
    return SocketChanger(engine.path, deadlines=Deadlines(2.0))


def test_a_network_is_created_with_its_labels() -> None:
    with stand_in_engine({"POST /networks/create": whole({"Id": "1"}, 201)}) as engine:
        changer(engine).create_network(NetworkSpec("a-net", internal=True), {"k": "v"})
    assert engine.asked == ["POST /networks/create"]
    assert engine.bodies == [
        {
            "Name": "a-net",
            "Driver": "bridge",
            "Internal": True,
            "CheckDuplicate": True,
            "Labels": {"k": "v"},
        }
    ]


def test_a_network_whose_name_is_taken() -> None:
    refused = whole({"message": "network with name a-net already exists"}, 409)
    with (
        stand_in_engine({"POST /networks/create": refused}) as engine,
        pytest.raises(NameTaken, match="creating network a-net: network with name"),
    ):
        changer(engine).create_network(NetworkSpec("a-net"), {})


def test_a_network_that_is_gone_is_removed() -> None:
    with stand_in_engine({}) as engine:
        changer(engine).remove_network("id", "a-net")
    assert engine.asked == ["DELETE /networks/id"]


def test_a_network_in_use_is_not_removed() -> None:
    refused = whole({"message": "network a-net has active endpoints"}, 403)
    with (
        stand_in_engine({"DELETE /networks/id": refused}) as engine,
        pytest.raises(EngineFailed, match="removing network a-net: network a-net has active"),
    ):
        changer(engine).remove_network("id", "a-net")


@pytest.mark.parametrize(
    ("platform", "asked"), [("", ""), ("linux/arm64", "&platform=linux%2Farm64")]
)
def test_a_node_is_created(platform: str, asked: str) -> None:
    with stand_in_engine({"POST /containers/create": whole({"Id": "1"}, 201)}) as engine:
        told = SocketChanger(engine.path, deadlines=Deadlines(2.0), platform=platform)
        told.create(CREATION)
    assert engine.asked == [f"POST /containers/create?name=pair-node-0{asked}"]
    assert engine.bodies == [create_body(CREATION)]


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (404, "No such image: app:1", ImageUnavailable),
        (409, 'Conflict. The container name "/pair-node-0" is already in use by 1', NameTaken),
        (400, "invalid mount config for type bind: bind source path ...", NodeNotStarted),
        (500, "write /var/lib/docker/x: no space left on device", OutOfSpace),
        (500, "what no engine has said before", EngineFailed),
    ],
)
def test_a_node_that_cannot_be_created(
    status: int, message: str, error: type[OrchestrateError]
) -> None:
    refused = whole({"message": message}, status)
    with (
        stand_in_engine({"POST /containers/create": refused}) as engine,
        pytest.raises(error, match="creating node pair-node-0: "),
    ):
        changer(engine).create(CREATION)


@pytest.mark.parametrize("status", [204, 304])
def test_a_node_is_started_or_runs_already(status: int) -> None:
    with stand_in_engine({"POST /containers/a/start": raw(head(status), stay=True)}) as engine:
        changer(engine).start("a")
    assert engine.asked == ["POST /containers/a/start"]


def test_a_node_that_cannot_be_started() -> None:
    refused = whole({"message": 'exec: "no": executable file not found in $PATH'}, 400)
    with (
        stand_in_engine({"POST /containers/a/start": refused}) as engine,
        pytest.raises(NodeNotStarted, match="starting node a: exec"),
    ):
        changer(engine).start("a")


def test_a_signal_passes_over_what_does_not_run() -> None:
    answers: dict[str, Script] = {
        "POST /containers/a/kill": DONE,
        "POST /containers/b/kill": whole({"message": "b is not running"}, 409),
    }
    with stand_in_engine(answers) as engine:
        changer(engine).signal(["a", "b", "gone"], "TERM")
    assert sorted(engine.asked) == [
        f"POST /containers/{name}/kill?signal=TERM" for name in ("a", "b", "gone")
    ]


def test_what_is_not_paused_is_passed_over() -> None:
    answers: dict[str, Script] = {
        "POST /containers/a/unpause": DONE,
        "POST /containers/b/unpause": whole({"message": "b is not paused"}, 500),
    }
    with stand_in_engine(answers) as engine:
        changer(engine).unpause(["a", "b"])
    assert sorted(engine.asked) == [f"POST /containers/{name}/unpause" for name in "ab"]


def test_all_are_removed_before_a_refusal_is_raised() -> None:
    answers: dict[str, Script] = {
        "DELETE /containers/a": whole({"message": "driver failed to remove root filesystem"}, 500),
        "DELETE /containers/b": whole({"message": "removal is already in progress"}, 409),
        "DELETE /containers/c": DONE,
    }
    with stand_in_engine(answers) as engine:
        with pytest.raises(EngineFailed, match="removing nodes: driver failed"):
            changer(engine).remove(["a", "b", "c", "gone"])
        assert sorted(engine.asked) == [
            f"DELETE /containers/{name}?force=1&v=1" for name in ("a", "b", "c", "gone")
        ]


def test_nothing_to_tell_asks_nothing() -> None:
    with stand_in_engine({}) as engine:
        changer(engine).remove([])
        changer(engine).signal([], "KILL")
    assert engine.num_connections == 0


def test_an_engine_that_does_not_answer() -> None:
    with (
        stand_in_engine({"POST /containers/a/start": hang_after()}) as engine,
        pytest.raises(
            EngineUnavailable, match=r"starting node a: docker did not answer within 0\.4"
        ),
    ):
        SocketChanger(engine.path, deadlines=Deadlines(0.2)).start("a")
