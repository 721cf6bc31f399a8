"""The check `container`: what each node's health command says."""

from __future__ import annotations

from orchestrator.playbook.health import ContainerHealth
from orchestrator.state.observed import NodeHealth, NodeStatus
from orchestrator.verify.checks import CheckResult, Finding, check_container
from tests.unit.verify.results import failed, ok, pending
from tests.unit.verify.story import Story

WELL = NodeHealth("healthy", has_passed=True, exit_code=0)
ILL = NodeHealth("unhealthy", exit_code=1, output="no such file")
STARTING = NodeHealth("starting")
BY_60_S = "healthy within 60 s"


def of(*healths: NodeHealth | None) -> Story:
    story = Story(len(healths))
    for node_rank, health in enumerate(healths):
        story.stand(node_rank, health=health)
    return story


def healthy(story: Story, now_s: float = 5.0) -> CheckResult:
    return check_container(ContainerHealth(within_s=60.0), story.at(now_s))


def test_nodes_that_are_healthy() -> None:
    assert healthy(of(WELL, WELL), 500.0) == ok("container", "2 nodes healthy")


def test_nodes_that_may_become_healthy() -> None:
    assert healthy(of(WELL, STARTING)) == pending("container", "1 of 2 nodes healthy")
    assert healthy(of(WELL, ILL)) == pending("container", "1 of 2 nodes healthy")


def test_nodes_that_are_not_healthy_in_time_or_no_more() -> None:
    last = "its health command last exited with code 1: no such file"
    assert healthy(of(STARTING, ILL), 60.1) == failed(
        "container",
        "2 of 2 nodes not healthy",
        Finding(0, None, BY_60_S, "starting"),
        Finding(1, None, BY_60_S, f"unhealthy; {last}"),
    )


def test_a_node_without_a_health_command_is_told_at_once() -> None:
    assert healthy(of(WELL, None)) == failed(
        "container",
        "1 of 2 nodes not healthy",
        Finding(
            1, None, BY_60_S, "no health command: the image has none, and the check gives none"
        ),
    )


def test_of_a_node_that_has_ended_its_latest_runs_speak() -> None:
    after = NodeHealth("unhealthy", has_passed=True, exit_code=1)
    story = of(after, ILL)
    story.end(0, 0)
    assert healthy(story) == pending("container", "1 of 2 nodes healthy")
    story.end(1, 0)
    last = "its health command last exited with code 1: no such file"
    assert healthy(story) == failed(
        "container", "1 of 2 nodes not healthy", Finding(1, None, BY_60_S, f"ended; {last}")
    )


def test_a_node_that_ended_before_its_health_command_ran_or_is_gone() -> None:
    story = of(STARTING, WELL)
    story.stand(0, status=NodeStatus.EXITED, exit_code=0)
    story.vanish(1)
    assert healthy(story) == failed(
        "container",
        "2 of 2 nodes not healthy",
        Finding(0, None, BY_60_S, "its health command did not run before it ended"),
        Finding(1, None, BY_60_S, "is gone"),
    )
