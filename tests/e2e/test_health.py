"""The check `container` on a real engine: its command, what comes of it, and what a change does."""

from __future__ import annotations

import pytest

from orchestrator.errors import ExitCode
from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import node

pytestmark = pytest.mark.docker

GET_READY = "touch /ready; exec sleep 600"


def checks(command: str, within: str) -> str:
    """A check that runs a command twice a second."""
    return (
        f"health_checks: [{{container: {{command: '{command}', interval: 500ms, retries: 1, "
        f"within: {within}}}}}]"
    )


def test_nodes_are_healthy_stay_as_they_are_and_change_with_their_command(
    docker_desk: Desk,
) -> None:
    docker_desk.write(GET_READY, health_checks=checks("test -e /ready", "2m"))
    ran = docker_desk.apply()
    told = "ok:      check container: 2 nodes healthy"
    assert (ran.code, ran.out.count(told)) == (ExitCode.CONVERGED, 2)  # at once, and at the end
    again = docker_desk.run("plan", "--engine", "docker", "--exit-code", "playbook.yaml")
    assert again.code == ExitCode.CONVERGED, again.out
    docker_desk.write(GET_READY, health_checks=checks("test -e /other", "2m"))
    changed = docker_desk.run("plan", "--engine", "docker", "playbook.yaml")
    words = "health.command: test -e /ready -> test -e /other forces replacement"
    assert changed.planned.count(words) == 2


def test_a_node_that_is_not_healthy_fails_the_run(docker_desk: Desk) -> None:
    command = (
        "test $RANK = 0 || (echo rank $RANK of run ${ORCHESTRATE_RUN_ID:-none} is ill; exit 3)"
    )
    docker_desk.write(GET_READY, health_checks=checks(command, "5s"))
    ran = docker_desk.apply()
    assert ran.code == ExitCode.NOT_CONVERGED
    assert ran.line("    node 1: expected healthy within 5 s").endswith(
        "its health command last exited with code 3: rank 1 of run none is ill"
    )
    assert node(docker_desk, 1) in ran.line("stopped:")
