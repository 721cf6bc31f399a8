"""One apply or destroy at a time per project and engine; projects side by side."""

from __future__ import annotations

import getpass
import re
import signal
import subprocess
import threading
import time

import pytest

from tests.e2e.conftest import Desk
from tests.waiting import wait_until

from .record import RecordCase
from .scenes import expect_ok
from .world import RUNS_ON, Yard, left_of, write

NUM_STARTED = 20


def _losers(
    children: list[subprocess.Popen[str]],
) -> tuple[subprocess.Popen[str], dict[int, tuple[int, str, float]]]:
    """Wait until all but one have ended; the one, and of the others code, error and end time."""
    ended: dict[int, tuple[int, str, float]] = {}
    all_but_one = threading.Event()

    def wait(child: subprocess.Popen[str]) -> None:
        _, err = child.communicate()
        ended[child.pid] = (child.returncode, err, time.time())
        if len(ended) >= NUM_STARTED - 1:
            all_but_one.set()

    for child in children:
        threading.Thread(target=wait, args=(child,), daemon=True).start()
    assert all_but_one.wait(timeout=120), f"only {len(ended)} ended"
    (holder,) = [child for child in children if child.pid not in ended]
    return holder, dict(ended)


def _race(desk: Desk) -> tuple[list[float], str]:
    """Start them all at once; how long after the lock was taken each other one ended."""
    write(desk, RUNS_ON, health_checks="health_checks: [{completed: {within: 5m}}]")
    command = ("apply", "--engine", desk.engine, "playbook.yaml")
    children = [desk.start(*command) for _ in range(NUM_STARTED)]
    try:
        holder, ended = _losers(children)
        (lock,) = (desk.folder / "state" / "orchestrate" / "locks").iterdir()
        held_at_s = lock.stat().st_mtime
        holder.send_signal(signal.SIGINT)
        assert holder.wait(timeout=60) == 130
    finally:
        for child in children:
            child.kill()
    assert {code for code, _, _ in ended.values()} == {8}
    line = re.compile(
        rf"orchestrate: project {desk.project} is being changed by `orchestrate apply` \(process "
        rf"{holder.pid} of {getpass.getuser()}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d\); wait .*\n"
    )
    said = {err for _, err, _ in ended.values()}
    assert all(line.fullmatch(each) for each in said), said
    return [at_s - held_at_s for _, _, at_s in ended.values()], lock.name


def _race_and_record(yard: Yard, record_case: RecordCase) -> None:
    desk = yard.desk()
    waits, _ = _race(desk)
    # Starting twenty interpreters on few cores takes longer than being refused.
    assert max(waits) < 20.0
    expect_ok(desk.destroy("--grace", "1"))
    assert left_of(desk) == []
    record_case(
        "one at a time", f"{NUM_STARTED} applies of one project at once", engine=yard.engine,
        went_on=1, refused=len(waits), last_refused_after_s=round(max(waits), 2),
    )  # fmt: skip


@pytest.mark.docker
def test_of_twenty_applies_one_goes_on_docker(docker_yard: Yard, record_case: RecordCase) -> None:
    _race_and_record(docker_yard, record_case)


def test_of_twenty_applies_one_goes_on_local(local_yard: Yard, record_case: RecordCase) -> None:
    _race_and_record(local_yard, record_case)


@pytest.mark.docker
def test_a_destroy_is_refused_while_an_apply_goes_on_and_others_are_not(docker_yard: Yard) -> None:
    busy, free = docker_yard.desk(), docker_yard.desk()
    write(busy, RUNS_ON, health_checks="health_checks: [{completed: {within: 5m}}]")
    free.env |= {name: busy.env[name] for name in ("XDG_STATE_HOME", "ORCHESTRATE_LOCAL_ROOT")}
    with busy.start("apply", "--engine", "docker", "playbook.yaml") as holder:
        locks = busy.folder / "state" / "orchestrate" / "locks"
        wait_until(
            lambda: any(str(holder.pid) in each.read_text() for each in locks.glob("*.lock"))
        )
        refused = busy.destroy()
        expect_ok(free.apply())
        expect_ok(free.destroy("--grace", "1"))
        holder.send_signal(signal.SIGTERM)
        holder.communicate(timeout=60)
    assert (refused.code, f"process {holder.pid} of" in refused.err) == (8, True)
    expect_ok(busy.destroy("--grace", "1"))
