"""GPUs by UUID, from `nvidia-smi` to what a node sees. The GPUs are stand-ins, nothing else is."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Desk, Ran
from tests.e2e.gpu_stand_ins import SHOW as SHOW_GIVEN
from tests.e2e.gpu_stand_ins import put_cdi, put_hook, with_trainer
from tests.e2e.newer_engine import dockerd_with_cdi
from tests.e2e.second_engine import Prepare, docker, second_engine
from tests.nvidia import (
    MIG_UUIDS,
    NO_DRIVER,
    UUIDS,
    num_gpus,
    put_mig_machine,
    put_nvidia_smi,
)

ROOT = Path(__file__).parents[2]
A, B, C, D = UUIDS[:4]
SLICES = MIG_UUIDS
# Everything of a node's environment, the engine's own additions included.
SHOW = (
    "tr '\\0' '\\n' < /proc/1/environ | grep -E 'NVIDIA|BACKEND|GPU|CUDA_|LOCAL_RANK'; "
    f"ulimit -l; {SHOW_GIVEN}"
)
WAIT = "trap 'exit 143' TERM; sleep 600 & wait"
# An engine that runs inside a container may not raise this limit.
MEMLOCK = "memlock: 8MiB"


@dataclass(frozen=True, slots=True)
class Host:
    """A machine with GPUs: its engine, and the way in which that gives them to containers."""

    host: str
    is_cdi: bool

    def name(self, uuid: str) -> str:
        """What the engine is asked for."""
        return f"nvidia.com/gpu={uuid}" if self.is_cdi else uuid


@pytest.fixture(scope="session")
def hook_host(busybox_image: str) -> Iterator[Host]:
    """This machine's version of Docker, with NVIDIA's hook and runtime as they were before CDI."""
    prepare: Prepare = lambda folder: put_hook(folder, (*UUIDS, *SLICES))  # noqa: E731
    with second_engine(busybox_image, prepare=prepare) as engine:
        yield Host(engine.host, is_cdi=False)


@pytest.fixture(scope="session")
def cdi_host(busybox_image: str) -> Iterator[Host]:
    """An engine that knows CDI, and has nothing else of NVIDIA's."""
    prepare: Prepare = lambda folder: put_cdi(folder, (*UUIDS, *SLICES))  # noqa: E731
    with second_engine(busybox_image, dockerd=dockerd_with_cdi(), prepare=prepare) as engine:
        yield Host(engine.host, is_cdi=True)


@pytest.fixture(params=["hook", "cdi"])
def gpu_host(request: pytest.FixtureRequest) -> Host:
    """Each of the two in turn."""
    host = request.getfixturevalue(f"{request.param}_host")
    assert isinstance(host, Host)
    return host


@pytest.fixture
def gpu_desk(make_desk: Callable[[str], Desk], gpu_host: Host) -> Iterator[Desk]:
    """A desk on that engine, on a machine with four GPUs."""
    yield from desk_on(make_desk, gpu_host)


@pytest.fixture
def hook_desk(make_desk: Callable[[str], Desk], hook_host: Host) -> Iterator[Desk]:
    """A desk on the older of the two."""
    yield from desk_on(make_desk, hook_host)


def desk_on(make_desk: Callable[[str], Desk], host: Host) -> Iterator[Desk]:
    desk = make_desk("docker")
    desk.env = {"DOCKER_HOST": host.host}
    put_gpus(desk, num_gpus(4))
    yield desk
    desk.destroy("--grace", "0")


def put_gpus(desk: Desk, text: str, code: int = 0) -> None:
    folder = put_nvidia_smi(desk.folder / "bin", text, code=code)
    desk.env["PATH"] = f"{folder}{os.pathsep}{os.environ['PATH']}"


def seen(ran: Ran, node_rank: int) -> set[str]:
    """What a node printed of its environment and limits."""
    lines = re.findall(rf"^rank {node_rank} \| (.*)$", ran.out, re.MULTILINE)
    return {line for line in lines if "=" in line or line.isdigit() or line.startswith("GIVEN")}


