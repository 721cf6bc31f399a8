"""The probe in real nodes: an unmodified script is proven to have joined; off, it is not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import Desk
from tests.e2e.test_training import shipped

PHASES = ["started", "interpreter", "torch", "rendezvous", "reached", "store", "joined"]


def own_script(desk: Desk, repository: Path, **changes: object) -> None:
    """The shipped playbook of a script of one's own, without what `local` does not have."""
    playbook = shipped(desk, repository, "bring-your-own-script.yaml")
    ranks = playbook["ranks"]
    assert isinstance(ranks, dict)
    del ranks["mounts"]
    ranks["command"] = ["python", str(repository / "playbooks" / "scripts" / "train.py")]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook | changes))


@pytest.mark.torch
def test_an_unmodified_script_is_proven_to_have_joined(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    """What is said of the same on Docker is in test_playbooks.py."""
    desk = make_desk("local")
    own_script(desk, repository)
    ran = desk.apply("--json")
    document = json.loads(ran.out)
    checks = {each["name"]: each["status"] for each in document["checks"]}
    assert checks == dict.fromkeys(("alive", "joined", "training", "completed"), "ok"), ran.out
    ways = [[way[phase] for phase in PHASES] for way in document["join"]]
    assert [sorted(way) for way in ways] == ways  # each phase was seen, one after the other
    shown = desk.run("logs", "--engine", "local", desk.project).out.splitlines()
    assert [line.partition(" loss")[0] for line in sorted(shown)] == [
        f"rank {rank} | rank {rank} of 2: step {step}"
        for rank in (0, 1)
        for step in (100, 150, 200, 50)
    ]
    records = desk.run("logs", "--engine", "local", "--records", desk.project).out
    assert records.count("| process_group_joined backend=gloo master_addr=127.0.0.1") == 2


@pytest.mark.torch
def test_with_the_probe_off_the_same_script_is_only_seen_to_end(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("local")
    own_script(desk, repository, probe="off")
    document = json.loads(desk.apply("--json").out)
    checks = {each["name"]: each["status"] for each in document["checks"]}
    assert (checks["joined"], document["exit_code"]) == ("failed", 1)
    assert {way["interpreter"] for way in document["join"]} == {None}
    kept = sorted((desk.folder / ".orchestrate/runs").rglob("node-*.log"))
    assert [b"\x1e" in path.read_bytes() for path in kept] == [False, False]


SAYS = "exec >/dev/null 2>&1; python -c 'import os; print(os.getuid())'"
WHO: dict[str, tuple[str, dict[str, int]]] = {
    "the image's user": ("default", {}),
    "another user": ("default", {"user": 4321}),
    "root": ("default", {"user": 0}),
    "nobody, in strict": ("strict", {}),
}


@pytest.mark.docker
@pytest.mark.parametrize("who", WHO)
def test_whoever_runs_the_node_reads_the_probe_and_reaches_its_log(
    who: str, make_desk: Callable[[str], Desk], repository: Path
) -> None:
    profile, ranks = WHO[who]
    desk = make_desk("docker")
    desk.env = {"XDG_STATE_HOME": str(desk.folder / "state")}
    playbook = shipped(desk, repository, "bring-your-own-script.yaml") | {
        "ranks": {"nodes": 1, "command": ["sh", "-c", SAYS], **ranks},
        "security": {"profile": profile},
        "health_checks": [{"completed": {"within": "60s"}}],
    }
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    before = os.umask(0o077)
    try:
        ran = desk.run("apply", "--engine", "docker", "playbook.yaml", deadline_s=1200)
    finally:
        os.umask(before)
    assert ran.code == 0, ran.out + ran.err
    told = desk.run("logs", "--records", "--engine", "docker", desk.project).out
    assert "rank 0 | interpreter_started python=3" in told
    assert "rank 0 | process_ended steps=0" in told
