"""The main job with the real trainer: two ranks join, fine-tune on real text, and prove it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.e2e.conftest import ENGINES, Desk

STEP = re.compile(r"rank (\d) \| step step=(\d+) loss=([\d.]+)")


def shipped(desk: Desk, repository: Path, name: str) -> dict[str, object]:
    """A shipped playbook under the desk's project name, with paths that hold from there."""
    playbook: dict[str, object] = yaml.safe_load((repository / "playbooks" / name).read_text())
    playbook["name"] = desk.project
    image = playbook["image"]
    assert isinstance(image, dict)
    image["build"]["context"] = str(repository)
    playbook["rendezvous"] = {"port": 29500 + os.getpid() % 1000}
    return playbook


@pytest.mark.torch
@pytest.mark.parametrize("engine", ENGINES)
def test_two_ranks_join_and_train(
    make_desk: Callable[[str], Desk], repository: Path, engine: str
) -> None:
    desk = make_desk(engine)
    playbook = shipped(desk, repository, "two-rank.yaml")
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    ran = desk.run("apply", "--engine", engine, "playbook.yaml", deadline_s=1200)
    assert ran.code == 0, ran.out + ran.err
    losses = {(int(rank), int(step)): loss for rank, step, loss in STEP.findall(ran.out)}
    assert sorted(losses) == [(rank, step) for rank in (0, 1) for step in range(1, 21)]
    assert all(losses[0, step] == losses[1, step] for step in range(1, 21))
    assert "RECAP" in ran.out
    assert "failed=0 skipped=0" in ran.line("RECAP")
    again = desk.apply()
    assert (again.code, "changed=0 failed=0 skipped=0" in again.line("RECAP")) == (0, True)
    assert again.took_s < ran.took_s
    verified = desk.run("verify", "--engine", engine, "--json", "playbook.yaml")
    checks = {each["name"]: each["status"] for each in json.loads(verified.out)["checks"]}
    assert checks == dict.fromkeys(("alive", "joined", "training", "loss", "completed"), "ok")


@pytest.mark.torch
def test_four_ranks_in_two_nodes_by_torchrun(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("local")
    playbook = shipped(desk, repository, "two-rank.yaml")
    ranks = playbook["ranks"]
    assert isinstance(ranks, dict)
    ranks |= {"nproc_per_node": 2, "command": ["python", "-m", "trainer", "--max-steps", "2"]}
    playbook["health_checks"] = [{"joined": {"within": "120s"}}, {"completed": {"within": "5m"}}]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert "check joined: 4 ranks" in ran.out


@pytest.mark.docker
@pytest.mark.torch
def test_a_rank_that_cannot_read_its_data_is_named_with_its_reason(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("docker")
    playbook = shipped(desk, repository, "two-rank.yaml")
    ranks = playbook["ranks"]
    assert isinstance(ranks, dict)
    ranks["command"] = ["python", "-m", "trainer", "--data", "/no/such/corpus.txt"]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    ran = desk.run("apply", "--engine", "docker", "playbook.yaml", deadline_s=1200)
    assert ran.code == 1
    assert re.search(r"node [01]: expected .*; found exited with code \d+: .*corpus", ran.out)
