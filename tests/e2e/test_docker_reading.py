"""What a user sees is the same whichever way the engine is looked at."""

from __future__ import annotations

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import statuses
from tests.e2e.wiretap import Wiretap

pytestmark = pytest.mark.docker


@pytest.fixture(params=["over the socket", "by the command"])
def way(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_a_life_from_apply_to_destroy(docker_desk: Desk, way: str) -> None:
    # The engine reads two outputs: what is written within a moment may change places.
    docker_desk.write(
        'echo "out of $RANK"; sleep 0.3; echo "err of $RANK" >&2; sleep 0.3; printf "last of $RANK"'
    )
    with Wiretap() as tap:
        docker_desk.env |= tap.environment(by_command=way == "by the command")
        first, again = docker_desk.apply(), docker_desk.apply()
        assert (first.code, again.code, "changed=0" in again.out) == (0, 0, True)
        said = [line for line in first.out.splitlines() if " | " in line]
        for rank in (0, 1):
            own = [line for line in said if line.startswith(f"rank {rank} | ")]
            assert own == [f"rank {rank} | {what} of {rank}" for what in ("out", "err", "last")]
        assert statuses(docker_desk) == [(0, "exited", 0), (1, "exited", 0)]
        logs = docker_desk.run("logs", "--engine", "docker", "--node", "1", docker_desk.project)
        assert [line.rpartition("| ")[2] for line in logs.out.splitlines()] == [
            "out of 1",
            "err of 1",
            "last of 1",
        ]
        assert docker_desk.destroy().code == 0
        assert statuses(docker_desk) == []
        asked = tap.take()
    assert "GET /containers/json" in asked
    kept = sorted((docker_desk.folder / ".orchestrate/runs" / docker_desk.project).glob("*/*.log"))
    assert [path.read_bytes() for path in kept] == [
        f"out of {rank}\nerr of {rank}\nlast of {rank}".encode() for rank in (0, 1)
    ]


def test_an_engine_that_goes_away_while_it_is_watched(docker_desk: Desk, way: str) -> None:
    docker_desk.write("sleep 60", health_checks="health_checks: [{completed: {within: 2m}}]")
    with Wiretap() as tap:
        docker_desk.env |= tap.environment(by_command=way == "by the command")
        with docker_desk.start("apply", "--engine", "docker", "playbook.yaml") as child:
            tap.wait_for("GET /containers/", "/logs")
            tap.hang_up()
            out, err = child.communicate(timeout=60)
    assert (child.returncode, len(err.splitlines()), "Traceback" in out + err) == (4, 1, False)
    docker_desk.env.clear()
    assert docker_desk.destroy().code == 0
