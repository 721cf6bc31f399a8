"""Commands as people type them, and Compose files -> playbooks: whole files, and all words."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.playbook.loader import load_text
from tests.unit.desk import Desk, desk

__all__ = ["desk"]

GOLDEN = Path(__file__).parents[1] / "golden" / "init"
CASES = [
    GOLDEN / name for name in ("guide.sh", "loop.sh", "flags.sh", "compose.yaml", "replicas.yaml")
]


def place(desk: Desk, case: Path) -> None:
    """Put down what the commands name, so that the playbook can hold."""
    for folder in ("data", "docker", "up"):
        (desk.folder / "lab" / folder).mkdir(parents=True, exist_ok=True)
    (desk.folder / "lab/docker/Dockerfile").write_text("FROM scratch\n")
    (desk.folder / "up").mkdir()
    (desk.folder / "lab/common.env").write_text("A=1\n")
    desk.write(case.read_text(), f"lab/{case.name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_playbook_and_what_is_said(
    case: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(desk, case)
    monkeypatch.setenv("WANDB", "w")
    monkeypatch.chdir(desk.folder / "lab")
    said = desk.run("init", "made.yaml", "--from", case.name)
    made = (desk.folder / "lab/made.yaml").read_text()
    assert made == (GOLDEN / f"{case.stem}.made.yaml").read_text()
    words = [line for line in said.out.splitlines() if line.startswith(("mended:", "left out:"))]
    assert "\n".join(words) + "\n" == (GOLDEN / f"{case.stem}.said").read_text()


@pytest.mark.parametrize("case", [case for case in CASES if case.stem != "flags"], ids=str)
def test_the_playbook_holds(case: Path, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    place(desk, case)
    monkeypatch.setenv("WANDB", "w")
    made = (GOLDEN / f"{case.stem}.made.yaml").read_bytes()
    loaded = load_text(made, name="made.yaml", folder=desk.folder / "lab")
    assert loaded.playbook.name == "made"
