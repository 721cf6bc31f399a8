"""Ctrl-C at any moment: in order the first time, at once the second, and destroy cleans up."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.e2e.conftest import Desk, docker
from tests.e2e.wiretap import Wiretap
from tests.waiting import wait_until

from .record import RecordCase
from .scenes import expect_ok
from .world import RUNS_ON, Yard, left_of, write

TABLE = "interrupts"
IN_ORDER_WITHIN_S, AT_ONCE_WITHIN_S = 15.0, 5.0
WAITS = "health_checks: [{completed: {within: 5m}}]"
STUBBORN = "trap '' TERM; echo from $RANK; sleep 600 & wait"
NUM_NODES = 24


@dataclass(frozen=True, slots=True)
class Moment:
    """What orchestrate is doing: it has just asked the engine for that."""

    name: str
    asked: tuple[str, str]
    prepare: Callable[[Desk], None]
    verb: str = "apply"


def _waiting(desk: Desk) -> None:
    write(desk, RUNS_ON, health_checks=WAITS)


def _slow_build(desk: Desk) -> None:
    context = desk.folder / "image"
    context.mkdir()
    (context / "Dockerfile").write_text(f"FROM {desk.image}\nRUN sleep 30\n")
    image = f"image: {{tag: 'orchestrate-test-slow:{desk.project}', build: {{context: image}}}}"
    write(desk, RUNS_ON, image=image)


def _many(desk: Desk) -> None:
    ranks = desk.ranks(RUNS_ON).replace("nodes: 2", f"nodes: {NUM_NODES}")
    write(desk, RUNS_ON, ranks=ranks, health_checks=WAITS)


def _stubborn(desk: Desk) -> None:
    write(desk, STUBBORN)
    expect_ok(desk.apply("--detach"))


def _stubborn_edited(desk: Desk) -> None:
    _stubborn(desk)
    write(desk, f"{STUBBORN} # edited")


MOMENTS = (
    Moment("building the image", ("POST", "/build"), _slow_build),
    Moment("creating the network", ("POST", "/networks/create"), _waiting),
    Moment(f"creating {NUM_NODES} nodes", ("POST", "/containers/create"), _many),
    Moment("following logs", ("GET", "/logs"), _waiting),
    Moment("stopping nodes that do not end", ("POST", "/kill"), _stubborn_edited),
    Moment("destroying nodes that do not end", ("POST", "/kill"), _stubborn, "destroy"),
)


def _interrupted(desk: Desk, moment: Moment, *signals: signal.Signals) -> tuple[str, float]:
    """What the command says when it gets the signals at that moment, and how long that takes."""
    command = {
        "apply": ("apply", "--engine", "docker", "playbook.yaml"),
        "destroy": ("destroy", "--engine", "docker", desk.project),
    }[moment.verb]
    with Wiretap() as tap:
        desk.env |= tap.environment(by_command=False)
        with desk.start(*command) as child:
            tap.wait_for(*moment.asked)
            for each in signals[:-1]:
                child.send_signal(each)
                time.sleep(0.1)  # two signals at once are one
            began_s = time.monotonic()
            child.send_signal(signals[-1])
            _, err = child.communicate(timeout=60)
            took_s = time.monotonic() - began_s
    del desk.env["DOCKER_HOST"]
    assert child.returncode == 130, err
    assert "Traceback" not in err
    return err, took_s


def _objects(desk: Desk) -> list[str]:
    label = f"label=orchestrate.project={desk.project}"
    networks = docker("network", "ls", "--format", "{{.Name}}", "--filter", label).split()
    return networks + docker("ps", "-a", "--format", "{{.Names}}", "--filter", label).split()


@pytest.mark.docker
@pytest.mark.parametrize("moment", MOMENTS, ids=lambda moment: moment.name.replace(" ", "-"))
def test_interrupted(docker_yard: Yard, moment: Moment, record_case: RecordCase) -> None:
    once, twice = docker_yard.desk(), docker_yard.desk()
    moment.prepare(once)
    err, took_s = _interrupted(once, moment, signal.SIGINT)
    assert took_s < IN_ORDER_WITHIN_S
    assert (err.count("\n"), err.startswith("orchestrate: interrupted; ")) == (1, True), err
    left = _objects(once)
    said = err.partition("left in place: ")[2].partition(";")[0].replace(",", " ").split()
    assert sorted(set(said) - {"network", "node", "nodes"}) == sorted(left)
    expect_ok(once.destroy("--grace", "0"))
    assert left_of(once) == []

    moment.prepare(twice)
    _, at_once_s = _interrupted(twice, moment, signal.SIGINT, signal.SIGINT)
    assert at_once_s < AT_ONCE_WITHIN_S
    _destroy_all(twice)
    record_case(
        TABLE, moment.name, once_took_s=round(took_s, 2), named=len(left),
        twice_took_s=round(at_once_s, 2), left_after_destroy=0,
    )  # fmt: skip


def _destroy_all(desk: Desk) -> None:
    """Destroy; once more where the engine carried out late what it was asked for."""
    for _ in range(2):
        expect_ok(desk.destroy("--grace", "0"))
        if not left_of(desk):
            return
    pytest.fail(f"left: {left_of(desk)}")


# -- a terminal that is closed -------------------------------------------------------


def _held(desk: Desk, *, ignoring: bool = False) -> subprocess.Popen[str]:
    """An apply that waits for nodes which run on."""
    write(desk, RUNS_ON, health_checks=WAITS)
    was = signal.signal(signal.SIGHUP, signal.SIG_IGN if ignoring else signal.SIG_DFL)
    try:
        child = desk.start("apply", "--engine", "local", "playbook.yaml")
    finally:
        signal.signal(signal.SIGHUP, was)
    started = f"local/{desk.project}/*/process.json"
    wait_until(lambda: len(list(desk.folder.glob(started))) == 2)
    return child


def test_a_closed_terminal_winds_down(local_yard: Yard) -> None:
    desk = local_yard.desk()
    with _held(desk) as child:
        child.send_signal(signal.SIGHUP)
        _, err = child.communicate(timeout=60)
    nodes = f"nodes {desk.project}-node-0, {desk.project}-node-1"
    assert (child.returncode, f"left in place: {nodes}; apply goes on" in err) == (130, True)
    expect_ok(desk.destroy("--grace", "1"))


def test_under_nohup_a_closed_terminal_changes_nothing(local_yard: Yard) -> None:
    desk = local_yard.desk()
    with _held(desk, ignoring=True) as child:
        child.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            child.wait(timeout=1.0)
        child.send_signal(signal.SIGTERM)
        child.communicate(timeout=60)
    assert child.returncode == 130
    expect_ok(desk.destroy("--grace", "1"))
