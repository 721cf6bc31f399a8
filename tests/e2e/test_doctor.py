"""The doctor and apply's part of it, on the real engine and this very machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.state.labels import LABEL_OWNER, LABEL_PROJECT
from tests.e2e.conftest import Desk, Ran, docker

ENDLESS = {"ORCHESTRATE_DEADLINE_S": "120"}


def document(ran: Ran) -> dict[str, Any]:
    """What `--json` printed, with the findings by their names."""
    found: dict[str, Any] = json.loads(ran.out)
    found["findings"] = {each["id"]: each for each in found["findings"]}
    return found


def problems(found: dict[str, Any]) -> list[str]:
    return [id_ for id_, each in found["findings"].items() if each["status"] == "problem"]


@pytest.mark.docker
def test_this_machine_has_what_two_ranks_need(docker_desk: Desk, repository: Path) -> None:
    docker_desk.env = dict(ENDLESS)
    playbook = str(repository / "playbooks" / "two-rank.yaml")
    ran = docker_desk.run("doctor", "--json", playbook)
    found = document(ran)
    assert (ran.code, problems(found)) == (0, []), ran.out + ran.err
    for id_ in ("docker-command", "engine-answers", "engine-version", "engine-place", "limits",
                "clock", "disk", "state-folder", "runs-folder", "plan"):  # fmt: skip
        assert found["findings"][id_]["status"] == "ok", found["findings"][id_]


@pytest.mark.docker
def test_a_gpu_playbook_without_nvidia_software(docker_desk: Desk, repository: Path) -> None:
    docker_desk.env = dict(ENDLESS)
    ran = docker_desk.run("doctor", str(repository / "playbooks" / "gpu-exclusive.yaml"))
    assert ran.code == 14
    assert ran.line("problem: gpu-driver").endswith(
        "this machine has no NVIDIA driver: nvidia-smi cannot be run (no such file or directory)"
    )
    assert ran.line("problem: gpu-toolkit").endswith("not installed")


def test_an_engine_that_is_not_there(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    desk.env = {"DOCKER_HOST": f"unix://{desk.folder}/no.sock"}
    desk.write("true")
    ran = desk.run("doctor", "playbook.yaml", "--json")
    assert (ran.code, problems(document(ran))) == (4, ["engine-answers"])
    ran = desk.run("doctor", "playbook.yaml", "--json", "--engine", "local")
    assert (ran.code, problems(document(ran))) == (0, [])


@pytest.fixture
def left(docker_desk: Desk) -> Iterator[Desk]:
    """A desk of an owner of its own, of whose project nothing but a network is there."""
    docker_desk.env = {**ENDLESS, "ORCHESTRATE_OWNER": docker_desk.project}
    name = f"{docker_desk.project}-net"
    labels = {LABEL_PROJECT: docker_desk.project, LABEL_OWNER: docker_desk.project}
    given = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    docker("network", "create", *given, name)
    yield docker_desk
    if name in docker("network", "ls", "--format", "{{.Name}}").split():
        docker("network", "rm", name)


@pytest.mark.docker
def test_what_a_killed_apply_has_left_is_removed_when_asked(left: Desk) -> None:
    listed = document(left.run("doctor", "--json"))["findings"]["leftovers"]
    command = f"orchestrate destroy {left.project}"
    assert (listed["status"], listed["mend"], listed["fixes"]) == ("warning", command, [command])
    ran = left.run("doctor", "--fix", "--yes", "--json")
    found = document(ran)
    assert found["mended"] == [{"finding": "leftovers", "command": command, "error": ""}]
    assert found["findings"]["leftovers"]["status"] == "ok"
    assert f"{left.project}-net" not in docker("network", "ls", "--format", "{{.Name}}").split()


@pytest.mark.docker
def test_apply_stops_before_it_makes_what_the_engine_would_refuse(docker_desk: Desk) -> None:
    cpus = (os.cpu_count() or 1) + 1
    docker_desk.write("true", ranks=docker_desk.ranks("true", f", resources: {{cpus: {cpus}}}"))
    ran = docker_desk.apply()
    assert (ran.code, ran.err) == (
        7,
        f"orchestrate: a node is given {cpus} processors, and there are {cpus - 1}: the engine"
        " refuses a node that may use more than it has; set ranks.resources.cpus to"
        f" {cpus - 1} or less\n",
    )
    assert docker("ps", "--all", "--quiet", "--filter", f"name={docker_desk.project}") == ""
    assert docker_desk.project not in docker("network", "ls", "--format", "{{.Name}}")
    # It is no more than what the engine would have said, of a node and with a network made.
    argv = ["docker", "create", f"--cpus={cpus}", docker_desk.image, "true"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert f"as there are only {cpus - 1} CPUs available" in done.stderr


@pytest.mark.docker
def test_apply_warns_once_of_nodes_that_take_turns(docker_desk: Desk) -> None:
    cpus = os.cpu_count() or 1
    more = f", resources: {{cpus: {cpus}}}"
    docker_desk.write("true", ranks=docker_desk.ranks("true", more))
    ran = docker_desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert ran.line("warning: cpus").startswith(
        f"warning: cpus: {2 * cpus} of {cpus} processors for 2 nodes; nodes take turns"
    )
    assert "warning: cpus" not in docker_desk.apply().out
