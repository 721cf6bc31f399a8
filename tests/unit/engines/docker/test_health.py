"""Health commands on their way to Docker and back."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.health import health_command, node_health
from orchestrator.engines.docker.options import create_options
from orchestrator.plans.drift import node_drifts
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import NodeHealth
from orchestrator.state.spec import HealthCommand
from tests.unit.fakes import World, desired_state, node_spec, on_every_node

COMMAND = HealthCommand("test -e /tmp/ready", 0.5, 1.5, 4, 20.0)
TEXT = "unset ORCHESTRATE_RUN_ID; test -e /tmp/ready"
CREATION = Creation(replace(node_spec(), health=COMMAND), RunIdentity("pair", "run-1", ""), "1")
CONFIG = {
    "Test": ["CMD-SHELL", TEXT],
    "Interval": 500_000_000,
    "Timeout": 1_500_000_000,
    "Retries": 4,
    "StartPeriod": 20_000_000_000,
}


def test_it_is_told_over_the_socket_and_read_back() -> None:
    assert create_body(CREATION)["Healthcheck"] == CONFIG
    assert health_command({"Healthcheck": CONFIG}) == COMMAND


def test_it_is_told_to_the_command_to_the_millisecond() -> None:
    options = create_options(CREATION)
    assert {name: options[name] for name in options if name.startswith("health_")} == {
        "health_cmd": TEXT,
        "health_interval": "0.500",
        "health_timeout": "1.500",
        "health_retries": 4,
        "health_start_period": "20.000",
    }


def test_a_node_without_one_is_told_nothing_of_it() -> None:
    creation = replace(CREATION, node=node_spec())
    assert "Healthcheck" not in create_body(creation)
    assert [name for name in create_options(creation) if name.startswith("health_")] == []


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"Healthcheck": None}, None),
        ({"Healthcheck": {"Test": []}}, None),
        ({"Healthcheck": {"Test": ["NONE"]}}, None),
        ({"Healthcheck": {"Test": ["CMD", "/bin/ok", "-v"]}}, HealthCommand("/bin/ok -v", 30, 30)),
    ],
)
def test_what_an_image_says(config: dict[str, Any], expected: HealthCommand | None) -> None:
    assert health_command(config) == expected


def run(code: int, output: str = "") -> dict[str, object]:
    return {"Start": "x", "End": "x", "ExitCode": code, "Output": output}


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (None, None),
        ({"Status": "none"}, None),
        ({"Status": "starting", "FailingStreak": 0, "Log": None}, NodeHealth("starting")),
        (
            {"Status": "healthy", "Log": [run(1), run(0, "\n fine \nreally")]},
            NodeHealth("healthy", has_passed=True, exit_code=0, output="fine"),
        ),
        (
            {"Status": "unhealthy", "Log": [run(0), run(-1, "x" * 9000)]},
            NodeHealth("unhealthy", has_passed=True, exit_code=-1, output="x" * 200),
        ),
    ],
)
def test_what_came_of_it(health: object, expected: NodeHealth | None) -> None:
    assert node_health({"Status": "running", "Health": health}) == expected


# -- as part of a node's spec ----------------------------------------------------


def drift(
    made: HealthCommand, wanted: HealthCommand, of_image: HealthCommand | None = None
) -> list[str]:
    """How a node that was made with one health command differs from one with another."""
    world = World()
    world.add_image("app:1")
    world.images["app:1"] = replace(world.images["app:1"], health=of_image)
    world.add_network("pair-net", internal=True, project="pair")
    was = on_every_node(desired_state(1), health=made)
    world.start(was.nodes[0])
    if of_image and not made.start_period_s:  # as Docker fills it in
        filled_in = replace(made, start_period_s=of_image.start_period_s)
        world.change_spec(0, lambda spec: replace(spec, health=filled_in))
    desired = on_every_node(was, health=wanted)
    drifts = node_drifts(desired, world.observe(desired), frozenset())
    return [str(change) for each in drifts.values() for change in each.changes]


def test_another_health_command_is_another_node() -> None:
    assert drift(COMMAND, COMMAND) == []
    assert drift(COMMAND, replace(COMMAND, retries=9)) == ["health.retries: 4 -> 9"]


def test_no_start_period_is_the_images_for_docker() -> None:
    of_image = HealthCommand("true", start_period_s=20.0)
    at_once = replace(COMMAND, start_period_s=0.0)
    assert drift(at_once, at_once, of_image) == []
    assert drift(COMMAND, COMMAND, of_image) == []
