"""Facts of machines that are a few files and a few programs in a folder."""

from __future__ import annotations

import gzip
import os
import socket
import tempfile
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.doctor.facts import (
    NEWEST,
    Command,
    Docker,
    Engine,
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
from orchestrator.doctor.gathering.docker import (
    Asked,
    docker_cli,
    engine_from_info,
    read_docker,
    read_place,
)
from orchestrator.doctor.gathering.gpus import read_gpus
from orchestrator.doctor.gathering.machine import (
    memory_free,
    read_folder,
    read_kernel,
    read_room,
    read_system,
)
from orchestrator.errors import EngineFailed, ExitCode, GpuUnavailable, UnusableSetting
from orchestrator.gpus.inventory import Gpu
from orchestrator.state.observed import ProjectSummary
from tests.unit.doctor.stand_in import REFUSAL, answers, put_docker
from tests.unit.fake_engine import FakeEngine

DEADLINE = {"ORCHESTRATE_DEADLINE_S": "120"}


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


# -- the machine ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("release", "family", "is_ubuntu"),
    [
        ('ID=debian\nPRETTY_NAME="Debian 12"\n', Family.DEBIAN, False),
        ("ID=ubuntu\nID_LIKE=debian\n", Family.DEBIAN, True),
        ("ID=linuxmint\nID_LIKE='ubuntu debian'\n", Family.DEBIAN, True),
        ('ID="rocky"\nID_LIKE="rhel centos fedora"\n', Family.FEDORA, False),
        ("ID=arch\n# a comment\n", Family.ARCH, False),
        ('ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', Family.SUSE, False),
        ("ID=nixos\n", Family.OTHER, False),
        ('ID="no end\n', Family.OTHER, False),
        ("", Family.OTHER, False),
    ],
)
def test_systems(tmp_path: Path, release: str, family: Family, *, is_ubuntu: bool) -> None:
    write(tmp_path / "etc/os-release", release)
    system = read_system(tmp_path, "linux")
    assert (system.family, system.is_ubuntu) == (family, is_ubuntu)
    assert system.is_enterprise == ("rhel" in release)
    assert system.version == NEWEST


def test_wsl_systemd_and_macos(tmp_path: Path) -> None:
    write(
        tmp_path / "etc/os-release",
        'ID=ubuntu\nVERSION_ID="24.04"\nPRETTY_NAME="Ubuntu 24.04"\n',
    )
    write(tmp_path / "proc/version", "Linux version 5.15.0-microsoft-standard-WSL2")
    write(tmp_path / "etc/init.d/docker", "")
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert read_system(tmp_path, "linux") == System(
        Family.DEBIAN,
        "Ubuntu 24.04",
        version=24,
        is_ubuntu=True,
        is_wsl=True,
        is_root=os.geteuid() == 0,
        has_systemd=True,
        has_init_script=True,
    )
    assert read_system(tmp_path / "mac", "darwin").family is Family.MACOS


def test_memory(tmp_path: Path) -> None:
    assert isinstance(memory_free(tmp_path), Unknown)
    write(tmp_path / "proc/meminfo", "MemTotal: 100 kB\nMemFree: 1 kB\nMemAvailable:   64 kB\n")
    assert memory_free(tmp_path) == 64 * 1024


def test_folders(tmp_path: Path) -> None:
    there = read_folder("state", tmp_path / "a" / "b")
    assert there == Folder("state", str(tmp_path / "a" / "b"), "", there.free_bytes)
    assert there.free_bytes > 0
    write(tmp_path / "file", "")
    in_a_file = read_folder("runs", tmp_path / "file" / "x")
    assert in_a_file.closed == str(tmp_path / "file")


def test_rooms(tmp_path: Path) -> None:
    room = read_room(str(tmp_path))
    assert isinstance(room, Room)
    assert room.free_bytes > 0
    assert isinstance(read_room(str(tmp_path / "nope")), Unknown)


ALL = ("bridge", "veth", "sch_netem", "sch_tbf", "vxlan")


def test_a_kernel_with_modules(tmp_path: Path) -> None:
    folder = tmp_path / "lib/modules/6.1"
    write(tmp_path / "proc/modules", "bridge 311296 0 - Live 0x0\nstp 16384 1 bridge, Live 0x0\n")
    write(folder / "modules.builtin", "kernel/drivers/net/veth.ko\n")
    write(
        folder / "modules.dep",
        "kernel/net/sched/sch_tbf.ko.xz:\nkernel/drivers/net/vxlan/vxlan.ko.zst: kernel/a.ko\n",
    )
    assert read_kernel(ALL, "6.1", tmp_path) == {
        "bridge": Feature.LOADED,
        "veth": Feature.BUILT_IN,
        "sch_netem": Feature.MISSING,
        "sch_tbf": Feature.LOADABLE,
        "vxlan": Feature.LOADABLE,
    }


