"""Whatever docker or its socket does: a typed error, in time, and no child is left."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Timer

import pytest

from orchestrator.engines.base import Query
from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.endpoint import Ways, by_command, by_socket
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.errors import OrchestrateError
from orchestrator.images.command import LINGER_S
from orchestrator.images.recipe import BuildRecipe
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNetwork, ObservedNode
from orchestrator.state.spec import NodeSpec
from tests.unit.engines.docker.stand_in_engine import Script, stand_in_engine, whole

from .misbehaviour import COMMAND, HANGS, HIT, MUST_FAIL, SOCKET, marked_processes, put_stand_in
from .record import RecordCase

TABLE = "bad engines"
DEADLINES = Deadlines(0.1)
LONGEST_S = DEADLINES.bulk_s + LINGER_S + 2.0
SPEC = NodeSpec(
    node_rank=0,
    num_ranks=1,
    name="pair-node-0",
    command=("true",),
    image="app:1",
    network="pair-net",
)
NODE = ObservedNode("1234567890ab", SPEC, "run-1", "", NodeStatus.RUNNING, started_at_s=1.0)
QUERY = Query("pair", image_tag="app:1", network="pair-net", node_names=("pair-node-0",))
IDENTITY = RunIdentity("pair", "run-1", "/nowhere")

Call = Callable[[DockerEngine, Path], object]


def _follow(engine: DockerEngine, folder: Path) -> None:
    stop = Event()
    # Silence is no fault of a log; whoever follows asks for the nodes all the while.
    timer = Timer(2 * DEADLINES.answer_s, stop.set)
    timer.start()
    engine.follow_logs([NODE], lambda _: None, stop)
    timer.join()


def _read(engine: DockerEngine, folder: Path) -> None:
    engine.read_logs([NODE], lambda _: None)


def _build(engine: DockerEngine, folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM scratch\n")
    recipe = BuildRecipe("app:1", folder, folder / "Dockerfile")
    engine.build_image(ImageSpec("app:1", recipe=recipe), lambda _: None)


def _create_network(engine: DockerEngine, folder: Path) -> None:
    engine.create_network(NetworkSpec("pair-net"), "pair")


def _remove_network(engine: DockerEngine, folder: Path) -> None:
    engine.remove_network(ObservedNetwork("0123456789ab", "pair-net", True, "pair"))


def _start(engine: DockerEngine, folder: Path) -> None:
    engine.start_nodes([SPEC], IDENTITY, lambda _: None)


def _save(engine: DockerEngine, folder: Path) -> None:
    engine.save_log(NODE, folder / "node-0.log")


CALLS: dict[str, tuple[str, Call]] = {
    "observe: ps": ("ps --all", lambda engine, _: engine.observe(QUERY)),
    "observe: container inspect": ("container inspect", lambda engine, _: engine.observe(QUERY)),
    "observe: network ls": ("network ls", lambda engine, _: engine.observe(QUERY)),
    "observe: network inspect": ("network inspect", lambda engine, _: engine.observe(QUERY)),
    "observe: image inspect": ("image inspect", lambda engine, _: engine.observe(QUERY)),
    "projects: ps": ("ps --all", lambda engine, _: engine.projects()),
    "create network": (
        "network create",
        _create_network,
    ),
    "remove network": (
        "network rm",
        _remove_network,
    ),
    "start node: create": ("create", _start),
    "start node: start": ("start pair-node-0", _start),
    "stop nodes: kill": ("kill --signal", lambda engine, _: engine.stop_nodes([NODE], grace_s=0.1)),
    "stop nodes: wait": (
        "wait 1234567890ab",
        lambda engine, _: engine.stop_nodes([NODE], grace_s=0.1),
    ),
    "remove nodes": ("rm --force", lambda engine, _: engine.remove_nodes([NODE])),
    "read log": ("logs --timestamps", _read),
    "save log": ("logs 1234567890ab", _save),
    "build image": ("build --tag", _build),
    "pull image": (
        "pull app:1",
        lambda engine, _: engine.pull_image(ImageSpec("app:1"), lambda _: None),
    ),
}
"""`{what the engine is asked for: (the docker command at which it goes wrong, the call)}`."""

BEST_EFFORT = {"stop nodes: kill", "stop nodes: wait"}
"""Nodes that cannot be stopped are removed with force, which then says what is wrong."""


@pytest.fixture
def mark(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Marks every process that the test starts; none may be left."""
    mark = f"RELIABILITY_MARK={secrets.token_hex(8)}"
    monkeypatch.setenv(*mark.split("="))
    yield mark
    give_up_at_s = time.monotonic() + 2.0  # init needs a moment to reap
    while (left := marked_processes(mark)) and time.monotonic() < give_up_at_s:
        time.sleep(0.02)
    assert left == []


