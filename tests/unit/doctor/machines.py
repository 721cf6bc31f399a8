"""Machines that are well, to be changed by tests in what they are about."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from orchestrator.doctor.facts import (
    Command,
    Docker,
    Engine,
    Facts,
    Family,
    Feature,
    Folder,
    Gpus,
    Limiting,
    Mps,
    Networks,
    Place,
    Room,
    System,
    Toolkit,
    Unknown,
)
from orchestrator.doctor.judging.machine import NETWORKING, SHAPING
from orchestrator.doctor.needs import Load, Needs
from orchestrator.errors import ExitCode
from orchestrator.gpus.demand import GpuDemand, Sharing
from orchestrator.gpus.inventory import Gpu

GIB = 1024**3
DEBIAN = System(Family.DEBIAN, "Debian GNU/Linux 13 (trixie)", version=13, has_systemd=True)
NO_DRIVER = Unknown(
    "this machine has no NVIDIA driver: nvidia-smi cannot be run",
    "install the driver",
    ExitCode.GPU_UNAVAILABLE,
)
A100 = Gpu(0, "GPU-8932f937", "NVIDIA A100", 40 * GIB, driver_version="550.54.15")

ENGINE = Engine(
    version="28.5.1",
    name="Debian GNU/Linux 12 (bookworm)",
    kernel="6.1.0-30-amd64",
    cpus=8,
    memory_bytes=32 * GIB,
    data_root="/var/lib/docker",
    cgroup_version="2",
    cgroup_driver="systemd",
    limiting=Limiting(),
    is_rootless=False,
    runtimes=("io.containerd.runc.v2", "runc"),
    cdi_folders=("/etc/cdi", "/var/run/cdi"),
    cdi_devices=(),
    pool_sizes=(),
    ahead_s=0.2,
)
COMMAND = Command("/usr/bin/docker", "28.5.1", has_buildx=True)
DOCKER = Docker(
    command=COMMAND,
    place=Place("unix:///var/run/docker.sock"),
    engine=ENGINE,
    networks=Networks(("bridge",)),
    room=Room("/var/lib/docker", 100 * GIB, 1000),
    image_bytes=1_100_000_000,
)
NO_GPUS = Gpus(NO_DRIVER, "", Toolkit("", ""), Mps("", "/tmp/nvidia-mps", is_running=False))
WITH_GPU = Gpus(
    (A100,),
    "550.54.15",
    Toolkit(
        "NVIDIA Container Toolkit CLI version 1.17.4", "/usr/bin/nvidia-container-runtime-hook"
    ),
    Mps("/usr/bin/nvidia-cuda-mps-control", "/tmp/nvidia-mps", is_running=False),
)
WELL = Facts(
    system=DEBIAN,
    release="6.1.0-30-amd64",
    python="3.12.1, orchestrate 0.1.0",
    cpus=8,
    memory_bytes=32 * GIB,
    memory_free_bytes=30 * GIB,
    folders=(
        Folder("state", "/home/u/.local/state/orchestrate", "", 50 * GIB),
        Folder("runs", "/home/u/.orchestrate/runs", "", 50 * GIB),
    ),
    docker=DOCKER,
    kernel=dict.fromkeys((*NETWORKING, *SHAPING), Feature.BUILT_IN),
    gpus=NO_GPUS,
    plan="4 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be.",
)
LOAD = Load(
    num_nodes=2,
    cpus=2.0,
    cpus_of_one=1.0,
    memory_bytes=4 * GIB,
    shm_bytes=GIB,
    shm_over_memory="",
    limits=frozenset({"memory", "cpus", "pids"}),
)
PAIR = Needs(
    load=LOAD,
    image="app:1",
    builds=True,
    network="pair-net",
    gpu_mode="cpu",
    gpus=None,
    has_mounts=False,
)


def with_mode(mode: Sharing) -> Needs:
    """A pair of nodes that uses GPUs in a mode."""
    return replace(PAIR, gpu_mode=mode, gpus=GpuDemand(mode, "NVIDIA_VISIBLE_DEVICES"))


GPU_PAIR = with_mode("shared")


def machine(**changes: Any) -> Facts:
    """A machine that is well but for this."""
    return replace(WELL, **changes)


def with_docker(**changes: Any) -> Facts:
    """A machine whose Docker is well but for this."""
    return machine(docker=replace(DOCKER, **changes))


def with_engine(**changes: Any) -> Facts:
    """A machine whose engine is well but for this."""
    return with_docker(engine=replace(ENGINE, **changes))


def with_gpus(**changes: Any) -> Facts:
    """A machine with a GPU, and well but for this."""
    return machine(gpus=replace(WITH_GPU, **changes))


def needing(**changes: Any) -> Needs:
    """A pair of nodes that asks for this as well."""
    return replace(PAIR, load=replace(LOAD, **changes))
