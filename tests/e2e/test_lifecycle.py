"""Apply, apply again, edit, kill, destroy: on every engine, with nodes that are shell scripts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.waiting import wait_until

JOINED = (
    'echo "{\\"event\\":\\"process_group_joined\\",\\"rank\\":$RANK,\\"world_size\\":$WORLD_SIZE,'
    '\\"backend\\":\\"gloo\\",\\"master_addr\\":\\"$MASTER_ADDR\\",\\"rank_sum\\":1,'
    '\\"run_id\\":\\"$ORCHESTRATE_RUN_ID\\"}"'
)
"""A node that says it joined. It takes its word for it: the trainer's tests do not."""


def node(desk: Desk, node_rank: int) -> str:
    return f"{desk.project}-node-{node_rank}"


def statuses(desk: Desk) -> list[tuple[int, str, int | None]]:
    """(node rank, status, exit code) of each node, by `orchestrate status`."""
    ran = desk.run("status", "--engine", desk.engine, "--json")
    projects = {each["name"]: each for each in json.loads(ran.out)["projects"]}
    nodes = projects.get(desk.project, {"nodes": []})["nodes"]
    return [(each["node_rank"], each["status"], each["exit_code"]) for each in nodes]


def kill_node(desk: Desk, node_rank: int) -> None:
    """SIGKILL to a node's processes, from outside."""
    if desk.engine == "docker":
        subprocess.run(["docker", "kill", node(desk, node_rank)], check=True, capture_output=True)
        return
    marker = f"{desk.project}-marker-{node_rank}"
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environ = (process / "environ").read_bytes()
        except OSError:
            continue
        if f"MARKER={marker}".encode() in environ.split(b"\0"):
            os.kill(int(process.name), signal.SIGKILL)


def test_a_job_runs_once_and_is_gone_after_destroy(desk: Desk) -> None:
    desk.write(
        f"{JOINED}; echo rank $RANK of $WORLD_SIZE",
        health_checks="health_checks: [joined, {completed: {within: 30s}}]",
    )
    objects = ["node 0", "node 1", *(["image", "network"] if desk.engine == "docker" else [])]
    first = desk.apply()
    assert first.code == 0, first.out + first.err
    created = len(objects) - (1 if desk.engine == "docker" else 0)
    kept = len(objects) - created
    recap = f"RECAP {desk.project} on {desk.engine}: "
    assert first.line(recap).startswith(
        f"{recap}ok={kept + 3} changed={created} failed=0 skipped=0"
    )
    assert "rank 0 | rank 0 of 2" in first.out.splitlines()
    assert "rank 1 | rank 1 of 2" in first.out.splitlines()
    second = desk.apply()
    assert second.code == 0
    assert second.line(recap).startswith(
        f"{recap}ok={len(objects) + 3} changed=0 failed=0 skipped=0"
    )
    assert statuses(desk) == [(0, "exited", 0), (1, "exited", 0)]
    assert desk.destroy().code == 0
    assert statuses(desk) == []
    logs = sorted(desk.folder.glob(f".orchestrate/runs/{desk.project}/*/node-*.log"))
    assert [log.name for log in logs] == ["node-0.log", "node-1.log"]
    assert logs[1].read_text().splitlines()[-1] == "rank 1 of 2"


def test_a_finished_job_runs_again_only_when_asked(desk: Desk) -> None:
    desk.write("echo ran as $ORCHESTRATE_RUN_ID")
    first, again = desk.apply(), desk.apply("--rerun")
    assert (first.code, again.code) == (0, 0)
    assert f"-/+ node {node(desk, 0)} (a new run was asked for)" in again.planned
    runs = {line for ran in (first, again) for line in ran.out.splitlines() if "ran as" in line}
    assert len(runs) == 4  # two ranks in each of two runs, all with ids of their own run


def test_an_edit_replaces_the_gang_and_says_which_field(desk: Desk) -> None:
    sleep = "sleep 600"
    desk.write(sleep, health_checks="health_checks: []")
    assert desk.apply().code == 0
    edited = desk.ranks(sleep, ", env: {COLOUR: red}, per_node: {1: {env: {SIZE: big}}}")
    desk.write(sleep, ranks=edited, health_checks="health_checks: []")
    plan = desk.run("plan", "--engine", desk.engine, "--exit-code", "playbook.yaml")
    fields = [line.split("  ")[3] for line in plan.out.splitlines() if line[:3] == " " * 3]
    assert plan.code == 2
    assert fields == [
        "env.COLOUR: (none) -> red",
        "env.COLOUR: (none) -> red",
        "env.SIZE: (none) -> big",
    ]
    assert desk.apply().code == 0
    assert desk.run("plan", "--engine", desk.engine, "--exit-code", "playbook.yaml").code == 0


