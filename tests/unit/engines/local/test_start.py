"""What starting refuses, and what a node is given."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.local.engine import LocalEngine
from orchestrator.engines.local.folders import typed_errors
from orchestrator.engines.local.launch import Launch, node_environment
from orchestrator.engines.local.root import default_root
from orchestrator.errors import (
    AddressUnavailable,
    EngineFailed,
    NameTaken,
    NodeNotStarted,
    OrchestrateError,
    OutOfSpace,
)
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNetwork
from orchestrator.state.spec import Mount, NodeSpec, spec_hash
from tests.waiting import wait_until

from .local_node import (
    IDENTITY,
    PROJECT,
    folder_of,
    node_spec,
    python_spec,
    start,
    states,
    wait_for_end,
)

Change = Callable[[NodeSpec], NodeSpec]

REFUSALS: list[tuple[str, Change]] = [
    (
        "it mounts /data; use the docker engine: mounts need it",
        lambda node: replace(node, mounts=(Mount("/data", "/data", read_only=True),)),
    ),
    ("it has no command; give it one: ranks.command", lambda node: replace(node, command=())),
    (
        "there is no command 'no-such'; install it, or mend ranks.command",
        lambda node: replace(node, command=("no-such", "-x")),
    ),
    (
        "there is no command './no-such'; install it, or mend ranks.command",
        lambda node: replace(node, command=("./no-such",)),
    ),
    (
        "its folder /no/such is not there; create it",
        lambda node: replace(node, workdir="/no/such"),
    ),
    (
        "its command or environment has a NUL or is not Unicode; take that out",
        lambda node: replace(node, command=("echo", "a\0b")),
    ),
    (
        "its command or environment has a NUL or is not Unicode; take that out",
        lambda node: replace(node, env=(("A", "\ud800"),)),
    ),
    (
        "'A=B' cannot name a variable; rename it in ranks.env",
        lambda node: replace(node, env=(("A=B", "1"),)),
    ),
]


@pytest.mark.parametrize(("why", "change"), REFUSALS)
def test_what_cannot_run_is_refused_before_anything_is_created(
    engine: LocalEngine, root: Path, tmp_path: Path, why: str, change: Change
) -> None:
    with pytest.raises(NodeNotStarted) as refused:
        start(engine, node_spec(tmp_path), change(node_spec(tmp_path, rank=1)))

    assert str(refused.value) == f"cannot start node lab-node-1: {why}"
    assert not root.exists()


def with_port(node: NodeSpec, port: str) -> NodeSpec:
    return replace(node, env=(("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", port)))


def test_a_port_that_is_taken_is_refused_until_it_is_free(
    engine: LocalEngine, root: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        node = with_port(node_spec(tmp_path), str(port))
        with pytest.raises(AddressUnavailable) as refused:
            start(engine, node)
        assert not root.exists()

    assert str(refused.value) == (
        f"port {port} of 127.0.0.1 cannot be used: address already in use;"
        " choose another rendezvous.port"
    )
    assert [each.spec for each in start(engine, node)] == [node]


@pytest.mark.parametrize("port", ["70000", "http"])
def test_a_port_that_is_none_is_refused(engine: LocalEngine, tmp_path: Path, port: str) -> None:
    with pytest.raises(AddressUnavailable, match=f"^port {port} of 127.0.0.1 cannot be used: "):
        start(engine, with_port(node_spec(tmp_path), port))


def test_after_a_node_that_cannot_be_executed_no_more_are_started(
    engine: LocalEngine, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    broken.write_text("#!/no/such/interpreter\n")
    broken.chmod(0o755)
    nodes = [node_spec(tmp_path, rank) for rank in range(3)]
    nodes[1] = replace(nodes[1], command=("./broken",))
    started: list[str] = []

    with pytest.raises(NodeNotStarted) as refused:
        engine.start_nodes(nodes, IDENTITY, started.append)

    why = f"cannot run ./broken in {tmp_path}: No such file or directory"
    assert str(refused.value) == f"cannot start node lab-node-1: {why}; mend ranks.command"
    assert started == ["lab-node-0"]
    wait_until(lambda: not engine.observe_nodes(PROJECT)[1].is_active)
    assert states(engine) == [
        (NodeStatus.RUNNING, None, ""),
        (NodeStatus.EXITED, 127, why),
        (NodeStatus.CREATED, None, ""),
    ]


def test_a_node_is_observed_as_it_was_started(engine: LocalEngine, tmp_path: Path) -> None:
    specs = (
        replace(node_spec(tmp_path), env=(("A", "é\n€"), ("B", ""))),
        node_spec(tmp_path, rank=1),
    )
    nodes = start(engine, *specs)

    assert tuple(node.spec for node in nodes) == specs
    assert [node.spec_hash for node in nodes] == [spec_hash(spec) for spec in specs]
    assert [(node.run_id, node.run_dir) for node in nodes] == [("r1", "/nowhere/r1")] * 2


def test_a_place_that_is_taken_is_refused(engine: LocalEngine, root: Path, tmp_path: Path) -> None:
    nodes = start(engine, node_spec(tmp_path))

    with pytest.raises(NameTaken) as refused:
        start(engine, node_spec(tmp_path))

    assert str(refused.value) == (
        f"cannot start node lab-node-0: {folder_of(root)} is there already;"
        " destroy the project first"
    )
    assert engine.observe_nodes(PROJECT) == nodes


def test_a_root_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EngineFailed) as refused:
        start(LocalEngine(tmp_path / "file" / "root"), node_spec(tmp_path))

    assert str(refused.value) == (
        f"creating nodes of lab: not a directory: {tmp_path / 'file' / 'root'};"
        " make the folder yours and writable, or set ORCHESTRATE_LOCAL_ROOT to one that is"
    )


def test_a_full_disk_is_out_of_space(tmp_path: Path) -> None:
    def fill() -> None:
        with typed_errors("creating nodes of lab"), open("/dev/full", "wb", 0) as full:
            full.write(b"x")

    with pytest.raises(OutOfSpace) as refused:
        fill()

    assert str(refused.value) == (
        "creating nodes of lab: no space left on device;"
        " free some space, or put ORCHESTRATE_LOCAL_ROOT on another disk"
    )


def test_python_is_the_one_that_orchestrate_runs_in(engine: LocalEngine, tmp_path: Path) -> None:
    code = "import os, sys; print(sys.executable, os.getcwd(), sep='\\n')"
    (node,) = start(engine, python_spec(tmp_path, code))
    wait_for_end(engine)
    engine.save_log(node, tmp_path / "saved.log")

    folder = os.path.dirname(sys.executable)
    assert (tmp_path / "saved.log").read_text() == f"{folder}/python\n{tmp_path}\n"


def test_the_environment_is_the_host_s_without_foreign_ranks(tmp_path: Path) -> None:
    leaks = (
        "MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE",
        "GROUP_RANK", "ROLE_RANK", "ROLE_WORLD_SIZE", "NODE_RANK", "TORCHELASTIC_RUN_ID",
        "PET_NNODES", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "ORCHESTRATE_RUN_ID",
        "ORCHESTRATE_LOCAL_NODE",
    )  # fmt: skip
    kept = {"HOME": "/home/me", "PATH": "/bin", "FRANK": "sinatra", "OMP_NUM_THREADS": "2"}
    node = replace(node_spec(tmp_path), env=(("OMP_NUM_THREADS", "1"), ("RANK", "0")))

    identity = RunIdentity(PROJECT, "r9", "", restart_count=2)
    env = node_environment(
        dict.fromkeys(leaks, "77") | kept, Launch(node, tmp_path / "node-0", identity)
    )

    assert env == {
        "HOME": "/home/me",
        "PATH": f"{os.path.dirname(sys.executable)}:/bin",
        "FRANK": "sinatra",
        "OMP_NUM_THREADS": "1",
        "RANK": "0",
        "ORCHESTRATE_RUN_ID": "r9",
        "ORCHESTRATE_RESTART_COUNT": "2",
        "TORCHELASTIC_RESTART_COUNT": "2",
        "ORCHESTRATE_LOCAL_NODE": str(tmp_path / "node-0"),
    }


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"ORCHESTRATE_LOCAL_ROOT": "/a", "XDG_STATE_HOME": "/b"}, "/a"),
        ({"XDG_STATE_HOME": "/b"}, "/b/orchestrate/local"),
        ({"XDG_STATE_HOME": "relative"}, "/home/me/.local/state/orchestrate/local"),
        ({}, "/home/me/.local/state/orchestrate/local"),
    ],
)
def test_where_nodes_live(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], expected: str
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    assert default_root(environ) == Path(expected)


REFUSED_CALLS: list[tuple[str, Callable[[LocalEngine], None]]] = [
    (
        "build image a: the local engine has no images",
        lambda e: e.build_image(ImageSpec("a"), print),
    ),
    ("pull image a: the local engine has no images", lambda e: e.pull_image(ImageSpec("a"), print)),
    (
        "create network n: the local engine has no networks",
        lambda e: e.create_network(NetworkSpec("n"), "lab"),
    ),
    (
        "remove network n: the local engine has no networks",
        lambda e: e.remove_network(ObservedNetwork("1", "n", internal=True, project="lab")),
    ),
]


@pytest.mark.parametrize(("what", "call"), REFUSED_CALLS)
def test_images_and_networks_are_refused(
    engine: LocalEngine, what: str, call: Callable[[LocalEngine], None]
) -> None:
    with pytest.raises(OrchestrateError) as refused:
        call(engine)
    assert (type(refused.value), str(refused.value)) == (
        EngineFailed,
        f"cannot {what}; use the docker engine",
    )