def test_a_kernel_that_tells_its_configuration(tmp_path: Path) -> None:
    config = "CONFIG_BRIDGE=y\nCONFIG_VETH=y\n# CONFIG_NET_SCH_NETEM is not set\n"
    write(tmp_path / "proc/modules", "")
    (tmp_path / "proc/config.gz").write_bytes(gzip.compress(config.encode()))
    assert read_kernel(ALL, "6.18", tmp_path) == {
        "bridge": Feature.BUILT_IN,
        "veth": Feature.BUILT_IN,
        **dict.fromkeys(("sch_netem", "sch_tbf", "vxlan"), Feature.MISSING),
    }
    (tmp_path / "proc/config.gz").unlink()
    write(tmp_path / "boot/config-6.18", "CONFIG_VXLAN=y\n")
    assert read_kernel(("vxlan", "veth"), "6.18", tmp_path) == {
        "vxlan": Feature.BUILT_IN,
        "veth": Feature.MISSING,
    }


@pytest.mark.parametrize("config", [None, b"", b"no gzip"])
def test_a_kernel_that_says_nothing(tmp_path: Path, config: bytes | None) -> None:
    (tmp_path / "proc").mkdir()
    if config is not None:
        (tmp_path / "proc/config.gz").write_bytes(config)
    assert read_kernel(("veth",), "6.18", tmp_path) == {"veth": Feature.UNKNOWN}


# -- Docker ---------------------------------------------------------------------------


def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, engine: FakeEngine) -> Asked:
    """Whoever asks the stand-in, at a socket of this machine that nothing listens on."""
    host = f"unix://{tmp_path}/no.sock"
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("DOCKER_HOST", host)
    environ = {**os.environ, **DEADLINE}
    return Asked(docker_cli(environ), engine, "app:1", environ)


def test_all_of_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_docker(tmp_path / "bin", answers())
    engine = FakeEngine(
        rivals=(ProjectSummary("theirs", other_owner="1001"), ProjectSummary("empty"))
    )
    found = read_docker(asked(tmp_path, monkeypatch, engine))
    assert isinstance(found.room, Room)
    assert found == Docker(
        Command(str(tmp_path / "bin/docker"), "28.5.1", has_buildx=True),
        Place(f"unix://{tmp_path}/no.sock", is_usual=False),
        Engine(
            version="28.5.1",
            name="Debian GNU/Linux 12 (bookworm)",
            kernel=os.uname().release,
            cpus=8,
            memory_bytes=32 * 1024**3,
            data_root="/",
            cgroup_version="2",
            cgroup_driver="systemd",
            limiting=Limiting(),
            is_rootless=False,
            runtimes=("nvidia", "runc"),
            cdi_folders=("/nope/cdi",),
            cdi_devices=("nvidia.com/gpu=0",),
            pool_sizes=(256,),
            ahead_s=0.0,
        ),
        Networks(("bridge", "pair-net", "o"), ("empty",)),
        Room("/", found.room.free_bytes, found.room.free_files),
        5_000_000,
    )


def test_a_docker_without_an_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_docker(tmp_path / "bin", {}, buildx=False)
    found = read_docker(asked(tmp_path, monkeypatch, FakeEngine()))
    dead = found.engine
    assert isinstance(dead, Unknown)
    assert dead.why == f"asking for the engine's version: {REFUSAL.rstrip('.')}"
    assert dead.code is ExitCode.ENGINE_UNAVAILABLE
    assert found.command == Command(str(tmp_path / "bin/docker"), "28.5.1", has_buildx=False)
    assert (found.networks, found.room, found.image_bytes) == (dead, dead, dead)


def test_each_question_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = answers()
    del said["network ls"]
    said["image inspect"] = "[]"
    put_docker(tmp_path / "bin", said)
    found = read_docker(asked(tmp_path, monkeypatch, FakeEngine()))
    assert isinstance(found.engine, Engine)
    assert isinstance(found.networks, Unknown)
    assert found.image_bytes is None
    engine = FakeEngine(failures={"projects": EngineFailed("nope")})
    put_docker(tmp_path / "bin", answers())
    again = read_docker(asked(tmp_path, monkeypatch, engine))
    assert again.networks == Unknown("nope", "", ExitCode.ENGINE_FAILED)


@pytest.mark.parametrize("info", ["nonsense", "[]", '{"NCPU": "many"}', '{"Runtimes": 3}'])
def test_an_engine_that_talks_nonsense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, info: str
) -> None:
    put_docker(tmp_path / "bin", answers() | {"info --format": info})
    found = read_docker(asked(tmp_path, monkeypatch, FakeEngine()))
    assert isinstance(found.engine, Unknown)


def test_no_docker_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(tmp_path, monkeypatch, FakeEngine())
    monkeypatch.setenv("PATH", str(tmp_path))
    found = read_docker(question)
    assert found.command == Unknown(
        "there is no `docker` command on this machine", "", ExitCode.ENGINE_UNAVAILABLE
    )
    assert found.engine == found.command


