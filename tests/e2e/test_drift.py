"""What was changed by hand is named as what it is; apply repairs it; then nothing is left to do."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Desk, docker
from tests.e2e.drift_kinds import (
    DOCKER_KINDS,
    LOCAL_KINDS,
    DriftKind,
    net,
    node,
    side,
)
from tests.e2e.test_lifecycle import statuses
from tests.e2e.wiretap import Wiretap
from tests.reliability.record import RecordCase

RUNNING = [(0, "running", None), (1, "running", None)]
LIMITS = ", resources: {cpus: 0.5, memory: 64MiB, pids: 100}"


def run_on(desk: Desk) -> None:
    """Have two nodes run."""
    limits = LIMITS if desk.engine == "docker" else ""
    desk.write(
        "sleep 600", ranks=desk.ranks("sleep 600", limits), health_checks="health_checks: []"
    )
    applied = desk.apply("--detach")
    assert applied.code == 0, applied.out + applied.err


def planned(desk: Desk) -> tuple[int, str]:
    """Exit code and words of a plan, or of its refusal."""
    ran = desk.run("plan", "--engine", desk.engine, "--exit-code", "playbook.yaml")
    return ran.code, "\n".join(ran.planned) + " ".join(ran.err.split())


def assert_named(kind: DriftKind, desk: Desk) -> None:
    code, text = planned(desk)
    names = {"node": node(desk), "net": net(desk), "side": side(desk)}
    missing = [words for words in kind.named if words.format(**names) not in text]
    assert not missing, f"the plan does not say {missing}:\n{text}"
    expected = {"refused": 6, "left alone": 0, "nothing to do": 0}.get(kind.repair, 2)
    assert code == expected, text


def assert_repaired(kind: DriftKind, desk: Desk) -> str:
    """See that apply does what the kind says; what is planned afterwards."""
    before = ids(desk)
    applied = desk.apply("--detach")
    if kind.repair == "refused":
        assert (applied.code, ids(desk)) == (6, before), applied.err
        return "refused"
    assert applied.code == 0, applied.out + applied.err
    assert statuses(desk) == RUNNING
    kept = sum(1 for old, new in zip(before, ids(desk), strict=True) if old == new)
    assert kept == (0 if kind.repair == "gang replaced" else 2)
    code, text = planned(desk)
    assert (code, "0 to create, 0 to change, 0 to replace, 0 to remove" in text) == (0, True), text
    return "empty"


def ids(desk: Desk) -> list[str]:
    """What tells each node from one that takes its place, by rank; empty for one that is gone."""
    if desk.engine == "local":
        found = {each[0]: str(each) for each in started(desk)}
    else:
        found = {}
        listed = docker(
            "ps", "--all", "--no-trunc", "--filter", f"label=orchestrate.project={desk.project}",
            "--format", '{{.ID}} {{.Label "orchestrate.node_rank"}} {{.Names}}',
        )  # fmt: skip
        for line in listed.splitlines():
            id_, rank, name = line.split()
            if name != side(desk) or not is_copy(name):
                found[int(rank)] = id_
    return [found.get(0, ""), found.get(1, "")]


def is_copy(name: str) -> bool:
    """A container that was made of a node's image has a hostname of its own."""
    return not docker("inspect", "--format", "{{.Config.Hostname}}", name).endswith("-node-1")


def started(desk: Desk) -> list[tuple[int, float]]:
    """(rank, when it was started) of each node of the embedded engine."""
    ran = desk.run("status", "--engine", desk.engine, "--json", desk.project)
    nodes = json.loads(ran.out)["projects"][0]["nodes"]
    return [(each["node_rank"], each["started_at_s"]) for each in nodes]


def check(kind: DriftKind, desk: Desk, record_case: RecordCase) -> None:
    run_on(desk)
    kind.harm(desk)
    try:
        assert_named(kind, desk)
        afterwards = assert_repaired(kind, desk)
    finally:
        kind.undo(desk)
    record_case(
        "drift", kind.name, engine=desk.engine, plan_says=kind.said(), apply=kind.repair,
        plan_afterwards=afterwards,
    )  # fmt: skip


@pytest.mark.docker
@pytest.mark.parametrize("kind", DOCKER_KINDS, ids=lambda kind: kind.name)
def test_drift_on_docker(
    kind: DriftKind, docker_desk: Desk, own_image: Callable[[], str], record_case: RecordCase
) -> None:
    docker_desk.image = own_image()
    check(kind, docker_desk, record_case)


@pytest.mark.parametrize("kind", LOCAL_KINDS, ids=lambda kind: kind.name)
def test_drift_on_the_embedded_engine(
    kind: DriftKind, make_desk: Callable[[str], Desk], record_case: RecordCase
) -> None:
    check(kind, make_desk("local"), record_case)


@pytest.fixture
def own_image(busybox_image: str, request: pytest.FixtureRequest) -> Callable[[], str]:
    """A tag of this test's own, as one of the tests moves it."""
    tag = f"{busybox_image}-drift"

    def make() -> str:
        docker("tag", busybox_image, tag)
        request.addfinalizer(
            lambda: subprocess.run(["docker", "rmi", tag], check=False, capture_output=True)
        )
        return tag

    return make


@pytest.mark.docker
def test_a_node_that_was_renamed_is_still_found_by_its_peers(docker_desk: Desk) -> None:
    run_on(docker_desk)
    docker("rename", node(docker_desk), side(docker_desk))
    for _ in range(2):  # renamed, and renamed back by apply
        found = docker("exec", node(docker_desk, 0), "nslookup", node(docker_desk, 1))
        assert f"Name:\t{node(docker_desk, 1)}\nAddress: " in found
        assert docker_desk.apply("--detach").code == 0


@pytest.mark.docker
@pytest.mark.parametrize("way", ["over the socket", "by the command"])
def test_planning_asks_the_engine_and_tells_it_nothing(
    docker_desk: Desk, way: str, record_case: RecordCase
) -> None:
    run_on(docker_desk)
    with Wiretap() as tap:
        docker_desk.env |= tap.environment(by_command=way == "by the command")
        assert planned(docker_desk)[0] == 0
        docker("kill", node(docker_desk))
        assert planned(docker_desk)[0] == 2
        kept = docker_desk.run(
            "plan", "--engine", "docker", "--rerun", "--out", "kept.plan", "playbook.yaml"
        )
        assert kept.code == 0
        assert docker_desk.run("apply", "--check", "kept.plan").code == 0
        asked = tap.take()
    docker_desk.env.clear()
    assert {each.split()[0] for each in asked} <= {"GET", "HEAD"}, asked
    assert any("/containers/json" in each for each in asked)
    record_case("planning", way, plans=4, requests=len(asked), requests_that_change=0)


@pytest.mark.docker
def test_a_kept_plan_is_carried_out_once_and_refused_then(docker_desk: Desk) -> None:
    run_on(docker_desk)
    docker("kill", node(docker_desk))
    keep = ("plan", "--engine", "docker", "--out", "kept.plan", "playbook.yaml")
    assert docker_desk.run(*keep).code == 0
    applied = docker_desk.run("apply", "--detach", "kept.plan")
    assert (applied.code, statuses(docker_desk)) == (0, RUNNING), applied.err
    again = docker_desk.run("apply", "--detach", "kept.plan")
    assert again.code == 16
    assert f"node {node(docker_desk)} is another one" in again.err
