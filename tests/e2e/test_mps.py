"""The MPS daemon of a run, on a real engine. NVIDIA's programs are stand-ins, nothing else is."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk, Ran
from tests.e2e.gpu_stand_ins import put_hook
from tests.e2e.second_engine import Prepare, docker, second_engine
from tests.nvidia import UUIDS, put_settable_gpu
from tests.waiting import wait_until

pytestmark = pytest.mark.docker

GPU = UUIDS[0]
CONTROL = """#!/bin/sh
# Stands in for nvidia-cuda-mps-control: a daemon with a control pipe, and who asks it.
pipes=${CUDA_MPS_PIPE_DIRECTORY:?}
if [ "${1:-}" = -f ]; then
    echo $$ > "$pipes/nvidia-cuda-mps-control.pid"
    mkdir -p "$pipes/clients"
    mkfifo "$pipes/control"
    trap 'exit 143' TERM
    echo "[Control] Start"
    while read -r command < "$pipes/control"; do [ "$command" != quit ] || exit 0; done
fi
read -r command
if [ -e "$pipes/deaf" ] || ! kill -0 "$(cat "$pipes/nvidia-cuda-mps-control.pid")"; then
    echo "Cannot find MPS control daemon process"
    exit 1
fi
case "$command" in
ps) echo "PID ID SERVER DEVICE NAMESPACE COMMAND"; cat "$pipes"/clients/* 2>/dev/null; exit 0 ;;
quit) echo quit > "$pipes/control" ;;
*) echo "Unknown command: $command"; exit 1 ;;
esac
"""
WAIT = "trap 'exit 143' TERM; sleep 600 & wait"
USE_CUDA = 'echo "$RANK 0 9 GPU-8932f937 4026531836 sh" > /dev/shm/nvidia-mps/clients/$RANK'
CLIENT = f"{USE_CUDA}; {WAIT}"
# An engine that runs inside a container may not raise this limit.
PLAIN = "gpu: {mode: mps, memlock: 8MiB}"
CONSENTED = "gpu: {mode: mps, set_compute_mode: true, memlock: 8MiB}"
NO_CHECKS = ""


@dataclass
class Machine:
    """A desk on a machine with one GPU, and an engine of its own."""

    desk: Desk
    host: str

    def docker(self, *args: str) -> str:
        return docker(self.host, *args)

    @property
    def bin(self) -> Path:
        return self.desk.folder / "bin"

    @property
    def calls(self) -> list[str]:
        """The compute modes that were set, in their order."""
        return (self.bin / "calls").read_text().split()

    @property
    def mode(self) -> str:
        return (self.bin / "mode").read_text().strip()

    @property
    def daemon(self) -> str:
        return f"{self.desk.project}-mps"

    @property
    def nodes(self) -> tuple[str, str]:
        return f"{self.desk.project}-node-0", f"{self.desk.project}-node-1"

    def containers(self) -> set[str]:
        return set(self.docker("ps", "--all", "--format", "{{.Names}}").split())

    @contextmanager
    def applying(self) -> Iterator[subprocess.Popen[str]]:
        """An apply that has begun; killed at the end of the block, where it has not ended."""
        with self.desk.start("apply", "--engine", "docker", "playbook.yaml") as child:
            try:
                yield child
            finally:
                child.kill()

    def plan(self) -> Ran:
        return self.desk.run("plan", "--engine", "docker", "--exit-code", "playbook.yaml")

    def write(self, script: str, gpu: str, **changes: str) -> None:
        self.desk.write(script, gpu=gpu, health_checks=changes.pop("health_checks", ""), **changes)


@pytest.fixture(scope="session")
def mps_host(busybox_image: str) -> Iterator[tuple[str, str]]:
    """The second engine, and an image with the daemon's program, as the toolkit mounts it."""
    prepare: Prepare = lambda folder: put_hook(folder, (GPU,))  # noqa: E731
    with second_engine(busybox_image, prepare=prepare) as engine:
        script = f"cat > /bin/nvidia-cuda-mps-control <<'END'\n{CONTROL}END\n"
        made = docker(
            engine.host, "create", "--network=none", busybox_image, "sh", "-c",
            f"{script}chmod 755 /bin/nvidia-cuda-mps-control",
        ).strip()  # fmt: skip
        docker(engine.host, "start", "--attach", made)
        docker(engine.host, "commit", made, "with-mps:1")
        docker(engine.host, "rm", made)
        yield engine.host, "with-mps:1"


@pytest.fixture
def machine(
    make_desk: Callable[[str], Desk], mps_host: tuple[str, str], busybox_image: str
) -> Iterator[Machine]:
    host, image = mps_host
    desk = make_desk("docker")
    desk.image = image
    folder = put_settable_gpu(desk.folder / "bin")
    desk.env = {"DOCKER_HOST": host, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    made = Machine(desk, host)
    yield made
    (folder / "slow").unlink(missing_ok=True)
    desk.destroy("--grace", "0")


def test_from_nothing_to_a_gang_beside_its_daemon_and_back(machine: Machine) -> None:
    desk = machine.desk
    shared = "env | grep MPS | sort; df -P /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
    machine.write(f"{shared}; {CLIENT}", PLAIN)
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert ran.line(f" +  mps daemon {machine.daemon}").endswith("(not there yet)")
    assert "compute mode DEFAULT" in ran.line(f" =  gpu {GPU}")
    assert "ok:      check mps: the daemon answers, 2 clients" in ran.out
    # Each wrote them before it was a client, which apply waits for; it need not have read them.
    logs = desk.run("logs", "--engine", "docker", desk.project)
    for node_rank in range(2):
        assert re.findall(rf"^rank {node_rank} \| (.*)$", logs.out, re.MULTILINE) == [
            "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE=50",
            "CUDA_MPS_PIPE_DIRECTORY=/dev/shm/nvidia-mps",
            str(2 * 1024**2),  # KiB: what two nodes would have had, 1 GiB each
        ]
    assert machine.plan().code == 0
    before = machine.docker("ps", "--quiet")
    again = desk.apply()
    assert (again.code, again.out.count("changed:")) == (0, 0)
    assert machine.docker("ps", "--quiet") == before
    status = json.loads(desk.run("status", "--engine", "docker", "--json", desk.project).out)
    (shown,) = status["projects"]
    assert [node["name"] for node in shown["nodes"]] == list(machine.nodes)
    assert [(each["name"], each["status"]) for each in shown["sidecars"]] == [
        (machine.daemon, "running")
    ]
    assert desk.destroy("--grace", "0").code == 0
    assert (machine.containers(), machine.calls, machine.mode) == (set(), [], "Default")
    kept = desk.folder / ".orchestrate/runs" / desk.project
    assert [path.read_text() for path in kept.glob("*/mps.log")] == ["[Control] Start\n"]


