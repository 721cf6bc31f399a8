"""docker/setup.sh against programs that behave like docker, dockerd and apt-get."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "docker" / "setup.sh"
# An engine answers once `up` is there; what is started or installed is written down.
DOCKER = '[ "$1" = context ] && { echo default; exit 0; }\n[ -e "$WORLD/up" ] && echo 20.10.24\n'
DOCKERD = 'echo dockerd >> "$WORLD/calls"; touch "$WORLD/up"\n'


@dataclass
class Machine:
    """A folder of programs, which is all that the script finds beside the system's own."""

    home: Path

    def program(self, name: str, body: str) -> None:
        path = self.home / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("#!/bin/sh\n" + body)
        path.chmod(0o755)

    def start(self, args: Sequence[str] = (), **extra: str) -> subprocess.Popen[str]:
        env = {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "WORLD": str(self.home),
            "ORCHESTRATE_SETUP_LOCK": str(self.home / "lock"),
            "ORCHESTRATE_DOCKERD_LOG": str(self.home / "dockerd.log"),
            **extra,
        }
        pipe = subprocess.PIPE
        return subprocess.Popen([SCRIPT, *args], env=env, stdout=pipe, stderr=pipe, text=True)

    def setup(self, *args: str, **extra: str) -> tuple[int, str, str]:
        run = self.start(args, **extra)
        out, err = run.communicate(timeout=60)
        return run.returncode, out, err

    def calls(self) -> list[str]:
        path = self.home / "calls"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    machine = Machine(tmp_path)
    machine.program("docker", DOCKER)
    machine.program("dockerd", DOCKERD)
    machine.program("iptables", "")
    machine.program("systemctl", DOCKERD)
    machine.program("pgrep", "exit 1\n")
    machine.program("grep", 'case "$*" in *os-release) exit 0 ;; esac\nexec /bin/grep "$@"\n')
    machine.program("id", "echo 0\n")
    machine.program("apt-get", 'echo "apt-get $*" >> "$WORLD/calls"\n')
    return machine


def test_an_engine_that_answers_is_left_alone(machine: Machine) -> None:
    (machine.home / "up").touch()

    assert machine.setup() == (0, "setup: a Docker engine answers: 20.10.24\n", "")
    assert machine.calls() == []


def test_check_only_tells(machine: Machine) -> None:
    code, out, err = machine.setup("--check")

    assert (code, out) == (1, "")
    assert err == f"setup: no Docker engine answers; run: {SCRIPT}\n"
    assert machine.calls() == []


def test_a_stopped_engine_is_started_and_waited_for(machine: Machine) -> None:
    code, out, err = machine.setup()

    assert (code, err) == (0, "")
    assert machine.calls() == ["dockerd"]
    assert out.splitlines()[-1] == "setup: a Docker engine answers: 20.10.24"


def test_what_is_missing_is_installed_first(machine: Machine) -> None:
    (machine.home / "bin" / "dockerd").unlink()
    body = f"""echo "apt-get $*" >> "$WORLD/calls"
[ "$1" = update ] || {{ printf '#!/bin/sh\\n%s' '{DOCKERD}' > "$WORLD/bin/dockerd"
chmod +x "$WORLD/bin/dockerd"; }}
"""
    machine.program("apt-get", body)
    # the system's own dockerd, where there is one, must not be found
    system = machine.home / "system"
    system.mkdir()
    for name in ("sh", "cat", "sleep", "touch", "chmod", "timeout", "flock", "setsid", "nohup"):
        for folder in ("/usr/bin", "/bin"):
            if (Path(folder) / name).exists():
                (system / name).symlink_to(Path(folder) / name)
                break

    code, _out, err = machine.setup(PATH=f"{machine.home / 'bin'}:{system}")

    assert (code, err) == (0, "")
    assert machine.calls() == [
        "apt-get update",
        "apt-get install --yes --no-install-recommends docker.io",
        "dockerd",
    ]


def test_two_at_once_start_one_engine(machine: Machine) -> None:
    machine.program("dockerd", 'sleep 1; echo dockerd >> "$WORLD/calls"; touch "$WORLD/up"\n')
    machine.program("systemctl", 'sleep 1; echo dockerd >> "$WORLD/calls"; touch "$WORLD/up"\n')
    runs = [machine.start(), machine.start()]

    assert [run.communicate(timeout=60)[1] for run in runs] == ["", ""]
    assert [run.returncode for run in runs] == [0, 0]
    assert machine.calls() == ["dockerd"]


def test_without_root_the_one_command_is_printed(machine: Machine) -> None:
    machine.program("id", "echo 1000\n")

    assert machine.setup() == (
        3,
        "",
        f"setup: no Docker engine answers, and installing one takes root; run: sudo {SCRIPT}\n",
    )
    assert machine.calls() == []


def test_macos_is_told_what_helps(machine: Machine) -> None:
    machine.program("uname", "echo Darwin\n")
    machine.program("grep", "exit 1\n")

    assert machine.setup() == (
        3,
        "",
        "setup: no Docker engine answers; run: brew install --cask docker && open -a Docker\n",
    )


def test_an_engine_elsewhere_is_never_replaced(machine: Machine) -> None:
    code, out, err = machine.setup(DOCKER_HOST="tcp://192.0.2.1:2375")

    assert (code, out) == (3, "")
    assert err.startswith("setup: the engine that DOCKER_HOST or the docker context names does not")
    assert machine.calls() == []


def test_an_engine_that_never_answers_has_a_deadline(machine: Machine) -> None:
    machine.program("dockerd", "echo broken\n")
    machine.program("systemctl", "exit 0\n")
    machine.program("sleep", "exit 0\n")

    code, out, err = machine.setup()

    assert code == 5
    assert err.startswith("setup: the engine did not answer within 60 s; its log: ")
    assert "waiting for the engine, 55 of at most 60 s" in out


def test_a_wrong_word_is_a_usage_error(machine: Machine) -> None:
    assert machine.setup("install") == (2, "", f"setup: usage: {SCRIPT} [--check]\n")
