"""What the engine's API is asked for a node: the whole of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation
from orchestrator.state.spec import UNLIMITED, Confinement, Limits, NodeSpec, Secret
from tests.unit.engines.docker.test_options import BARE, FULL, IDENTITY, labels

TOLD = [
    "ORCHESTRATE_RUN_ID=run-7",
    "ORCHESTRATE_RESTART_COUNT=3",
    "TORCHELASTIC_RESTART_COUNT=3",
]
PRIVATE = Path("/state/pair@run-7")


def host(node: NodeSpec) -> dict[str, object]:
    found = create_body(Creation(node, IDENTITY, "1000", PRIVATE))["HostConfig"]
    assert isinstance(found, dict)
    return found


def test_a_node_with_everything() -> None:
    assert create_body(Creation(FULL, IDENTITY, "1000")) == {
        "Image": "app:1",
        "Cmd": ["python", "train.py"],
        "Hostname": "pair-node-1",
        "User": "1000:1000",
        "WorkingDir": "/app",
        "Env": ["A=1", "RANK=1", *TOLD],
        "Labels": labels(FULL),
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": {
            "Init": True,
            "LogConfig": {"Type": "json-file", "Config": {}},
            "RestartPolicy": {"Name": "no"},
            "NetworkMode": "pair-net",
            "Mounts": [
                {"Type": "bind", "Source": "/src/data", "Target": "/data", "ReadOnly": True},
                {"Type": "bind", "Source": "/src/out", "Target": "/out", "ReadOnly": False},
            ],
            "NanoCpus": 500_000_000,
            "Memory": 2**30,
            "MemorySwap": 2**30,
            "ShmSize": 2**28,
            "PidsLimit": 512,
            "CapDrop": ["ALL"],
            "SecurityOpt": ["no-new-privileges"],
            "ReadonlyRootfs": False,
            "Tmpfs": {},
        },
        "NetworkingConfig": {"EndpointsConfig": {"pair-net": {"Aliases": ["pair-node-1"]}}},
    }


BARE_HOST = {
    "Init": True,
    "LogConfig": {"Type": "json-file", "Config": {}},
    "RestartPolicy": {"Name": "no"},
    "NetworkMode": "default",
    "Mounts": [],
}


def test_a_node_with_nothing() -> None:
    assert create_body(Creation(BARE, IDENTITY, "1000")) == {
        "Image": "",
        "Cmd": ["true"],
        "Hostname": "pair-node-0",
        "User": "",
        "WorkingDir": "",
        "Env": TOLD,
        "Labels": labels(BARE),
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": BARE_HOST,
        "NetworkingConfig": {"EndpointsConfig": {}},
    }


@pytest.mark.parametrize("num_bytes", [UNLIMITED, 8192, 0])
def test_gpus_go_by_uuid_and_with_their_memory(num_bytes: int) -> None:
    asked = {
        "DeviceIDs": ["GPU-b", "GPU-a"],
        "Capabilities": [["gpu"]],
        "Options": {},
    }
    limit = {"Name": "memlock", "Soft": num_bytes, "Hard": num_bytes}
    node = replace(BARE, gpus=("GPU-b", "GPU-a"), limits=Limits(memlock_bytes=num_bytes))
    assert host(node) == BARE_HOST | {"DeviceRequests": [asked], "Ulimits": [limit]}


def test_a_share_of_a_processor_is_exact() -> None:
    shares = [0.01, 0.1, 0.3, 1.1, 2.333, 63.999]
    asked = [host(replace(BARE, limits=Limits(cpus=cpus)))["NanoCpus"] for cpus in shares]
    assert asked == [10**7, 10**8, 3 * 10**8, 11 * 10**8, 2_333 * 10**6, 63_999 * 10**6]


def test_a_node_that_may_write_to_its_tmp_alone() -> None:
    strict = Confinement((), False, read_only_root=True, tmpfs=(("/tmp", "rw,exec,size=4096"),))
    assert host(replace(BARE, confinement=strict)) == BARE_HOST | {
        "CapDrop": [],
        "SecurityOpt": [],
        "ReadonlyRootfs": True,
        "Tmpfs": {"/tmp": "rw,exec,size=4096"},
    }


def test_hidden_variables_go_in_the_body_and_secrets_do_not() -> None:
    node = replace(
        BARE,
        env=(("A", "shown"), ("TOKEN", "canary-5711")),
        hidden_env=("TOKEN",),
        secrets=(Secret("hf_token", b"canary-5712"), Secret("wandb", b"canary-5713")),
    )
    body = create_body(Creation(node, IDENTITY, "1000", PRIVATE))
    assert body["Env"] == ["TOKEN=canary-5711", "A=shown", *TOLD]
    assert body["HostConfig"]["Mounts"] == [
        {
            "Type": "bind",
            "Source": "/state/pair@run-7/secrets",
            "Target": "/run/secrets",
            "ReadOnly": True,
        }
    ]
    told = {"orchestrate.hidden_env": "TOKEN", "orchestrate.secrets": "hf_token,wandb"}
    assert body["Labels"] == labels(node) | told
    assert not {"canary-5712", "canary-5713"} & set(str(body).split("'"))
