"""A real engine is stopped in mid-run, and started again: a typed error, then all is as usual."""

from __future__ import annotations

import time

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.second_engine import SecondEngine, docker, second_engine

from .record import RecordCase
from .scenes import expect_ok
from .world import RUNS_ON, Yard, left_of, write

WAITS = "health_checks: [{completed: {within: 5m}}]"
ENDS_WITHIN_S = 15.0


@pytest.mark.docker
def test_an_engine_that_is_stopped_while_it_is_followed(
    docker_yard: Yard, record_case: RecordCase
) -> None:
    with second_engine(docker_yard.image) as engine:
        desk = docker_yard.desk()
        desk.env["DOCKER_HOST"] = engine.host
        write(desk, RUNS_ON, health_checks=WAITS)
        code, err, took_s = _stopped_under(desk, engine)
        assert (code, err.count("\n")) == (4, 1), err
        assert took_s < ENDS_WITHIN_S
        without = desk.run("status", "--engine", "docker", desk.project)
        assert (without.code, without.err.count("\n")) == (4, 1), without.err
        examined = desk.run("doctor", "playbook.yaml")
        assert examined.code == 4
        assert examined.line("problem: engine-answers")
        engine.start()
        assert desk.run("doctor", "playbook.yaml").code == 0
        planned = desk.run("plan", "--engine", "docker", "--exit-code", "playbook.yaml")
        assert planned.code == 2
        for rank in (0, 1):
            line = f"-/+ node {desk.project}-node-{rank} (was killed by signal 15 (exit code 143))"
            assert line in planned.planned
        expect_ok(desk.apply("--detach"))
        expect_ok(desk.destroy("--grace", "0"))
        assert left_of(desk) == []
        assert docker(engine.host, "ps", "--all", "--quiet") == ""
        del desk.env["DOCKER_HOST"]
    record_case(
        "stopped engine",
        "dockerd",
        exit_code=code,
        error_after_s=round(took_s, 1),
        plan_afterwards="both nodes: was killed by signal 15",
        apply="goes on",
        left_by_destroy=0,
    )


def _stopped_under(desk: Desk, engine: SecondEngine) -> tuple[int, str, float]:
    with desk.start("apply", "--engine", "docker", "playbook.yaml") as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("ok:      check alive"):
                break
        began_s = time.monotonic()
        engine.stop()
        _, err = child.communicate(timeout=60)
    return child.returncode, err, time.monotonic() - began_s