def test_a_killed_node_takes_the_whole_gang_with_it(desk: Desk) -> None:
    sleep = "sleep 600"
    marked = ", ".join(
        f"{rank}: {{env: {{MARKER: {desk.project}-marker-{rank}}}}}" for rank in (0, 1)
    )
    desk.write(
        sleep,
        ranks=desk.ranks(sleep, f", per_node: {{{marked}}}"),
        health_checks="health_checks: []",
    )
    assert desk.apply().code == 0
    kill_node(desk, 1)
    wait_until(lambda: statuses(desk)[1] == (1, "exited", 137))
    again = desk.apply()
    assert again.code == 0, again.out + again.err
    killed = "was killed by signal 9 (exit code 137)"
    assert f"-/+ node {node(desk, 1)} ({killed})" in again.planned
    assert f"-/+ node {node(desk, 0)} (gang: {node(desk, 1)} {killed})" in again.planned
    assert statuses(desk) == [(0, "running", None), (1, "running", None)]


def test_detach_returns_while_the_nodes_run(desk: Desk) -> None:
    desk.write("sleep 600")
    ran = desk.apply("--detach")
    assert ran.code == 0
    assert "CHECKS" not in ran.out
    assert statuses(desk) == [(0, "running", None), (1, "running", None)]


def test_destroy_works_without_the_playbook_and_stops_all_at_once(desk: Desk) -> None:
    stubborn = "trap '' TERM; while true; do sleep 1; done"
    desk.write(
        stubborn,
        ranks=desk.ranks(stubborn).replace("nodes: 2", "nodes: 4"),
        health_checks="health_checks: []",
    )
    assert desk.apply().code == 0
    (desk.folder / "playbook.yaml").unlink()
    ran = desk.run("destroy", "--engine", desk.engine, "--grace", "5", str(desk.project))
    assert ran.code == 0, ran.err
    assert 5.0 <= ran.took_s < 18.0  # one grace; four would be twenty seconds
    assert statuses(desk) == []


def test_destroy_by_the_path_of_a_playbook(desk: Desk) -> None:
    desk.write("sleep 600", health_checks="health_checks: []")
    assert desk.apply().code == 0
    (desk.folder / "playbook.yaml").write_text("broken: [")
    assert desk.run("destroy", "--engine", desk.engine, "playbook.yaml").code == 0
    assert statuses(desk) == []
    again = desk.run("destroy", "--engine", desk.engine, desk.project)
    assert (again.code, again.out.split(" (")[0].strip()) == (
        0,
        f"nothing of {desk.project} is here",
    )


def test_destroy_with_several_projects_wants_a_name(desk: Desk) -> None:
    desk.write("sleep 600", health_checks="health_checks: []")
    assert desk.apply().code == 0
    other = f"{desk.project}-b"
    playbook = (desk.folder / "playbook.yaml").read_text()
    (desk.folder / "other.yaml").write_text(
        playbook.replace(f"name: {desk.project}", f"name: {other}")
    )
    assert desk.run("apply", "--engine", desk.engine, "other.yaml").code == 0
    refused = desk.run("destroy", "--engine", desk.engine)
    assert (refused.code, statuses(desk)) == (9, [(0, "running", None), (1, "running", None)])
    assert f"{desk.project} ({desk.engine})" in refused.err
    assert f"{other} ({desk.engine})" in refused.err
    assert desk.run("destroy", "--engine", desk.engine, other).code == 0
    assert statuses(desk) == [(0, "running", None), (1, "running", None)]


def test_logs_are_there_before_and_after_destroy(desk: Desk) -> None:
    desk.write("echo hello from $RANK")
    assert desk.apply().code == 0
    expected = ["rank 0 | hello from 0", "rank 1 | hello from 1"]
    live = desk.run("logs", "--engine", desk.engine, desk.project)
    assert sorted(live.out.splitlines()) == expected
    one = desk.run("logs", "--engine", desk.engine, "--node", "1", desk.project)
    assert one.out.splitlines() == expected[1:]
    assert desk.destroy().code == 0
    kept = desk.run("logs", "--engine", desk.engine, desk.project)
    assert sorted(kept.out.splitlines()) == expected  # by time, and who spoke first is open


@pytest.mark.parametrize("verb", ["plan", "status", "verify", "validate"])
def test_looking_changes_nothing(desk: Desk, verb: str) -> None:
    desk.write("true")
    assert desk.apply().code == 0
    before = statuses(desk)
    target = desk.project if verb == "status" else "playbook.yaml"
    options = [] if verb == "validate" else ["--engine", desk.engine]
    ran = desk.run(verb, *options, "--json", target)
    assert ran.code == 0, ran.err
    assert isinstance(json.loads(ran.out), dict)
    assert statuses(desk) == before
