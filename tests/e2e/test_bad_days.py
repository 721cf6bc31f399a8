"""What a user gets when something is wrong: one clear line, a code of its kind, a way on."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import kill_node, node, statuses
from tests.e2e.wiretap import Wiretap

WAIT_FOR_PEER = "trap 'exit 143' TERM; sleep 600 & wait"


def no_traceback(text: str) -> bool:
    return "Traceback" not in text


def test_a_dead_rank_fails_the_apply_within_two_seconds_and_stops_its_siblings(desk: Desk) -> None:
    failed = (
        '{\\"event\\":\\"rank_failed\\",\\"rank\\":1,\\"error_type\\":\\"ValueError\\",'
        '\\"reason\\":\\"no such corpus\\",\\"run_id\\":\\"$ORCHESTRATE_RUN_ID\\"}'
    )
    dies = f'sleep 1; echo before; echo "{failed}"; exit 3'
    script = f'if [ "$RANK" = 1 ]; then {dies}; fi; {WAIT_FOR_PEER}'
    desk.write(script, health_checks="health_checks: [{joined: {within: 60s}}, completed]")
    ran = desk.apply()
    ended_s = time.time()
    assert ran.code == 1
    reason = "exited with code 3: ValueError: no such corpus"
    assert f"    node 1: expected runs, or has ended with 0; found {reason}" in ran.out
    assert f"stopped: {node(desk, 0)}" in ran.out
    assert "skipped: check completed" in ran.out or "failed:  check completed" in ran.out
    nodes = _nodes(desk)
    assert [each["exit_code"] for each in nodes] == [143, 3]
    assert ended_s - nodes[1]["finished_at_s"] < 2.0 + 1.0  # the grace of the siblings included
    kept = desk.folder / ".orchestrate/runs" / desk.project
    assert {path.name for path in kept.glob("*/*.log")} == {"node-0.log", "node-1.log"}
    again = desk.run("plan", "--engine", desk.engine, "playbook.yaml")
    assert f"-/+ node {node(desk, 1)} (exited with code 3)" in again.planned


def _nodes(desk: Desk) -> list[dict[str, Any]]:
    ran = desk.run("status", "--engine", desk.engine, "--json", desk.project)
    nodes: list[dict[str, Any]] = json.loads(ran.out)["projects"][0]["nodes"]
    return nodes


def test_a_failed_run_of_a_job_that_exits_with_0_is_repeated(desk: Desk) -> None:
    """Ranks that never joined are not proof, however well they exit."""
    desk.write("echo nothing to report", health_checks="health_checks: [joined]")
    first, second = desk.apply(), desk.apply()
    assert (first.code, second.code) == (1, 1)
    why = "the last run failed: joined: 2 of 2 ranks did not join"
    assert f"-/+ node {node(desk, 0)} ({why})" in second.planned


def test_a_join_claimed_for_another_rank_is_not_believed(desk: Desk) -> None:
    lines = "; ".join(
        f'echo "{{\\"event\\":\\"process_group_joined\\",\\"rank\\":{rank},\\"world_size\\":2,'
        '\\"backend\\":\\"gloo\\",\\"master_addr\\":\\"$MASTER_ADDR\\",\\"rank_sum\\":1,'
        '\\"run_id\\":\\"$ORCHESTRATE_RUN_ID\\"}"'
        for rank in (0, 1)
    )
    desk.write(f'[ "$RANK" = 1 ] || {{ {lines}; }}', health_checks="health_checks: [joined]")
    ran = desk.apply()
    assert ran.code == 1
    assert "failed:  check joined: 1 of 2 ranks did not join" in ran.out
    assert "    rank 1: expected process_group_joined within 60 s; found nothing" in ran.out


def test_on_failure_keep_leaves_the_siblings_running(desk: Desk) -> None:
    desk.write(f'[ "$RANK" = 0 ] || exit 1; {WAIT_FOR_PEER}', on_failure="on_failure: keep")
    assert desk.apply().code == 1
    assert statuses(desk) == [(0, "running", None), (1, "exited", 1)]
    planned = desk.run("plan", "--engine", desk.engine, "playbook.yaml").planned
    gang = f"gang: {node(desk, 1)} exited with code 1"
    assert [line for line in planned if " node " in line] == [
        f"-/+ node {node(desk, 0)} ({gang})",
        f"-/+ node {node(desk, 1)} (exited with code 1)",
    ]


def test_every_fault_of_a_playbook_at_once_and_nothing_created(desk: Desk) -> None:
    desk.write("true")
    text = (desk.folder / "playbook.yaml").read_text()
    bad = text.replace("version: 1", "version: 2").replace("nodes: 2", "nodes: no")
    (desk.folder / "playbook.yaml").write_text(bad + "helth_checks: []\n")
    ran = desk.apply()
    assert (ran.code, ran.out, no_traceback(ran.err)) == (3, "", True)
    faults = [line for line in ran.err.splitlines() if line.startswith("playbook.yaml:")]
    places = [":".join(line.split(":")[:2]) for line in faults]
    assert places == ["playbook.yaml:1", "playbook.yaml:4", "playbook.yaml:7"]
    assert "health_checks" in faults[2]  # the nearest known key
    assert ran.err.splitlines()[-1] == "3 faults in playbook.yaml"
    assert statuses(desk) == []


def test_a_loopback_master_is_refused_with_the_reason(desk: Desk) -> None:
    desk.write("true", ranks=desk.ranks("true", ", env: {MASTER_ADDR: localhost}"))
    ran = desk.apply()
    assert ran.code == 3
    assert "ranks.env.MASTER_ADDR" in ran.err
    assert "loopback" in ran.err


@pytest.mark.parametrize("name", ["missing.yaml", "folder"])
def test_a_playbook_that_is_no_file(desk: Desk, name: str) -> None:
    (desk.folder / "folder").mkdir()
    ran = desk.run("apply", "--engine", desk.engine, name)
    assert (ran.code, no_traceback(ran.err), len(ran.err.splitlines())) == (3, True, 1)


def test_a_command_that_does_not_exist(desk: Desk) -> None:
    desk.write("true", ranks="ranks: {nodes: 2, command: [no-such-program]}")
    ran = desk.apply()
    assert ran.code == 7
    assert "no-such-program" in ran.out + ran.err
    assert "command does not exist" in ran.out + ran.err or "no-such-program" in ran.err
    assert no_traceback(ran.err)
    assert desk.destroy().code == 0


def test_wrong_usage() -> None:
    desk = Desk(Path("/"), "local", "", "")
    assert [desk.run("apply").code, desk.run("no-such-verb").code] == [64, 64]


def test_a_second_apply_is_locked_out_while_the_first_runs(desk: Desk) -> None:
    desk.write("sleep 8")
    with desk.start("apply", "--engine", desk.engine, "playbook.yaml") as first:
        _wait_for_nodes(desk)
        second = desk.apply()
        assert first.poll() is None  # it was not waited for
        assert first.wait(timeout=60) == 0
    assert second.code == 8
    assert f"project {desk.project} is being changed by `orchestrate apply`" in second.err
    assert f"process {first.pid}" in second.err


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_once_leaves_what_apply_goes_on_from(desk: Desk, signal_number: int) -> None:
    desk.write("sleep 12")
    with desk.start("apply", "--engine", desk.engine, "playbook.yaml") as first:
        _wait_for_nodes(desk)
        first.send_signal(signal_number)
        _, err = first.communicate(timeout=10)
    assert (first.returncode, no_traceback(err)) == (130, True)
    objects = f"nodes {node(desk, 0)}, {node(desk, 1)}; apply goes on from it, destroy removes it"
    assert err.startswith("orchestrate: interrupted; left in place: ")
    assert (err.count("\n"), err.endswith(f"{objects}\n")) == (1, True)
    assert [each[1] for each in statuses(desk)] == ["running", "running"]
    second = desk.apply()
    assert (second.code, "changed=0" in second.out) == (0, True)


def test_killed_while_it_waits_leaves_what_destroy_takes_away(desk: Desk) -> None:
    desk.write("sleep 60", health_checks="health_checks: [{completed: {within: 2m}}]")
    with desk.start("apply", "--engine", desk.engine, "playbook.yaml") as first:
        _wait_for_nodes(desk)
        first.kill()
    assert desk.destroy().code == 0
    assert statuses(desk) == []


def _wait_for_nodes(desk: Desk) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if [each[1] for each in statuses(desk)] == ["running", "running"]:
            return
    pytest.fail("the nodes did not start")


def test_a_node_that_dies_while_followed_is_seen_at_once(desk: Desk) -> None:
    marked = ", ".join(
        f"{rank}: {{env: {{MARKER: {desk.project}-marker-{rank}}}}}" for rank in (0, 1)
    )
    desk.write("sleep 60", ranks=desk.ranks("sleep 60", f", per_node: {{{marked}}}"))
    with desk.start("apply", "--engine", desk.engine, "playbook.yaml") as first:
        _wait_for_nodes(desk)
        kill_node(desk, 0)
        killed_s = time.monotonic()
        out, _ = first.communicate(timeout=20)
    assert first.returncode == 1
    assert time.monotonic() - killed_s < 10.0
    assert "node 0: expected runs, or has ended with 0; found was killed by signal 9" in out


def test_a_deadline_that_passes_fails_the_check_and_stops_the_gang(desk: Desk) -> None:
    desk.write(WAIT_FOR_PEER, health_checks="health_checks: [{joined: {within: 2s}}]")
    ran = desk.apply()
    assert (ran.code, 2.0 < ran.took_s < 12.0) == (1, True)
    assert "    rank 0: expected process_group_joined within 2 s; found nothing" in ran.out
    assert [each[1] for each in statuses(desk)] == ["exited", "exited"]


def test_a_taken_port_on_the_embedded_engine(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        desk.write("true", rendezvous=f"rendezvous: {{port: {taken.getsockname()[1]}}}")
        ran = desk.apply()
    assert (ran.code, no_traceback(ran.err)) == (11, True)
    assert "rendezvous.port" in ran.err


# -- what only Docker can show ---------------------------------------------------


@pytest.mark.docker
def test_an_engine_that_is_not_there(docker_desk: Desk) -> None:
    docker_desk.write("true")
    docker_desk.env["DOCKER_HOST"] = f"unix://{docker_desk.folder}/no.sock"
    ran = docker_desk.apply()
    assert (ran.code, len(ran.err.splitlines())) == (4, 1)


@pytest.mark.docker
def test_no_docker_command_at_all(docker_desk: Desk) -> None:
    docker_desk.write("true")
    docker_desk.env["PATH"] = str(docker_desk.folder)
    ran = docker_desk.apply()
    assert (ran.code, len(ran.err.splitlines())) == (4, 1)


@pytest.mark.docker
def test_auto_falls_back_to_the_embedded_engine_and_says_so(docker_desk: Desk) -> None:
    docker_desk.write("true")
    docker_desk.env["DOCKER_HOST"] = f"unix://{docker_desk.folder}/no.sock"
    ran = docker_desk.run("apply", "playbook.yaml")
    assert (ran.code, "no Docker engine answers" in ran.err) == (0, True)
    assert f"RECAP {docker_desk.project} on local" in ran.out
    assert docker_desk.run("destroy", "--engine", "local", docker_desk.project).code == 0


@pytest.mark.docker
def test_an_image_that_is_not_there(docker_desk: Desk) -> None:
    docker_desk.write("true", image="image: {tag: 'orchestrate-test:none', pull: never}")
    ran = docker_desk.apply()
    assert (ran.code, "orchestrate-test:none" in ran.err) == (5, True)
    assert statuses(docker_desk) == []


@pytest.mark.docker
def test_an_image_that_fails_to_build(docker_desk: Desk) -> None:
    (docker_desk.folder / "Dockerfile").write_text(
        f"FROM {docker_desk.image}\nRUN echo all is lost >&2; exit 9\n"
    )
    docker_desk.write("true", image="image: {tag: 'orchestrate-test:broken', build: {context: .}}")
    ran = docker_desk.apply()
    assert (ran.code, no_traceback(ran.err)) == (5, True)
    assert "building image orchestrate-test:broken" in ran.err
    assert f"RECAP {docker_desk.project} on docker: ok=0 changed=0 failed=1 skipped=3" in ran.out
    assert statuses(docker_desk) == []


@pytest.mark.docker
def test_names_taken_by_what_is_not_ours(docker_desk: Desk) -> None:
    docker_desk.write("true")
    name = node(docker_desk, 0)
    foreign = _docker("create", "--name", name, docker_desk.image, "true")
    network = _docker("network", "create", f"{docker_desk.project}-net")
    try:
        ran = docker_desk.apply()
        assert ran.code == 6
        assert f"container {name} ({foreign[:12]}, not made by orchestrate)" in ran.err
        assert f"network {docker_desk.project}-net ({network[:12]}" in ran.err
        assert docker_desk.destroy().code == 0
        assert _docker("ps", "-aq", "--no-trunc", "--filter", f"name={name}") == foreign
    finally:
        _docker("rm", "-f", foreign)
        _docker("network", "rm", network)


def _docker(*args: str) -> str:
    done = subprocess.run(["docker", *args], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.mark.docker
@pytest.mark.parametrize("way", ["over the socket", "by the command"])
def test_a_second_apply_makes_no_mutating_docker_call(docker_desk: Desk, way: str) -> None:
    docker_desk.write("echo done")
    calls = docker_desk.folder / "calls"
    stand_in = docker_desk.folder / "bin" / "docker"
    stand_in.parent.mkdir()
    real = subprocess.run(["which", "docker"], capture_output=True, check=True, text=True).stdout
    stand_in.write_text(f'#!/bin/sh\necho "$@" >> {calls}\nexec {real.strip()} "$@"\n')
    stand_in.chmod(0o755)
    docker_desk.env["PATH"] = f"{stand_in.parent}:{os.environ['PATH']}"
    with Wiretap() as tap:
        docker_desk.env |= tap.environment(by_command=way == "by the command")
        first, made = docker_desk.apply(), tap.take()
        (docker_desk.folder / "calls").write_text("")
        again, looked = docker_desk.apply(), tap.take()
    assert (first.code, again.code, "changed=0" in again.out) == (0, 0, True)
    # Every question goes past the tap, so a call that changes something would be seen.
    assert {"POST /containers/create", "POST /networks/create"} <= set(made)
    assert {question.split()[0] for question in looked} <= {"GET", "HEAD"}
    assert {"GET /containers/json", "GET /networks"} <= set(looked)
    verbs = {" ".join(call.split()[:2]) for call in calls.read_text().splitlines()}
    looks = {"ps --all", "container inspect", "image inspect", "network ls", "network inspect"}
    expected = looks | {"logs --timestamps"}
    assert verbs == (expected if way == "by the command" else set())


@pytest.mark.docker
def test_a_disk_that_is_full_for_logs_keeps_the_nodes(docker_desk: Desk) -> None:
    docker_desk.write("echo something")
    runs = docker_desk.folder / ".orchestrate"
    runs.mkdir()
    _sh("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(runs))
    try:
        assert docker_desk.apply("--detach").code == 0
        _wait_until_exited(docker_desk)
        _fill(runs)
        ran = docker_desk.destroy()
        assert (ran.code, "the disk is full" in ran.err) == (10, True)
        assert len(statuses(docker_desk)) == 2
    finally:
        _sh("umount", str(runs))
    assert docker_desk.destroy().code == 0


def _sh(*args: str) -> None:
    subprocess.run(args, check=True, capture_output=True)


def _fill(folder: Path) -> None:
    file = os.open(folder / "ballast", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(file, b"x" * 4096):
            pass
    except OSError:
        return
    finally:
        os.close(file)


def _wait_until_exited(desk: Desk) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        if all(each[1] == "exited" for each in statuses(desk)):
            return
    pytest.fail("the nodes did not end")


@pytest.mark.docker
def test_the_default_profile_seen_from_inside(docker_desk: Desk) -> None:
    look = (
        "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status; "
        "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max; "
        "wget -q -T 2 -O - http://192.0.2.1/ 2>&1 || echo no way out"
    )
    docker_desk.write(look)
    ran = docker_desk.apply()
    assert ran.code == 0, ran.out
    said = [line.partition("| ")[2] for line in ran.out.splitlines() if line.startswith("rank 0 |")]
    assert said[:4] == [
        "CapEff:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "4096",
    ]
    assert said[-1] == "no way out"