def how_it_ends(call: Callable[[], object]) -> tuple[str, float]:
    """The kind of error that a call ended with, or `goes on`; and how long it took."""
    began_s = time.monotonic()
    try:
        call()
    except OrchestrateError as exc:
        is_a_line = bool(exc.what) and "\n" not in str(exc)
        return type(exc).__name__ if is_a_line else repr(exc), time.monotonic() - began_s
    return "goes on", time.monotonic() - began_s


def engine_with(ways: Ways, folder: Path) -> DockerEngine:
    return DockerEngine(cache_dir=folder / "cache", private_dir=folder / "private", ways=ways)


PAIRS = [
    pytest.param(asked, behaviour, id=f"{asked}-{behaviour}")
    for asked in CALLS
    for behaviour in COMMAND
    # python-on-whales waits for the end of the output, and `timeout` for the command alone.
    if (asked, behaviour) != ("start node: create", "leaves a child that hangs")
]


@pytest.mark.parametrize(("asked", "behaviour"), PAIRS)
def test_a_bad_docker_command(
    asked: str,
    behaviour: str,
    mark: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_case: RecordCase,
) -> None:
    verb, call = CALLS[asked]
    monkeypatch.setenv("ORCHESTRATE_DEADLINE_S", f"{DEADLINES.answer_s:g}")
    monkeypatch.setenv("ORCHESTRATE_OFFLINE", "1")
    monkeypatch.setenv("PATH", put_stand_in(tmp_path, verb, behaviour))
    engine = engine_with(by_command(DockerCli(deadlines=DEADLINES)), tmp_path)
    ending, took_s = how_it_ends(lambda: call(engine, tmp_path))
    assert (tmp_path / HIT).exists()
    assert took_s < LONGEST_S
    if behaviour in HANGS and asked not in BEST_EFFORT:
        # A build or pull that has closed its output did begin to answer.
        assert ending in {"EngineUnavailable", "EngineFailed", "ImageUnavailable"}
        assert ending == "EngineUnavailable" or asked in {"build image", "pull image"}
    record_case(TABLE, asked, way="docker command", it=behaviour, ends=ending, took_s=took_s)


SOCKET_CALLS: dict[str, tuple[str, Call]] = {
    "observe: list nodes": ("GET /containers/json", lambda engine, _: engine.observe(QUERY)),
    "observe: inspect node": ("GET /containers/abc/json", lambda engine, _: engine.observe(QUERY)),
    "observe: networks": ("GET /networks", lambda engine, _: engine.observe(QUERY)),
    "observe: image": ("GET /images", lambda engine, _: engine.observe(QUERY)),
    "projects": ("GET /containers/json", lambda engine, _: engine.projects()),
    "create network": ("POST /networks/create", _create_network),
    "remove network": ("DELETE /networks", _remove_network),
    "start node: create": ("POST /containers/create", _start),
    "start node: start": ("POST /containers/pair-node-0/start", _start),
    "stop nodes": (
        "POST /containers/",
        lambda engine, _: engine.stop_nodes([NODE], grace_s=0.1),
    ),
    "remove nodes": ("DELETE /containers", lambda engine, _: engine.remove_nodes([NODE])),
    "follow logs": (f"GET /containers/{NODE.id}/logs", _follow),
    "read log": (f"GET /containers/{NODE.id}/logs", _read),
    "save log": (f"GET /containers/{NODE.id}/logs", _save),
}
"""`{what the engine is asked for: (the request at which it goes wrong, the call)}`."""

GOOD: dict[str, Script] = {
    "GET /containers/json": whole([{"Id": "abc"}]),
    "GET /containers/abc/json": whole({"message": "gone"}, 404),
    "GET /networks": whole([]),
    "GET /images": whole({"message": "no such image"}, 404),
    "POST /containers/create": whole({"Id": "1234567890ab", "Warnings": []}, 201),
}


@pytest.mark.parametrize("behaviour", SOCKET)
@pytest.mark.parametrize("asked", SOCKET_CALLS)
def test_a_bad_engine_socket(
    asked: str,
    behaviour: str,
    mark: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_case: RecordCase,
) -> None:
    request, call = SOCKET_CALLS[asked]
    monkeypatch.setenv("ORCHESTRATE_DEADLINE_S", f"{DEADLINES.answer_s:g}")
    monkeypatch.setenv("PATH", put_stand_in(tmp_path, "nothing", "hangs"))
    with stand_in_engine({**GOOD, request: SOCKET[behaviour]}) as stand_in:
        engine = engine_with(by_socket(stand_in.path, DEADLINES), tmp_path)
        ending, took_s = how_it_ends(lambda: call(engine, tmp_path))
        assert any(asked.startswith(request) for asked in stand_in.asked)
    assert took_s < LONGEST_S
    if behaviour in MUST_FAIL and (asked, behaviour) != ("follow logs", "hangs in its answer"):
        assert ending == ("EngineUnavailable" if "hangs" in behaviour else ending)
        assert ending != "goes on"
    record_case(TABLE, asked, way="socket", it=behaviour, ends=ending, took_s=took_s)
