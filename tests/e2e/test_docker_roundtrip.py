"""What a node is created with is what the engine reports of it: nothing lost, nothing added."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.base import Query
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.plans.planner import make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import Confinement, Limits, Mount, NodeSpec, sorted_env, spec_hash
from tests.e2e.conftest import docker

pytestmark = pytest.mark.docker

IMAGE_ENV = {"LANG": "C", "PATH": "/bin"}


@pytest.fixture
def image(busybox_image: str, project: str) -> Iterator[str]:
    """An image with an environment, a user and a folder of its own."""
    container = docker("create", busybox_image, "true")
    tag = f"{project}:1"
    changes = (*(f"ENV {name}={value}" for name, value in IMAGE_ENV.items()), "USER 1000")
    options = [word for change in (*changes, "WORKDIR /srv") for word in ("--change", change)]
    try:
        docker("commit", *options, container, tag)
        yield tag
    finally:
        docker("rm", container)


def bare(spec: NodeSpec, folder: Path) -> NodeSpec:
    return spec


def full(spec: NodeSpec, folder: Path) -> NodeSpec:
    """Every field set to something that is not a default."""
    source = folder / 'a,b "c" d'
    source.mkdir()
    return replace(
        spec,
        num_ranks=2,
        command=("sh", "-c", 'echo "it\'s" $0 && sleep 60', "--flag", "", "ä"),
        env=(("A", "1"), ("EMPTY", ""), ("EQUALS", "x=y"), ("PATH", "/bin:/sbin"), ("Ä", "a b\nc")),
        mounts=(Mount(str(folder), "/out", False), Mount(str(source), "/data", True)),
        limits=Limits(cpus=0.3, memory_bytes=16 * 2**20, shm_bytes=2**20, pids=77),
        user="12:34",
        workdir="/tmp",
    )


def unconfined(spec: NodeSpec, folder: Path) -> NodeSpec:
    return replace(spec, confinement=Confinement((), no_new_privileges=False))


@pytest.mark.parametrize("shape", [bare, full, unconfined])
def test_a_spec_comes_back_as_it_was_given(
    shape: Callable[[NodeSpec, Path], NodeSpec], image: str, project: str, tmp_path: Path
) -> None:
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path / "private")
    desired = _desired(project, image, shape, tmp_path)
    assert desired.network is not None
    engine.create_network(desired.network, project)
    engine.start_nodes(desired.nodes, RunIdentity(project, "run-1", "/runs/1"), lambda _: None)
    found = engine.observe_nodes(project)
    assert [_essence(node) for node in found] == [
        (_with_image(spec), "run-1", spec_hash(spec), "/runs/1") for spec in desired.nodes
    ]
    query = Query(project, image, desired.network.name, node_names=(found[0].name, found[1].name))
    assert make_plan(desired, engine.observe(query)).actions == ()


def _desired(
    project: str, image: str, shape: Callable[[NodeSpec, Path], NodeSpec], folder: Path
) -> DesiredState:
    base = NodeSpec(
        node_rank=0,
        num_ranks=1,
        name="",
        command=("sleep", "60"),
        image=image,
        limits=Limits(shm_bytes=2**20),
        network=f"{project}-net",
    )
    spec = shape(base, folder)
    nodes = tuple(replace(spec, node_rank=rank, name=f"{project}-node-{rank}") for rank in (0, 1))
    return DesiredState(project, ImageSpec(image), NetworkSpec(f"{project}-net"), nodes)


def _with_image(spec: NodeSpec) -> NodeSpec:
    return replace(
        spec,
        env=sorted_env(IMAGE_ENV, dict(spec.env)),
        user=spec.user or "1000",
        workdir=spec.workdir or "/srv",
    )


def _essence(node: ObservedNode) -> tuple[NodeSpec, str, str, str]:
    return node.spec, node.run_id, node.spec_hash, node.run_dir