def test_a_daemon_that_dies_is_the_first_cause_and_apply_makes_it_good(machine: Machine) -> None:
    desk = machine.desk
    checks = "health_checks: [{completed: {within: 5m}}]"
    machine.write(CLIENT, PLAIN, health_checks=checks)
    with machine.applying() as child:
        wait_until(lambda: machine.docker("ps", "--quiet").count("\n") == 3)
        machine.docker("kill", machine.daemon)
        out, err = child.communicate(timeout=120)
    assert child.returncode == 1, out + err
    how = "was killed by signal 9 (exit code 137)"
    assert f"DIAGNOSIS the mps daemon {machine.daemon} {how}" in out
    assert f"failed:  check mps: expected the mps daemon {machine.daemon} to run and answer" in out
    verified = desk.run("verify", "--engine", "docker", "playbook.yaml")
    assert (verified.code, f"found that it {how}" in verified.out) == (1, True)
    machine.write(CLIENT, PLAIN)
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert f"({how})" in ran.line(f"-/+ mps daemon {machine.daemon}")
    assert machine.plan().code == 0


def test_what_was_changed_by_hand_is_found(machine: Machine) -> None:
    machine.write(CLIENT, PLAIN)
    assert machine.desk.apply().code == 0
    machine.docker("update", "--cpu-shares", "2", machine.daemon)
    ran = machine.plan()
    assert (ran.code, "cpu_shares: 2 -> (none)" in ran.out) == (2, True)
    machine.docker("restart", "--time", "0", machine.daemon)
    ran = machine.plan()
    assert "was started again by hand" in ran.line(f"-/+ mps daemon {machine.daemon}")
    assert all(f"-/+ node {name}" in ran.out for name in machine.nodes)


