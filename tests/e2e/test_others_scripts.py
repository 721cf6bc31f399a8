"""Scripts that others wrote, unmodified, under the playbook of a script of one's own, on Docker.

Accelerate carries its own test of gradient accumulation, a training script that its authors
run on real clusters; another one does what Hugging Face's guides do with their Trainer. PyTorch's
example of sharding is in no wheel: it is taken out of the source that Debian keeps.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import Desk
from tests.e2e.pytorch_source import pytorch_file
from tests.e2e.test_playbooks import put

pytestmark = [pytest.mark.docker, pytest.mark.torch]

SYNC = ["python", "-m", "accelerate.test_utils.scripts.test_sync"]
TRAINER = ["python", "/scripts/hf_trainer.py", "/tmp/out"]

SCRIPTS: dict[str, dict[str, Any]] = {
    "Hugging Face's Trainer": {"command": TRAINER},
    "Accelerate's own, by torchrun": {"command": SYNC, "nproc_per_node": 2},
}

SHARDING = "torch/distributed/tensor/examples/torchrec_sharding_example.py"
SHARDING_SHA256 = "3472fd393c01ca8c6834638dbc87d8842e8a0f99b0676abdaaff9f0ef00b77cd"
SHARDING_RANKS = {
    "nodes": 4,
    "command": ["python", "/scripts/sharding.py", "-e", "row-wise-even"],
    "env": {"OMP_NUM_THREADS": "1", "PYTHONPATH": "/scripts/packages"},
    "resources": {"cpus": 1.0, "memory": "1GiB"},
}
DRAWS_WITH = "tabulate==0.10.0"
"""What the example draws its tables with."""

ABORTED = "aborted-at-exit"
"""The signature of what torch's threads now and then make of an interpreter that ends. The scripts
of this repository leave before that; those of others do not."""


def _apply(desk: Desk, ranks: dict[str, Any], checks: list[str]) -> dict[str, Any]:
    """Apply the playbook on the desk with other ranks, with time for these of its checks."""
    playbook = yaml.safe_load((desk.folder / "playbook.yaml").read_text())
    playbook["ranks"] |= ranks
    playbook["health_checks"] = [{check: {"within": "5m"}} for check in checks]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    document = _applied(desk)
    return _applied(desk) if (document["diagnosis"] or {}).get("cause") == ABORTED else document


def _applied(desk: Desk) -> dict[str, Any]:
    ran = desk.run("apply", "--engine", "docker", "--json", "playbook.yaml", deadline_s=1200)
    return dict(json.loads(ran.out))


def _assert_joined(document: dict[str, Any], world_size: int, checks: list[str]) -> None:
    """Every check holds, and each rank tells its way into a group of so many."""
    found = {each["name"]: each["status"] for each in document["checks"]}
    assert found == dict.fromkeys(("alive", *checks), "ok"), document
    joined = next(each["why"] for each in document["checks"] if each["name"] == "joined")
    assert joined.startswith(f"{world_size} ranks after ")
    assert [way["rank"] for way in document["join"]] == list(range(world_size))


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_others_is_proven_to_have_joined_and_to_train(
    script: str, make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk, checks = make_desk("docker"), ["joined", "training", "completed"]
    put(desk, repository, "bring-your-own-script")
    shutil.copy(repository / "tests/probe/scripts/hf_trainer.py", desk.folder / "scripts")
    document = _apply(desk, SCRIPTS[script], checks)
    _assert_joined(document, 2 * SCRIPTS[script].get("nproc_per_node", 1), checks)


def test_an_example_of_pytorchs_own_is_proven_to_have_joined(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    """It meets in `init_device_mesh` and calls no init_process_group; it has no optimizer."""
    desk, checks = make_desk("docker"), ["joined", "completed"]
    put(desk, repository, "bring-your-own-script")
    script = pytorch_file(SHARDING, SHARDING_SHA256)
    (desk.folder / "scripts/sharding.py").write_bytes(script)
    packages = desk.folder / "scripts/packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target"]
    subprocess.run([*install, packages, DRAWS_WITH], check=True, timeout=300)
    _assert_joined(_apply(desk, SHARDING_RANKS, checks), 4, checks)
