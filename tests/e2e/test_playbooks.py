"""Every playbook that is shipped does what its comments say, on Docker with the real image."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import node
from tests.e2e.test_training import shipped
from tests.waiting import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.torch]

TOLD = {
    "two-nodes-two-procs": [
        rf"node {rank // 2} \| process_group_joined rank={rank} local_rank={rank % 2} .*rank_sum=6"
        for rank in range(4)
    ],
    "four-rank": ["ok:      check joined: 4 ranks", r"rank 3 \| training_finished steps=10"],
    "ddp": [
        r"rank 1 \| training_started .*parallel=ddp",
        "ok:      check loss: from .*, as in a single process at 20 steps, to ",
        "ok:      check parameters_in_sync: equal on 2 ranks at 5 steps, the last one 20",
    ],
    "straggler": [
        "ok:      check progress: a step at least every 60 s",
        "ok:      check consistent: Python .* variables on 2 ranks",
        r"ok:      check skew: rank \d, the slowest, makes steps",
    ],
    "bring-your-own-script": [
        r"rank 0 \| rank 0 of 2: step 200",
        r"rank 1 \| rank 1 of 2: step",
        r"ok:      check joined: 2 ranks after .* \(rank [01]: ",
        "ok:      check training: 1 step on every rank",
    ],
}


def put(desk: Desk, repository: Path, name: str, **changes: Any) -> None:
    """Lay a shipped playbook on the desk, with the folders that it mounts from beside it."""
    playbook = shipped(desk, repository, f"{name}.yaml") | changes
    ranks: Any = playbook["ranks"]
    for mount in ranks.get("mounts", ()):
        shutil.copytree(repository / "playbooks" / mount["source"], desk.folder / mount["source"])
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))


@pytest.mark.parametrize("name", TOLD)
def test_a_shipped_playbook_holds(
    make_desk: Callable[[str], Desk], repository: Path, name: str
) -> None:
    desk = make_desk("docker")
    put(desk, repository, name)
    ran = desk.run("apply", "--engine", "docker", "playbook.yaml", deadline_s=1200)
    assert ran.code == 0, ran.out + ran.err
    assert "failed=0 skipped=0" in ran.line("RECAP")
    for wanted in TOLD[name]:
        assert re.search(wanted, ran.out), wanted


def test_the_straggler_has_half_a_core_and_the_other_a_whole_one(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("docker")
    put(desk, repository, "straggler")
    desk.apply("--detach")
    nodes = [node(desk, rank) for rank in (0, 1)]
    inspected = subprocess.run(
        ["docker", "inspect", *nodes], check=True, capture_output=True, text=True
    )
    found = [each["HostConfig"] for each in json.loads(inspected.stdout)]
    assert [(each["NanoCpus"], each["Memory"]) for each in found] == [
        (1_000_000_000, 2 * 1024**3),
        (500_000_000, 2 * 1024**3),
    ]


def test_a_node_that_is_killed_by_hand_resumes_from_its_checkpoint(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    """As the comments of the playbook say, with fewer steps."""
    desk = make_desk("docker")
    put(desk, repository, "checkpoint-resume")
    text = (desk.folder / "playbook.yaml").read_text()
    assert "--max-steps=100" in text
    (desk.folder / "playbook.yaml").write_text(text.replace("--max-steps=100", "--max-steps=25"))
    with desk.start("apply", "--engine", "docker", "playbook.yaml") as applying:
        wait_until((desk.folder / "checkpoints/step-00000010").is_dir, within_s=240)
        subprocess.run(["docker", "kill", node(desk, 1)], check=True, capture_output=True)
        out, err = applying.communicate(timeout=600)
    assert applying.returncode == 0, out + err
    killed = f"rank 1 ({node(desk, 1)}) was killed by signal 9 (SIGKILL)"
    assert f"restart: 1 of 2: {killed}" in out.splitlines()
    assert re.search(r"rank 1 \| training_resumed step=[12]0 path=/checkpoints/step-000000", out)
    assert "restarts=1" in out
    assert (desk.folder / "checkpoints/step-00000025").is_dir()
    again = desk.apply()
    assert (again.code, "changed=0" in again.line("RECAP")) == (0, True)
