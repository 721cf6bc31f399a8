"""GPUs by UUID, from `nvidia-smi` to what a node sees. The GPUs are stand-ins, nothing else is."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Desk, Ran
from tests.e2e.second_engine import docker, second_engine
from tests.nvidia import NO_DRIVER, UUIDS, num_gpus, put_nvidia_smi

A, B, C, D = UUIDS[:4]
# Everything of a node's environment, the engine's own additions included.
SHOW = "tr '\\0' '\\n' < /proc/1/environ | grep -E 'VISIBLE|NVIDIA|BACKEND|GPU_M'; ulimit -l"
WAIT = "trap 'exit 143' TERM; sleep 600 & wait"
# An engine that runs inside a container may not raise this limit.
MEMLOCK = "memlock: 8MiB"


@pytest.fixture(scope="session")
def gpu_host(busybox_image: str) -> Iterator[str]:
    """The second engine."""
    with second_engine(busybox_image) as engine:
        yield engine.host


@pytest.fixture
def gpu_desk(make_desk: Callable[[str], Desk], gpu_host: str) -> Iterator[Desk]:
    """A desk on the second engine, on a machine with four GPUs."""
    desk = make_desk("docker")
    desk.env = {"DOCKER_HOST": gpu_host}
    put_gpus(desk, num_gpus(4))
    yield desk
    desk.destroy("--grace", "0")


def put_gpus(desk: Desk, text: str, code: int = 0) -> None:
    folder = put_nvidia_smi(desk.folder / "bin", text, code=code)
    desk.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def seen(ran: Ran, node_rank: int) -> set[str]:
    """What a node printed of its environment and limits."""
    lines = re.findall(rf"^rank {node_rank} \| (.*)$", ran.out, re.MULTILINE)
    return {line for line in lines if "=" in line or line.isdigit()}


def expected(mode: str, uuid: str, backend: str) -> set[str]:
    return {
        f"NVIDIA_VISIBLE_DEVICES={uuid}",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        f"ORCHESTRATE_BACKEND={backend}",
        f"ORCHESTRATE_GPU_MODE={mode}",
        "8192",
    }


def no_changes(desk: Desk) -> Ran:
    ran = desk.run("plan", "--engine", desk.engine, "--exit-code", "playbook.yaml")
    assert ran.code == 0, ran.out + ran.err
    return ran


@pytest.mark.docker
def test_exclusive_gives_each_node_a_gpu_of_its_own(gpu_desk: Desk) -> None:
    put_gpus(gpu_desk, num_gpus(2))
    gpu_desk.write(SHOW, gpu=f"gpu: {{mode: exclusive, {MEMLOCK}}}")
    ran = gpu_desk.apply()
    assert ran.code == 0, ran.out + ran.err
    for node_rank, uuid in enumerate((A, B)):
        name = f"{gpu_desk.project}-node-{node_rank}"
        assert f"gpus: {uuid}" in ran.line(f" +  node {name}")
        assert seen(ran, node_rank) == expected("exclusive", uuid, "nccl")
    no_changes(gpu_desk)
    put_gpus(gpu_desk, num_gpus(4))
    no_changes(gpu_desk)


@pytest.mark.docker
def test_shared_gives_all_nodes_the_same_gpu(gpu_desk: Desk) -> None:
    gpu_desk.write(SHOW, gpu=f"gpu: {{mode: shared, devices: [2], {MEMLOCK}}}")
    ran = gpu_desk.apply()
    assert ran.code == 0, ran.out + ran.err
    for node_rank in range(2):
        assert seen(ran, node_rank) == expected("shared", C, "cpu:gloo,cuda:gloo")
    no_changes(gpu_desk)


@pytest.mark.docker
def test_several_gpus_for_one_node(gpu_desk: Desk) -> None:
    gpu = f"gpu: {{mode: exclusive, per_node: 2, devices: [3, 2, 1, 0], {MEMLOCK}}}"
    gpu_desk.write(SHOW, gpu=gpu)
    ran = gpu_desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert seen(ran, 0) == expected("exclusive", f"{D},{C}", "nccl")
    assert seen(ran, 1) == expected("exclusive", f"{B},{A}", "nccl")
    no_changes(gpu_desk)


@pytest.mark.docker
def test_a_node_made_again_by_hand_with_another_gpu_is_drift(gpu_desk: Desk, gpu_host: str) -> None:
    gpu_desk.write(WAIT, gpu=f"gpu: {{mode: exclusive, {MEMLOCK}}}", health_checks="")
    assert gpu_desk.apply("--detach").code == 0
    no_changes(gpu_desk)
    make_again(gpu_host, f"{gpu_desk.project}-node-1", D)
    ran = gpu_desk.run("plan", "--engine", gpu_desk.engine, "--exit-code", "playbook.yaml")
    assert ran.code == 2
    assert f"gpus: {D} -> {B}" in ran.out
    assert gpu_desk.apply("--detach").code == 0
    no_changes(gpu_desk)


def make_again(host: str, name: str, uuid: str) -> None:
    """Replace a container by one that differs in its GPU alone."""
    found = json.loads(docker(host, "inspect", name))[0]
    requests = [
        request | {"DeviceIDs": [uuid]} for request in found["HostConfig"]["DeviceRequests"]
    ]
    networks = {network: {"Aliases": [name]} for network in found["NetworkSettings"]["Networks"]}
    made = found["Config"] | {
        "HostConfig": found["HostConfig"] | {"DeviceRequests": requests},
        "NetworkingConfig": {"EndpointsConfig": networks},
    }
    docker(host, "rm", "--force", name)
    post(host, f"/containers/create?name={name}", made)
    docker(host, "start", name)


def post(host: str, path: str, body: dict[str, Any]) -> None:
    connection = http.client.HTTPConnection("engine", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(host.removeprefix("unix://"))
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    assert answer.status == 201, answer.read()
    connection.close()


@pytest.mark.docker
def test_too_few_gpus_create_nothing(gpu_desk: Desk, gpu_host: str) -> None:
    put_gpus(gpu_desk, num_gpus(1))
    gpu_desk.write(SHOW, gpu="gpu: {mode: exclusive}")
    ran = gpu_desk.apply()
    assert (ran.code, ran.err) == (
        14,
        "orchestrate: 2 GPUs are needed (2 nodes, 1 each), and 1 can be used of "
        f"0: {A} (NVIDIA A100-SXM4-40GB, 40 GiB); lower ranks.nodes or gpu.per_node, name more "
        "gpu.devices, or use gpu.mode: shared\n",
    )
    assert docker(gpu_host, "ps", "--all", "--quiet") == ""


@pytest.mark.docker
def test_an_engine_without_the_toolkit_says_so(docker_desk: Desk) -> None:
    put_gpus(docker_desk, num_gpus(2))
    docker_desk.write(SHOW, gpu=f"gpu: {{mode: exclusive, {MEMLOCK}}}")
    ran = docker_desk.apply()
    assert ran.code == 14
    assert "install the NVIDIA Container Toolkit" in ran.err


def test_the_embedded_engine_gives_gpus_too(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    put_gpus(desk, num_gpus(2))
    desk.write('echo "CUDA_VISIBLE_DEVICES=$CUDA_VISIBLE_DEVICES"', gpu="gpu: {mode: exclusive}")
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert [seen(ran, node_rank) for node_rank in range(2)] == [
        {f"CUDA_VISIBLE_DEVICES={A}"},
        {f"CUDA_VISIBLE_DEVICES={B}"},
    ]
    no_changes(desk)


def test_a_machine_without_a_gpu_gets_one_line(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("local")
    put_gpus(desk, NO_DRIVER, code=9)
    playbook = str(repository / "playbooks" / "gpu-shared.yaml")
    ran = desk.run("apply", "--engine", "local", playbook)
    assert ran.code == 14
    assert [line for line in ran.err.splitlines() if "nvidia-smi" in line] == [
        "orchestrate: nvidia-smi failed: NVIDIA-SMI has failed because it couldn't communicate "
        "with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running; "
        "mend or update the driver, or use gpu.mode: cpu where there is no GPU"
    ]


@pytest.mark.parametrize("name", ["gpu-shared", "gpu-exclusive"])
def test_a_shipped_playbook_is_planned(
    make_desk: Callable[[str], Desk], repository: Path, name: str
) -> None:
    desk = make_desk("local")
    put_gpus(desk, num_gpus(2))
    playbook = str(repository / "playbooks" / f"{name}.yaml")
    ran = desk.run("plan", "--engine", "local", playbook)
    assert ran.code == 0, ran.out + ran.err
    assert f"gpus: {A}" in ran.line(f" +  node {name}-node-0")
    assert f"gpus: {A if name == 'gpu-shared' else B}" in ran.line(f" +  node {name}-node-1")
