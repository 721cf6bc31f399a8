"""Every verb as typed, with an engine that hangs or goes away: one line, its code, in time."""

from __future__ import annotations

import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.e2e.conftest import Desk, Ran, docker
from tests.e2e.wiretap import Wiretap, short_folder

from .record import RecordCase
from .scenes import expect_ok
from .world import RUNS_ON, Yard, write

pytestmark = pytest.mark.docker

TABLE = "verbs on an engine that hangs"
DEADLINE_S = 1.0
START_UP_S = 15.0
"""For the interpreters of six verbs at once on two busy cores, besides the deadline and 2 s."""

VERBS = ("apply", "plan", "verify", "status", "logs", "destroy")


def _typed(desk: Desk, verb: str) -> Ran:
    target = "playbook.yaml" if verb in {"apply", "plan", "verify"} else desk.project
    return desk.run(verb, "--engine", "docker", target)


def _expect_given_up(desk: Desk, way: str, record_case: RecordCase) -> None:
    desk.env["ORCHESTRATE_DEADLINE_S"] = f"{DEADLINE_S:g}"
    with ThreadPoolExecutor(len(VERBS)) as pool:
        found = dict(zip(VERBS, pool.map(lambda verb: _typed(desk, verb), VERBS), strict=True))
    # Of apply and destroy one may find the other at it.
    for verb, ran in found.items():
        assert ran.code in ({4, 8} if verb in {"apply", "destroy"} else {4}), (verb, ran)
        # An engine that is far away is told to have no probe, before it is asked.
        said = [line for line in ran.err.splitlines() if "without the probe" not in line]
        assert len(said) == 1, ran.err
        assert ran.code == 8 or f"within {DEADLINE_S:g} s" in ran.err
        assert ran.took_s < DEADLINE_S + 2.0 + START_UP_S
    slowest_s = max(ran.took_s for ran in found.values())
    record_case(
        TABLE, way, verbs=", ".join(VERBS), deadline_s=DEADLINE_S, slowest_s=round(slowest_s, 1)
    )


def test_a_docker_that_hangs(docker_yard: Yard, record_case: RecordCase) -> None:
    desk = docker_yard.desk()
    stand_in = desk.folder / "bin" / "docker"
    stand_in.parent.mkdir()
    stand_in.write_text("#!/bin/sh\nexec sleep 300\n")
    stand_in.chmod(0o755)
    desk.env |= {
        "PATH": f"{stand_in.parent}:{os.environ['PATH']}",
        "DOCKER_HOST": "tcp://127.0.0.1:1",  # so that the command is asked for everything
    }
    _expect_given_up(desk, "docker command", record_case)
    for name in ("PATH", "DOCKER_HOST"):
        del desk.env[name]


def test_an_engine_that_accepts_and_never_answers(
    docker_yard: Yard, record_case: RecordCase
) -> None:
    desk = docker_yard.desk()
    with short_folder() as folder, socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(folder / "mute.sock"))
        mute.listen(64)
        desk.env["DOCKER_HOST"] = f"unix://{folder}/mute.sock"
        _expect_given_up(desk, "socket", record_case)
        del desk.env["DOCKER_HOST"]


def test_an_engine_that_stops_while_it_is_followed(docker_yard: Yard) -> None:
    desk = docker_yard.desk()
    write(desk, RUNS_ON, health_checks="health_checks: [{completed: {within: 5m}}]")
    with Wiretap() as tap:
        desk.env |= tap.environment(by_command=False) | {"ORCHESTRATE_DEADLINE_S": "5"}
        with desk.start("apply", "--engine", "docker", "playbook.yaml") as child:
            tap.wait_for("GET", "/logs")
            tap.hang_up()
            began_s = time.monotonic()
            _, err = child.communicate(timeout=60)
            took_s = time.monotonic() - began_s
    del desk.env["DOCKER_HOST"]
    assert (child.returncode, err.count("\n")) == (4, 1), err
    assert took_s < 5 + 2
    label = f"label=orchestrate.project={desk.project}"
    assert len(docker("ps", "-q", "--filter", label).split()) == 2
    expect_ok(desk.destroy("--grace", "1"))


def test_a_deadline_that_means_nothing_is_wrong_usage(docker_yard: Yard) -> None:
    desk = docker_yard.desk()
    desk.env["ORCHESTRATE_DEADLINE_S"] = "soon"
    ran = _typed(desk, "status")
    assert (ran.code, ran.err) == (
        64,
        "orchestrate: ORCHESTRATE_DEADLINE_S is 'soon'; give seconds, more than 0 and at most"
        " 3600, or unset it\n",
    )
    del desk.env["ORCHESTRATE_DEADLINE_S"]