def expected(host: Host, mode: str, uuids: tuple[str, ...], backend: str) -> set[str]:
    own = ",".join(uuids)
    return {
        f"NVIDIA_VISIBLE_DEVICES={'void' if host.is_cdi else own}",
        "NVIDIA_DRIVER_CAPABILITIES=compute,utility",
        "CUDA_DEVICE_ORDER=PCI_BUS_ID",
        "LOCAL_RANK=0",
        f"ORCHESTRATE_BACKEND={backend}",
        f"ORCHESTRATE_GPU_MODE={mode}",
        f"ORCHESTRATE_GPUS={own}",
        "8192",
        f"GIVEN: {' '.join(sorted(uuids))}",
    }


def no_changes(desk: Desk) -> Ran:
    ran = desk.run("plan", "--engine", desk.engine, "--exit-code", "playbook.yaml")
    assert ran.code == 0, ran.out + ran.err
    return ran


def apply_gpus(desk: Desk, gpu: str) -> Ran:
    """Apply what shows its GPUs; the next plan is empty."""
    desk.write(SHOW, gpu=f"gpu: {{{gpu}, {MEMLOCK}}}")
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    no_changes(desk)
    return ran


@pytest.mark.docker
def test_exclusive_gives_each_node_a_gpu_of_its_own(gpu_desk: Desk, gpu_host: Host) -> None:
    put_gpus(gpu_desk, num_gpus(2))
    ran = apply_gpus(gpu_desk, "mode: exclusive")
    for node_rank, uuid in enumerate((A, B)):
        name = f"{gpu_desk.project}-node-{node_rank}"
        assert f"gpus: {gpu_host.name(uuid)}" in ran.line(f" +  node {name}")
        assert seen(ran, node_rank) == expected(gpu_host, "exclusive", (uuid,), "nccl")
    put_gpus(gpu_desk, num_gpus(4))
    no_changes(gpu_desk)


@pytest.mark.docker
def test_shared_gives_all_nodes_the_same_gpu(gpu_desk: Desk, gpu_host: Host) -> None:
    ran = apply_gpus(gpu_desk, "mode: shared, devices: [2]")
    for node_rank in range(2):
        assert seen(ran, node_rank) == expected(gpu_host, "shared", (C,), "cpu:gloo,cuda:gloo")


@pytest.mark.docker
def test_mig_gives_each_node_a_slice_of_its_own(gpu_desk: Desk, gpu_host: Host) -> None:
    put_mig_machine(gpu_desk.folder / "bin", num_whole=1)
    ran = apply_gpus(gpu_desk, "mode: mig")
    for node_rank, uuid in enumerate(SLICES[:2]):
        name = f"{gpu_desk.project}-node-{node_rank}"
        assert f"gpus: {gpu_host.name(uuid)}" in ran.line(f" +  node {name}")
        assert seen(ran, node_rank) == expected(gpu_host, "mig", (uuid,), "cpu:gloo,cuda:gloo")


@pytest.mark.docker
def test_several_gpus_for_one_node(hook_desk: Desk, hook_host: Host) -> None:
    ran = apply_gpus(hook_desk, "mode: exclusive, per_node: 2, devices: [3, 2, 1, 0]")
    assert seen(ran, 0) == expected(hook_host, "exclusive", (C, D), "nccl")
    assert seen(ran, 1) == expected(hook_host, "exclusive", (A, B), "nccl")


@pytest.mark.docker
def test_cpu_shows_no_gpu_though_the_image_and_the_runtime_would(
    hook_desk: Desk, hook_host: Host
) -> None:
    tag = f"{hook_desk.project}:presets-all"
    made = docker(hook_host.host, "create", hook_desk.image, "true").strip()
    change = ("--change", "ENV NVIDIA_VISIBLE_DEVICES=all")
    docker(hook_host.host, "commit", *change, made, tag)
    docker(hook_host.host, "rm", made)
    shown = docker(hook_host.host, "run", "--rm", "--network=none", tag, "sh", "-c", SHOW_GIVEN)
    assert shown == f"GIVEN: {' '.join(sorted((*UUIDS, *SLICES)))}\n"
    hook_desk.write(SHOW, image=f"image: {{tag: '{tag}', pull: never}}")
    ran = hook_desk.apply()
    assert ran.code == 0, ran.out + ran.err
    for node_rank in range(2):
        told = {line for line in seen(ran, node_rank) if not line.isdigit()}  # the engine's limit
        assert told == {
            "NVIDIA_VISIBLE_DEVICES=void",
            "LOCAL_RANK=0",
            "ORCHESTRATE_BACKEND=gloo",
            "GIVEN:",
        }


