"""Two owners on one engine: each sees the other's project, and neither can change it."""

from __future__ import annotations

import json
import os

import pytest

from tests.e2e.conftest import Desk, docker

from .record import RecordCase
from .scenes import expect_ok
from .world import Yard, left_of

pytestmark = pytest.mark.docker

TABLE = "two owners"


def _as_another(yard: Yard, desk: Desk) -> Desk:
    """A desk of another owner, with a playbook of the same project."""
    other = yard.desk()
    other.project = desk.project
    other.env["ORCHESTRATE_OWNER"] = f"{desk.project}-other"
    (other.folder / "playbook.yaml").write_text((desk.folder / "playbook.yaml").read_text())
    return other


def _inspected(desk: Desk) -> str:
    nodes = [f"{desk.project}-node-{rank}" for rank in (0, 1)]
    return docker("inspect", *nodes) + docker("network", "inspect", f"{desk.project}-net")


def test_what_is_another_owners_is_shown_and_refused(
    docker_yard: Yard, record_case: RecordCase
) -> None:
    desk = docker_yard.desk()
    expect_ok(desk.apply())
    other = _as_another(docker_yard, desk)
    before = _inspected(desk)
    node = docker("inspect", "--format", "{{.Id}}", f"{desk.project}-node-0")
    whose = f"container {desk.project}-node-0 ({node[:12]}, of project {desk.project}, owner"
    for verb, ran in (
        ("apply", other.apply()),
        ("apply --rerun", other.apply("--rerun")),
        ("plan", other.run("plan", "--engine", "docker", "playbook.yaml")),
        ("destroy NAME", other.destroy()),
        ("destroy PLAYBOOK", other.run("destroy", "--engine", "docker", "playbook.yaml")),
    ):
        if verb == "destroy PLAYBOOK":  # this playbook of theirs has never been applied
            assert (ran.code, "nothing of playbook.yaml is here" in ran.out) == (0, True)
        else:
            assert (ran.code, f"{whose} {os.getuid()})" in ran.err) == (15, True), ran.err
        assert _inspected(desk) == before
        record_case(TABLE, f"`{verb}` of another owner's project", exit_code=ran.code, changed=0)
    everything = other.run("destroy", "--engine", "docker", "--all")
    assert everything.code == 0
    assert f"{desk.project} (docker)" in everything.out.partition("left alone")[2]
    assert _inspected(desk) == before
    record_case(TABLE, "`destroy --all`", exit_code=0, changed=0)
    shown = json.loads(other.run("status", "--engine", "docker", "--json", desk.project).out)
    assert [(each["name"], each["owner"]) for each in shown["projects"]] == [
        (desk.project, str(os.getuid()))
    ]
    expect_ok(desk.apply())  # to its owner nothing has happened
    assert _inspected(desk) == before


def test_who_says_to_be_that_owner_goes_on_with_the_project(docker_yard: Yard) -> None:
    desk = docker_yard.desk()
    desk.env["ORCHESTRATE_OWNER"] = "ci"
    expect_ok(desk.apply())
    colleague = _as_another(docker_yard, desk)
    colleague.env["ORCHESTRATE_OWNER"] = "ci"
    expect_ok(colleague.destroy("--grace", "1"))
    assert left_of(desk) == []


def test_objects_without_an_owner_are_nobodys(docker_yard: Yard) -> None:
    """Nothing was released that made such: they are others', as all that lacks a label of ours."""
    desk = docker_yard.desk()
    label = f"orchestrate.project={desk.project}"
    rank = "orchestrate.node_rank=0"
    name = f"{desk.project}-node-0"
    made = docker("create", "--name", name, "--label", label, "--label", rank, desk.image, "true")
    try:
        refused = desk.apply()
        assert (refused.code, "owner unknown" in refused.err) == (15, True)
        assert desk.destroy().code == 15
        assert docker("inspect", "--format", "{{.Id}}", name) == made
    finally:
        docker("rm", made)


def test_of_two_owners_at_once_never_both_get_the_project(docker_yard: Yard) -> None:
    """Locks are each user's own: there the engine's names decide.

    Engines up to 24 may make two networks of one name for two who ask at once; then both are
    refused, and either goes on when the other has destroyed.
    """
    desk = docker_yard.desk()
    other = _as_another(docker_yard, desk)
    command = ("apply", "--engine", "docker", "playbook.yaml")
    racers = {each.env.get("ORCHESTRATE_OWNER"): each for each in (desk, other)}
    running = {owner: each.start(*command) for owner, each in racers.items()}
    said = {owner: child.communicate(timeout=120) for owner, child in running.items()}
    codes = {owner: child.returncode for owner, child in running.items()}
    assert list(codes.values()).count(0) <= 1, said
    assert set(codes.values()) <= {0, 6, 12, 15}, said
    winner = next((racers[owner] for owner, code in codes.items() if code == 0), desk)
    loser = other if winner is desk else desk
    assert loser.destroy("--grace", "1").code in {0, 15}
    expect_ok(winner.apply())
    expect_ok(winner.destroy("--grace", "1"))
    assert left_of(desk) == []
