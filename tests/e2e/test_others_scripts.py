"""Scripts that others wrote, unmodified, under the playbook of a script of one's own, on Docker.

Accelerate carries its own test of gradient accumulation, a training script that its authors
run on real clusters; the other one does what Hugging Face's guides do with their Trainer.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Desk
from tests.e2e.test_playbooks import put

pytestmark = [pytest.mark.docker, pytest.mark.torch]

SYNC = ["python", "-m", "accelerate.test_utils.scripts.test_sync"]
TRAINER = ["python", "/scripts/hf_trainer.py", "/tmp/out"]

SCRIPTS: dict[str, dict[str, Any]] = {
    "Hugging Face's Trainer": {"command": TRAINER},
    "Accelerate's own, by torchrun": {"command": SYNC, "nproc_per_node": 2},
}

ABORTED = "aborted-at-exit"
"""The signature of what torch's threads now and then make of an interpreter that ends. The scripts
of this repository leave before that; Accelerate's does not."""


def _applied(desk: Desk) -> dict[str, Any]:
    ran = desk.run("apply", "--engine", "docker", "--json", "playbook.yaml", deadline_s=1200)
    return dict(json.loads(ran.out))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_others_is_proven_to_have_joined_and_to_train(
    script: str, make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("docker")
    put(desk, repository, "bring-your-own-script")
    shutil.copy(repository / "tests/probe/scripts/hf_trainer.py", desk.folder / "scripts")
    playbook = yaml.safe_load((desk.folder / "playbook.yaml").read_text())
    playbook["ranks"] |= SCRIPTS[script]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    document = _applied(desk)
    if (document["diagnosis"] or {}).get("cause") == ABORTED:
        document = _applied(desk)
    checks = {each["name"]: each["status"] for each in document["checks"]}
    assert checks == dict.fromkeys(("alive", "joined", "training", "completed"), "ok"), document
    world_size = 2 * SCRIPTS[script].get("nproc_per_node", 1)
    joined = next(each["why"] for each in document["checks"] if each["name"] == "joined")
    assert joined.startswith(f"{world_size} ranks after ")
    assert [way["rank"] for way in document["join"]] == list(range(world_size))