def test_ranks_that_run_without_the_daemon_do_not_pass(machine: Machine) -> None:
    script = f'[ "$RANK" = 0 ] || exit 0; {USE_CUDA}; sleep 1'
    machine.write(script, PLAIN)
    ran = machine.desk.apply()
    assert ran.code == 1
    assert "expected 2 clients of the daemon at once, found 1 at most" in ran.out


def test_an_image_without_the_program_starts_no_node(machine: Machine, busybox_image: str) -> None:
    machine.desk.image = busybox_image
    machine.write(CLIENT, PLAIN)
    ran = machine.desk.apply()
    assert ran.code == 7
    assert f"the mps daemon {machine.daemon} exited with code 127" in ran.err
    assert "nvidia-cuda-mps-control: not found" in ran.err
    assert machine.containers() == {machine.daemon}


def test_the_compute_mode_is_set_with_consent_and_put_back(machine: Machine) -> None:
    machine.write(CLIENT, CONSENTED)
    ran = machine.desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert ran.line(f" ~  gpu {GPU}").endswith("(gpu.set_compute_mode: true)")
    assert (machine.calls, machine.mode) == (["EXCLUSIVE_PROCESS"], "Exclusive_Process")
    assert machine.plan().code == 0
    (machine.desk.folder / "playbook.yaml").unlink()
    (machine.bin / "forbidden").touch()
    refused = machine.desk.destroy("--grace", "0")
    assert refused.code == 14
    assert "Insufficient Permissions" in refused.err
    assert f"`nvidia-smi -i {GPU} -c DEFAULT`" in refused.err
    assert machine.containers() == {machine.daemon}
    (machine.bin / "forbidden").unlink()
    assert machine.desk.destroy("--grace", "0").code == 0
    assert (machine.calls, machine.mode) == (["EXCLUSIVE_PROCESS", "DEFAULT"], "Default")
    assert machine.containers() == set()


def test_whoever_is_killed_in_the_middle_leaves_what_the_next_one_goes_on_from(
    machine: Machine,
) -> None:
    """The daemon is there, the mode is set, and no node is."""
    machine.write(CLIENT, CONSENTED)
    (machine.bin / "slow").touch()
    with machine.applying():
        wait_until(lambda: machine.calls == ["EXCLUSIVE_PROCESS"])
    (machine.bin / "slow").unlink()
    assert machine.containers() == {machine.daemon}
    ran = machine.desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert machine.calls == ["EXCLUSIVE_PROCESS", "DEFAULT", "EXCLUSIVE_PROCESS"]
    assert machine.plan().code == 0
    assert machine.desk.destroy("--grace", "0").code == 0
    assert (machine.calls[-1], machine.mode, machine.containers()) == ("DEFAULT", "Default", set())


def test_the_embedded_engine_says_that_it_has_no_daemon(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    desk.write("true", gpu=PLAIN)
    ran = desk.apply()
    assert ran.code == 3
    assert "gpu.mode: the local engine runs no MPS daemon beside its nodes" in ran.err


def test_a_user_without_nvidia_software_gets_one_line(docker_desk: Desk) -> None:
    docker_desk.write("true", gpu=PLAIN)
    tools = docker_desk.folder / "tools"
    tools.mkdir()
    for tool in ("docker", "timeout"):  # and nothing of NVIDIA's, also on a machine that has it
        (tools / tool).symlink_to(str(shutil.which(tool)))
    docker_desk.env["PATH"] = str(tools)
    for verb in ("plan", "apply"):
        ran = docker_desk.run(verb, "--engine", "docker", "playbook.yaml")
        assert (ran.code, [line for line in ran.err.splitlines() if "nvidia" in line]) == (
            14,
            [
                "orchestrate: this machine has no NVIDIA driver: nvidia-smi cannot be run (no such "
                "file or directory); install the driver, or use gpu.mode: cpu where there is no GPU"
            ],
        )
