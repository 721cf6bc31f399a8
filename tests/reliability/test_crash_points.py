"""Killed with SIGKILL at every single step, and run again: nothing lost, left over or foreign."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk, docker

from .crash import AuditTrap, StandIn, Tripwire
from .record import RecordCase
from .scenes import (
    DESTROY,
    EDITED,
    FIRST_APPLY,
    LOCAL_SCENES,
    SCENES,
    WITH_BUILD,
    Scene,
    built_tag,
    expect_ok,
    recover,
)
from .world import Yard

SIDE_BY_SIDE = 4
TABLE = "crash points"


def every_point(num_points: int, work: Callable[[int], None]) -> None:
    """Do `work` for each point, some at once; the first failure is the test's."""
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in [pool.submit(work, at) for at in range(1, num_points + 1)]:
            done.result()


def killed(desk: Desk, scene: Scene, set_for: Callable[[subprocess.Popen[str]], None]) -> None:
    """Type the scene's command, and see it killed."""
    with desk.start(*scene.command(desk)) as child:
        set_for(child)
        out, err = child.communicate(timeout=120)
    assert child.returncode == -9, f"it was not killed: {child.returncode}\n{out}\n{err}"


def typed_until_killed(desk: Desk, scene: Scene) -> bool:
    """Type the scene's command; False when it came to its end before it was killed."""
    ran = desk.run(*scene.command(desk))
    assert ran.code in {-9, 0}, f"{ran.out}\n{ran.err}"
    return ran.code == -9


def ids(scenes: Iterable[Scene]) -> list[object]:
    return [pytest.param(scene, id=scene.slug) for scene in scenes]


# -- at the engine's socket: every request that changes something ------------------


def _changes_asked_for(yard: Yard, scene: Scene) -> int:
    """How many requests that change something the scene's command makes, undisturbed."""
    desk = yard.desk()
    scene.prepare(desk)
    with Tripwire(0, "before") as tripwire:
        desk.env |= tripwire.environment(by_command=False)
        expect_ok(desk.run(*scene.command(desk)))
        found = tripwire.num_changes
    forget(desk)
    return found


def forget(desk: Desk) -> None:
    """Let the desk's commands go straight to the engine again."""
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "PATH", "PYTHONPATH"):
        desk.env.pop(name, None)


@pytest.mark.docker
# Before a request is after the one before it: so each state is gone on from in both ways.
@pytest.mark.parametrize(("moment", "again"), [("before", "apply"), ("after", "destroy")])
@pytest.mark.parametrize("scene", ids(SCENES))
def test_killed_at_a_request(
    docker_yard: Yard, scene: Scene, moment: str, again: str, record_case: RecordCase
) -> None:
    num_points = _changes_asked_for(docker_yard, scene)
    assert num_points >= 5

    def at(point: int) -> None:
        desk = docker_yard.desk()
        scene.prepare(desk)
        with Tripwire(point, moment) as tripwire:
            desk.env |= tripwire.environment(by_command=False)
            killed(desk, scene, tripwire.trap.set_for)
        forget(desk)
        recover(desk, again)

    try:
        every_point(num_points, at)
    finally:
        _remove_images(docker_yard, scene)
    record_case(
        TABLE, scene.name, engine="docker", step="request to the engine", killed=moment,
        then=again, points=num_points, converged=num_points,
    )  # fmt: skip


def _remove_images(yard: Yard, scene: Scene) -> None:
    if scene is not WITH_BUILD:
        return
    yard.clear()
    here = docker("images", "--format", "{{.Repository}}:{{.Tag}}").split()
    built = [tag for tag in map(built_tag, yard.desks) if tag in here]
    if built:
        docker("rmi", *built)


# -- at the docker command: also with a call that goes on without its caller --------


@pytest.mark.docker
@pytest.mark.parametrize("moment", ["before", "late", "after"])
@pytest.mark.parametrize("scene", ids([FIRST_APPLY, EDITED, DESTROY]))
def test_killed_at_a_docker_command(
    docker_yard: Yard, scene: Scene, moment: str, tmp_path: Path, record_case: RecordCase
) -> None:
    counting = docker_yard.desk()
    scene.prepare(counting)
    stand_in = StandIn(counting.folder, 0, moment)
    counting.env |= stand_in.environment
    expect_ok(counting.run(*scene.command(counting)))
    num_points = stand_in.num_changes
    forget(counting)
    assert num_points >= 3

    def at(point: int) -> None:
        desk = docker_yard.desk()
        scene.prepare(desk)
        stand_in = StandIn(desk.folder, point, moment)
        desk.env |= stand_in.environment
        killed(desk, scene, stand_in.set_for)
        forget(desk)
        recover(desk, scene.verb)

    every_point(num_points, at)
    record_case(
        TABLE, scene.name, engine="docker", step="docker command", killed=moment,
        then=scene.verb, points=num_points, converged=num_points,
    )  # fmt: skip


# -- at random moments ----------------------------------------------------------------


@pytest.mark.docker
def test_killed_at_random_moments(docker_yard: Yard, record_case: RecordCase) -> None:
    seed, num_kills, longest_s = 1711, 12, 1.5
    moments = random.Random(seed)
    planned = [
        (moments.choice(SCENES[:3]), moments.uniform(0, longest_s)) for _ in range(num_kills)
    ]
    hits = []

    def at(point: int) -> None:
        scene, after_s = planned[point - 1]
        desk = docker_yard.desk()
        scene.prepare(desk)
        with desk.start(*scene.command(desk)) as child:
            time.sleep(after_s)
            child.kill()
            child.communicate(timeout=60)
        if child.returncode == -9:
            hits.append(point)
        recover(desk, "apply" if point % 2 else "destroy")

    every_point(num_kills, at)
    assert len(hits) > num_kills / 3
    record_case(
        TABLE, f"first apply, edited, after a node was killed; seed {seed}", engine="docker",
        step=f"a random moment of {longest_s:g} s", killed="there", then="apply or destroy",
        points=len(hits), converged=len(hits),
    )  # fmt: skip


# -- at this program's own steps ----------------------------------------------------


def _steps_of(yard: Yard, scene: Scene) -> list[str]:
    desk = yard.desk()
    scene.prepare(desk)
    trap = AuditTrap(desk, 0)
    desk.env |= trap.environment
    expect_ok(desk.run(*scene.command(desk)))
    forget(desk)
    return trap.steps


@pytest.mark.parametrize("scene", ids(LOCAL_SCENES))
def test_killed_at_a_step_on_the_embedded_engine(
    local_yard: Yard, scene: Scene, record_case: RecordCase
) -> None:
    steps = _steps_of(local_yard, scene)
    assert len(steps) >= 8
    assert any(step.startswith("os.m" if scene.verb == "apply" else "os.r") for step in steps)

    reached = []

    def at(point: int) -> None:
        desk = local_yard.desk()
        scene.prepare(desk)
        desk.env |= AuditTrap(desk, point).environment
        # Nodes end sooner or later, so that now and then signals to them are not needed: on a busy
        # machine five steps of eighty-nine.
        if typed_until_killed(desk, scene):
            reached.append(point)
        forget(desk)
        # Both ways on from a point next to this one: steps are many and their states few.
        recover(desk, scene.verb if point % 3 else "destroy")

    every_point(len(steps), at)
    assert len(reached) >= len(steps) - max(4, len(steps) // 10)
    record_case(
        TABLE, scene.name, engine="local", step="file, process or signal", killed="before",
        then="the same" if scene is DESTROY else "apply, every third: destroy",
        points=len(reached), converged=len(reached),
    )  # fmt: skip