def test_an_engine_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    question = asked(tmp_path, monkeypatch, FakeEngine())
    put_docker(tmp_path / "bin", answers())
    path = Path(tempfile.mkdtemp(prefix="hangs-")) / "docker.sock"  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
        environ = {**os.environ, "ORCHESTRATE_DEADLINE_S": "1"}
        found = read_docker(replace(question, cli=docker_cli(environ), environ=environ))
    path.unlink()
    path.parent.rmdir()
    assert isinstance(found.engine, Unknown)
    assert found.engine.why.endswith("did not answer within 1 s")


def test_a_deadline_that_means_nothing_is_refused() -> None:
    with pytest.raises(UnusableSetting):
        docker_cli({"ORCHESTRATE_DEADLINE_S": "soon"})
    assert docker_cli({}).deadlines.answer_s == 10.0


@pytest.mark.parametrize(
    ("began_s", "ended_s", "ahead_s"),
    [(0.0, 9.0, 0.0), (0.0, 3.0, 2.5), (7.5, 9.0, -2.0), (5.5, 5.5, 0.0)],
)
def test_clocks(began_s: float, ended_s: float, ahead_s: float) -> None:
    info = {"SystemTime": "1970-01-01T00:00:05.500000000Z"}
    assert engine_from_info(info, "28.0", (began_s, ended_s)).ahead_s == pytest.approx(ahead_s)


@pytest.mark.parametrize("said", [{}, {"SystemTime": "?"}, {"SystemTime": None}])
def test_an_engine_that_says_little(said: dict[str, Any]) -> None:
    assert engine_from_info(said, "19.03", (0.0, 1.0)) == Engine(
        version="19.03",
        name="",
        kernel="",
        cpus=0,
        memory_bytes=0,
        data_root="",
        cgroup_version="1",
        cgroup_driver="",
        limiting=Limiting(),
        is_rootless=False,
        runtimes=(),
        cdi_folders=(),
        cdi_devices=(),
        pool_sizes=(),
        ahead_s=0.0,
    )
    rootless = engine_from_info({"SecurityOptions": ["name=rootless"]}, "19.03", (0.0, 1.0))
    assert rootless.is_rootless


def test_places(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path)}
    usual = read_place(home)
    assert (usual.endpoint, usual.is_local, usual.is_usual) == (
        "unix:///var/run/docker.sock",
        True,
        True,
    )
    assert read_place(home | {"DOCKER_HOST": "tcp://far:2375"}) == Place(
        "tcp://far:2375", is_local=False, is_usual=False
    )
    assert read_place(home | {"DOCKER_CONTEXT": "lab"}) == Place(
        "context lab", is_local=False, is_usual=False
    )


# -- GPUs -----------------------------------------------------------------------------

GPU = Gpu(0, "GPU-1", "A100")


def test_a_machine_without_nvidia_software(tmp_path: Path) -> None:
    def inventory() -> tuple[Gpu, ...]:
        raise GpuUnavailable("no driver", fix="install it")

    assert read_gpus(inventory, {"PATH": str(tmp_path)}, tmp_path) == Gpus(
        Unknown("no driver", "install it", ExitCode.GPU_UNAVAILABLE),
        "",
        Toolkit("", ""),
        Mps("", "/tmp/nvidia-mps", is_running=False),
    )


def put_program(path: Path, script: str) -> None:
    write(path, f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_machine_with_all_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "bin"
    put_program(folder / "nvidia-ctk", 'echo "NVIDIA Container Toolkit CLI version 1.17.4"; echo x')
    put_program(folder / "nvidia-cuda-mps-control", "exit 1")
    put_program(tmp_path / "usr/local/nvidia/toolkit/nvidia-container-runtime-hook", "exit 1")
    write(
        tmp_path / "proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  550.54.15  Release Build\n",
    )
    write(tmp_path / "pipes/nvidia-cuda-mps-control.pid", "77\n")
    (tmp_path / "proc/77").mkdir()
    environ = {"PATH": str(folder), "CUDA_MPS_PIPE_DIRECTORY": "/pipes"}
    assert read_gpus(lambda: (GPU,), environ, tmp_path) == Gpus(
        (GPU,),
        "550.54.15",
        Toolkit(
            "NVIDIA Container Toolkit CLI version 1.17.4",
            str(tmp_path / "usr/local/nvidia/toolkit/nvidia-container-runtime-hook"),
        ),
        Mps(str(folder / "nvidia-cuda-mps-control"), "/pipes", is_running=True),
    )


def test_a_daemon_that_has_died(tmp_path: Path) -> None:
    write(tmp_path / "tmp/nvidia-mps/nvidia-cuda-mps-control.pid", "77\n")
    gpus = read_gpus(lambda: (GPU,), {"PATH": str(tmp_path)}, tmp_path)
    assert not gpus.mps.is_running


def test_a_toolkit_that_says_nothing(tmp_path: Path) -> None:
    put_program(tmp_path / "bin/nvidia-ctk", "exit 3")
    gpus = read_gpus(lambda: (GPU,), {"PATH": str(tmp_path / "bin")}, tmp_path)
    assert gpus.toolkit.ctk == "nvidia-ctk"
