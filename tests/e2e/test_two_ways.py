"""One node, made over the engine's socket and by the docker command: the engine sees no difference.

The two say the same in different words (`body.py`, `options.py`). Whatever only one of them
said, or said otherwise, would show here as a field of the inspected container.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.creation import Creation, ProbePlace
from orchestrator.engines.docker.endpoint import Ways, by_command, make_ways
from orchestrator.engines.docker.socket_changer import SocketChanger
from orchestrator.errors import ImageUnavailable, NameTaken, NodeNotStarted, OrchestrateError
from orchestrator.state.desired import NetworkSpec, RunIdentity
from orchestrator.state.spec import (
    NO_NETWORK,
    SHAREABLE,
    UNLIMITED,
    Confinement,
    HealthCommand,
    Limits,
    Mount,
    NodeSpec,
    Secret,
)

pytestmark = pytest.mark.docker

LIMITS = Limits(cpus=0.3, memory_bytes=16 * 2**20, shm_bytes=2**20, pids=77)
BARE = NodeSpec(node_rank=0, num_ranks=1, name="", command=("true",), confinement=None)
OWN = (".Created", ".GraphDriver")
"""What no two containers have in common, besides their ids."""

SHAPES = {
    "bare": BARE,
    "default confinement, network": replace(BARE, confinement=Confinement(), network="NETWORK"),
    "confined by nothing": replace(BARE, confinement=Confinement((), no_new_privileges=False)),
    "read-only": replace(
        BARE,
        confinement=Confinement(
            read_only_root=True, tmpfs=(("/run", "rw,size=4096"), ("/tmp", "rw,exec,size=65536"))
        ),
    ),
    "limits": replace(BARE, limits=LIMITS),
    "odd limits": replace(BARE, limits=Limits(cpus=1.1, memory_bytes=6291457, memlock_bytes=8192)),
    "no limit on locked memory": replace(BARE, limits=Limits(memlock_bytes=UNLIMITED)),
    "one GPU": replace(BARE, gpus=("GPU-a",)),
    "GPUs": replace(BARE, gpus=("GPU-b", "GPU-a"), limits=Limits(memlock_bytes=UNLIMITED)),
    "environment": replace(
        BARE,
        command=("sh", "-c", 'echo "it\'s" $0', "--flag", "", "ä"),
        env=(("A", "1"), ("EMPTY", ""), ("EQUALS", "x=y"), ("PATH", "/bin"), ("Ä", "a b\nc")),
        user="12:34",
        workdir="/srv/a b",
    ),
    "health command": replace(BARE, health=HealthCommand('it\'s "$well"', 0.5, 1.25, 2, 0.0)),
    "hidden": replace(
        BARE,
        env=(("A", "1"), ("TOKEN", "canary $HOME # '\""), ("Z", "2")),
        hidden_env=("TOKEN",),
        secrets=(Secret("s0", b"canary"), Secret("s1", b"canary")),
    ),
    "probe": replace(BARE, probe=True, env=(("PYTHONPATH", "/app"),)),
    "beside others": replace(BARE, ipc=SHAREABLE, network=NO_NETWORK),
    "mounts": replace(
        BARE,
        num_ranks=2,
        mounts=(Mount("/usr", "/data", True), Mount("HERE/out", "/out", False)),
        secrets=(Secret("s0", b"canary"),),
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    """A name of its own, with a network, of which nothing is left afterwards."""
    name = f"utest-{uuid.uuid4().hex[:10]}"
    (tmp_path / "secrets").mkdir()
    (tmp_path / 'a,b "c" d').mkdir()
    ways = make_ways(DockerCli())
    ways.changer.create_network(NetworkSpec(f"{name}-net"), {"orchestrate.project": name})
    yield name
    found = ways.reader.containers([("name", f"^/{name}-node-")])
    ways.changer.remove([each["Id"] for each in found])
    ways.changer.remove_network(f"{name}-net", name)


def both() -> tuple[Ways, Ways]:
    """The ways by the socket and by the command."""
    quick = make_ways(DockerCli())
    # Without a socket both ways would be one, and there would be nothing to compare.
    assert isinstance(quick.changer, SocketChanger)
    return quick, by_command(DockerCli())


def inspected(ways: Ways, creation: Creation) -> dict[str, object]:
    """The fields of the container that is made, but for what is each one's own; removed again."""
    ways.changer.create(creation)
    (found,) = ways.reader.containers([("name", f"^/{creation.node.name}$")])
    ways.changer.remove([found["Id"]])
    text = json.dumps(found).replace(found["Id"], "ID").replace(found["Id"][:12], "ID")
    fields = dict(flat("", json.loads(text)))
    return {name: fields[name] for name in fields if not name.startswith(OWN)}


def flat(name: str, value: Any) -> Iterator[tuple[str, object]]:
    """Every leaf of an object, by its path: a difference is one line.

    An empty list is left out as what is not there at all: Go's JSON reader makes no difference.
    """
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from flat(f"{name}.{key}", inner)
    elif value not in (None, []):
        # The command mixes up the order of variables, and the engine that of mounts; neither
        # means anything.
        yield name, sorted(value, key=str) if name in (".Config.Env", ".Mounts") else value


@pytest.mark.parametrize("shape", SHAPES)
def test_both_ways_make_the_same_container(
    shape: str, busybox_image: str, project: str, tmp_path: Path
) -> None:
    here = SHAPES[shape]
    mounts = tuple(
        replace(mount, source=mount.source.replace("HERE/out", str(tmp_path / 'a,b "c" d')))
        for mount in here.mounts
    )
    node = replace(
        here,
        name=f"{project}-node-0",
        image=busybox_image,
        mounts=mounts,
        network=f"{project}-net" if here.network == "NETWORK" else here.network,
    )
    identity = RunIdentity(project, "run-1", "/runs/1", "/x.yaml", "sha256:abc", 3)
    creation = Creation(node, identity, "1000", tmp_path)
    if shape == "probe":
        creation = replace(creation, probe=ProbePlace(tmp_path, pythonpath="/app"))
    quick, slow = both()
    assert inspected(quick, creation) == inspected(slow, creation)


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        ({"image": "utest-nowhere:1"}, ImageUnavailable),
        ({"mounts": (Mount("/no/such/folder", "/data", True),)}, NodeNotStarted),
        ({"limits": Limits(memory_bytes=4096)}, NodeNotStarted),
        ({"limits": Limits(cpus=10_000.0)}, NodeNotStarted),
        ({"name": "TAKEN"}, NameTaken),
    ],
    ids=lambda value: str(next(iter(value), None)) if isinstance(value, dict) else "",
)
def test_both_ways_are_refused_in_the_same_words(
    broken: dict[str, Any],
    error: type[OrchestrateError],
    busybox_image: str,
    project: str,
    tmp_path: Path,
) -> None:
    node = replace(BARE, name=f"{project}-node-0", image=busybox_image)
    identity = RunIdentity(project, "run-1", "/runs/1")
    said = []
    for ways in both():
        if broken.get("name"):
            ways.changer.create(Creation(node, identity, "1000", tmp_path))
            broken = {"name": node.name}
        with pytest.raises(error) as caught:
            ways.changer.create(Creation(replace(node, **broken), identity, "1000", tmp_path))
        said.append((caught.value.what, caught.value.fix))
        if "name" in broken:
            found = ways.reader.containers([("name", f"^/{project}-node-")])
            said[-1] = (said[-1][0].replace(found[0]["Id"], "ID"), said[-1][1])
            ways.changer.remove([found[0]["Id"]])
    assert said[0] == said[1]