@pytest.mark.docker
def test_a_node_made_again_by_hand_with_another_gpu_is_drift(
    gpu_desk: Desk, gpu_host: Host
) -> None:
    gpu_desk.write(WAIT, gpu=f"gpu: {{mode: exclusive, {MEMLOCK}}}", health_checks="")
    assert gpu_desk.apply("--detach").code == 0
    no_changes(gpu_desk)
    make_again(gpu_host.host, f"{gpu_desk.project}-node-1", gpu_host.name(D))
    ran = gpu_desk.run("plan", "--engine", gpu_desk.engine, "--exit-code", "playbook.yaml")
    assert ran.code == 2
    assert f"gpus: {gpu_host.name(D)} -> {gpu_host.name(B)}" in ran.out
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
def test_too_few_gpus_create_nothing(hook_desk: Desk, hook_host: Host) -> None:
    put_gpus(hook_desk, num_gpus(1))
    hook_desk.write(SHOW, gpu="gpu: {mode: exclusive}")
    ran = hook_desk.apply()
    assert (ran.code, ran.err) == (
        14,
        "orchestrate: 2 GPUs are needed (2 nodes, 1 each), and 1 can be used of "
        f"0: {A} (NVIDIA A100-SXM4-40GB, 40 GiB); lower ranks.nodes or gpu.per_node, name more "
        "gpu.devices, or use gpu.mode: shared\n",
    )
    assert docker(hook_host.host, "ps", "--all", "--quiet") == ""


@pytest.mark.docker
def test_a_gpu_that_the_toolkit_does_not_know_is_refused(gpu_desk: Desk, gpu_host: Host) -> None:
    stale = num_gpus(2).replace(B, "GPU-0badbad0-0000-4000-8000-000000000000")
    put_gpus(gpu_desk, stale)
    gpu_desk.write(SHOW, gpu=f"gpu: {{mode: exclusive, {MEMLOCK}}}")
    ran = gpu_desk.apply()
    assert ran.code == 14
    why = "could not select device driver" if gpu_host.is_cdi else "0000: unknown device"
    assert why in ran.err


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


JOINED = (
    '{"event": "process_group_joined", "rank": %d, "run_id": "%s", "world_size": 2, '
    '"backend": "gloo", "master_addr": "%s", "rank_sum": 1, "gpu": "%s"}\\n'
)


