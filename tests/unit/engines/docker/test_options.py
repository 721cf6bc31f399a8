"""What `docker create` is told for a node: the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.creation import Creation, ProbePlace
from orchestrator.engines.docker.options import create_options
from orchestrator.engines.docker.private import hidden_env_file
from orchestrator.state.desired import RunIdentity
from orchestrator.state.spec import (
    UNLIMITED,
    Confinement,
    Limits,
    Mount,
    NodeSpec,
    Secret,
    spec_hash,
)

IDENTITY = RunIdentity("pair", "run-7", "/runs/pair/run-7", "/src/pair.yaml", "sha256:abc", 3)
TOLD = {
    "ORCHESTRATE_RUN_ID": "run-7",
    "ORCHESTRATE_RESTART_COUNT": "3",
    "TORCHELASTIC_RESTART_COUNT": "3",
}
BARE = NodeSpec(node_rank=0, num_ranks=1, name="pair-node-0", command=("true",), confinement=None)
FULL = NodeSpec(
    node_rank=1,
    num_ranks=2,
    name="pair-node-1",
    command=("python", "train.py"),
    image="app:1",
    env=(("A", "1"), ("RANK", "1")),
    mounts=(Mount("/src/data", "/data", True), Mount("/src/out", "/out", False)),
    limits=Limits(cpus=0.5, memory_bytes=2**30, shm_bytes=2**28, pids=512),
    user="1000:1000",
    network="pair-net",
    workdir="/app",
)


def labels(node: NodeSpec) -> dict[str, str]:
    return {
        "orchestrate.project": "pair",
        "orchestrate.owner": "1000",
        "orchestrate.node_rank": str(node.node_rank),
        "orchestrate.num_ranks": str(node.num_ranks),
        "orchestrate.run_id": "run-7",
        "orchestrate.spec_hash": spec_hash(node),
        "orchestrate.playbook": "/src/pair.yaml",
        "orchestrate.playbook_digest": "sha256:abc",
        "orchestrate.run_dir": "/runs/pair/run-7",
        "orchestrate.restart_count": "3",
    }


def test_a_node_with_everything() -> None:
    assert create_options(Creation(FULL, IDENTITY, "1000")) == {
        "name": "pair-node-1",
        "hostname": "pair-node-1",
        "pull": "never",
        "init": True,
        "envs": {"A": "1", "RANK": "1", **TOLD},
        "labels": labels(FULL),
        "log_driver": "json-file",
        "mounts": [
            ["type=bind", "source=/src/data", "target=/data", "readonly"],
            ["type=bind", "source=/src/out", "target=/out"],
        ],
        "networks": ["pair-net"],
        "network_aliases": ["pair-node-1"],
        "user": "1000:1000",
        "workdir": "/app",
        "cpus": 0.5,
        "memory": 2**30,
        "memory_swap": 2**30,
        "shm_size": 2**28,
        "pids_limit": 512,
        "cap_drop": ["ALL"],
        "security_options": ["no-new-privileges"],
    }


def test_a_node_with_nothing() -> None:
    assert create_options(Creation(BARE, IDENTITY, "1000")) == {
        "name": "pair-node-0",
        "hostname": "pair-node-0",
        "pull": "never",
        "init": True,
        "envs": TOLD,
        "labels": labels(BARE),
        "log_driver": "json-file",
        "mounts": [],
    }


@pytest.mark.parametrize(
    ("uuids", "gpus"),
    [(("GPU-a",), '"device=GPU-a"'), (("GPU-a", "GPU-b"), '"device=GPU-a,GPU-b"')],
)
def test_gpus_go_by_uuid_and_survive_dockers_csv(uuids: tuple[str, ...], gpus: str) -> None:
    node = replace(BARE, gpus=uuids, limits=Limits(memlock_bytes=UNLIMITED))
    bare = create_options(Creation(BARE, IDENTITY, "1000")) | {"labels": labels(node)}
    assert create_options(Creation(node, IDENTITY, "1000")) == bare | {
        "gpus": gpus,
        "ulimit": ["memlock=-1"],
    }


def test_a_confinement_that_confines_nothing() -> None:
    options = create_options(
        Creation(replace(BARE, confinement=Confinement((), False)), IDENTITY, "1000")
    )
    assert (options["cap_drop"], "security_options" in options) == ([], False)


def test_a_node_that_may_write_to_its_tmp_alone() -> None:
    strict = Confinement(read_only_root=True, tmpfs=(("/tmp", "rw,exec,size=4096"),))
    options = create_options(Creation(replace(BARE, confinement=strict), IDENTITY, "1000"))
    assert (options["read_only"], options["tmpfs"]) == (True, ["/tmp:rw,exec,size=4096"])
    assert "read_only" not in create_options(Creation(FULL, IDENTITY, "1000"))


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/a b", "source=/a b"),
        ("/a,b", '"source=/a,b"'),
        ('/a"b', '"source=/a""b"'),
        ("/a=b", "source=/a=b"),
    ],
)
def test_paths_survive_dockers_csv(path: str, field: str) -> None:
    options = create_options(
        Creation(replace(BARE, mounts=(Mount(path, "/x", True),)), IDENTITY, "1000")
    )
    assert options["mounts"] == [["type=bind", field, "target=/x", "readonly"]]


def test_secrets_and_hidden_variables_stand_in_no_argument() -> None:
    node = replace(
        BARE,
        env=(("A", "shown"), ("TOKEN", "canary-5711")),
        hidden_env=("TOKEN",),
        secrets=(Secret("hf_token", b"canary-5712"), Secret("wandb", b"canary-5713")),
    )
    private = Path("/state/pair@run-7")
    creation = Creation(node, IDENTITY, "1000", private)
    options = create_options(creation, private / "pair-node-0.env")
    assert "canary" not in str(options)
    assert options["env_files"] == ["/state/pair@run-7/pair-node-0.env"]
    assert options["envs"]["A"] == "shown"
    assert options["mounts"] == [
        ["type=bind", "source=/state/pair@run-7/secrets", "target=/run/secrets", "readonly"]
    ]
    told = {"orchestrate.hidden_env": "TOKEN", "orchestrate.secrets": "hf_token,wandb"}
    assert options["labels"] == labels(node) | told


PLACE = ProbePlace(Path("/state/probe/1234"), "/image")


def test_a_node_with_the_probe() -> None:
    node = replace(BARE, probe=True)
    bare = create_options(Creation(BARE, IDENTITY, "1000"))
    assert create_options(Creation(node, IDENTITY, "1000", probe=PLACE)) == bare | {
        "envs": {
            "PYTHONPATH": "/opt/orchestrate/probe:/image",
            "ORCHESTRATE_PROBE_CHANNEL": "/proc/1/fd/1",
            **TOLD,
        },
        "labels": labels(node) | {"orchestrate.probe": "/state/probe/1234"},
        "mounts": [
            ["type=bind", "source=/state/probe/1234", "target=/opt/orchestrate/probe", "readonly"]
        ],
    }


def test_the_probe_comes_before_a_path_that_is_not_to_be_seen(tmp_path: Path) -> None:
    node = replace(BARE, env=(("PYTHONPATH", "/own"),), hidden_env=("PYTHONPATH",), probe=True)
    creation = Creation(node, IDENTITY, "1000", tmp_path, PLACE)
    assert "PYTHONPATH" not in create_options(creation)["envs"]
    with hidden_env_file(creation) as path:
        assert path is not None
        assert path.read_text() == "PYTHONPATH=/opt/orchestrate/probe:/own\n"