def test_two_ranks_that_report_one_slice_are_found(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    put_mig_machine(desk.folder / "bin")
    desk.env["PATH"] = f"{desk.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    told = f'"$RANK" "$ORCHESTRATE_RUN_ID" "$MASTER_ADDR" {SLICES[0]}'
    checks = "health_checks: [{joined: {within: 60s}}, {completed: {within: 60s}}]"
    desk.write(f"printf '{JOINED}' {told}", gpu="gpu: {mode: mig}", health_checks=checks)
    ran = desk.apply()
    assert ran.code == 1, ran.out + ran.err
    assert ran.line("DIAGNOSIS") == (
        f"DIAGNOSIS rank 1 ({desk.project}-node-1) fails check joined: expected gpu {SLICES[1]}; "
        f"found gpu {SLICES[0]}, which is node 0's"
    )


# The embedded engine has no MPS daemon: tests/e2e/test_mps.py.
PLAYBOOKS = sorted({path.stem for path in (ROOT / "playbooks").glob("gpu-*.yaml")} - {"gpu-mps"})
NO_NVIDIA = (
    "orchestrate: this machine has no NVIDIA driver: nvidia-smi cannot be run (no such file or "
    "directory); install the driver, or use gpu.mode: cpu where there is no GPU"
)
BROKEN = (
    "orchestrate: nvidia-smi failed: NVIDIA-SMI has failed because it couldn't communicate "
    "with the NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running; "
    "mend or update the driver, or use gpu.mode: cpu where there is no GPU"
)


@pytest.mark.parametrize("name", PLAYBOOKS)
def test_a_user_without_nvidia_software_gets_one_line(
    make_desk: Callable[[str], Desk], name: str
) -> None:
    desk = make_desk("local")
    desk.env["PATH"] = str(desk.folder)  # also on a machine that has it
    playbook = str(ROOT / "playbooks" / f"{name}.yaml")
    for verb in ("plan", "apply"):
        ran = desk.run(verb, "--engine", "local", playbook)
        assert (ran.code, [line for line in ran.err.splitlines() if "nvidia" in line]) == (
            14,
            [NO_NVIDIA],
        )
    put_gpus(desk, NO_DRIVER, code=9)
    ran = desk.run("plan", "--engine", "local", playbook)
    assert (ran.code, [line for line in ran.err.splitlines() if "nvidia" in line]) == (14, [BROKEN])


@pytest.mark.parametrize(
    ("name", "given"),
    [("gpu-shared", (A, A)), ("gpu-exclusive", (A, B)), ("gpu-mig", SLICES[:2])],
)
def test_a_shipped_playbook_is_planned(
    make_desk: Callable[[str], Desk], name: str, given: tuple[str, ...]
) -> None:
    desk = make_desk("local")
    if name == "gpu-mig":
        put_mig_machine(desk.folder / "bin")
        desk.env["PATH"] = f"{desk.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    else:
        put_gpus(desk, num_gpus(len(set(given))))
    ran = desk.run("plan", "--engine", "local", str(ROOT / "playbooks" / f"{name}.yaml"))
    assert ran.code == 0, ran.out + ran.err
    for node_rank, uuid in enumerate(given):
        assert f"gpus: {uuid}" in ran.line(f" +  node {name}-node-{node_rank}")


@pytest.mark.docker
def test_the_selftest_as_far_as_it_goes_without_a_gpu(
    hook_desk: Desk, hook_host: Host, busybox_image: str
) -> None:
    put_gpus(hook_desk, num_gpus(2))
    image = with_trainer(hook_host.host, busybox_image)
    hook_desk.write(
        WAIT,
        image=f"image: {{tag: '{image}', pull: never}}",
        gpu=f"gpu: {{mode: shared, {MEMLOCK}}}",
    )
    ran = hook_desk.run("doctor", "playbook.yaml", "--gpu-selftest")
    table = ran.out.partition("GPU SELFTEST\n")[2]
    rows = dict(re.findall(r"^([a-z]+)  +(.+)  [0-9.]+ s$", table, re.MULTILINE))
    cells = {mode: re.split(r"  +", row.rstrip()) for mode, row in rows.items()}
    assert cells["shared"] == ["ok", "ok", "1, 1", "ok", A, "gloo"], ran.out + ran.err
    assert cells["exclusive"] == ["ok", "ok", "1, 1", "ok", f"{A}, {B}", "gloo"]
    assert re.search("^mig +not possible$", table, re.MULTILINE)
    # There is no MPS daemon in that image.
    failed = {mode for mode, row in cells.items() if row[0] != "ok"}
    assert (failed, ran.code) == ({"mps"}, 1)
    report = (hook_desk.folder / "orchestrate-gpu-selftest.md").read_text()
    assert f"- exclusive, rank 1: given {B}; uses what it was given" in report.splitlines()
    assert docker(hook_host.host, "ps", "--all", "--quiet", "--filter", "name=selftest") == ""


def test_the_selftest_of_a_machine_without_a_gpu(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    put_gpus(desk, NO_DRIVER, code=9)
    ran = desk.run("doctor", "--engine", "local", "--gpu-selftest")
    assert ran.code == 14
    assert ran.err.startswith("orchestrate: nvidia-smi failed: NVIDIA-SMI has failed because")
    assert re.search("^shared +not possible$", ran.out, re.MULTILINE)
    assert (desk.folder / "orchestrate-gpu-selftest.md").is_file()
