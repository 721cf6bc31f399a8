"""Every shipped playbook is valid, by the loader and by the published schema."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from orchestrator.playbook.loader import load

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOKS = sorted((ROOT / "playbooks").glob("*.yaml"))
SCHEMA = json.loads((ROOT / "docs" / "playbook.schema.json").read_text())


@pytest.mark.parametrize("path", PLAYBOOKS, ids=lambda path: path.name)
def test_a_shipped_playbook_is_valid_and_names_its_schema(path: Path) -> None:
    assert load(path).playbook.name == path.stem
    jsonschema.validate(yaml.safe_load(path.read_text()), SCHEMA)
    modeline = "# yaml-language-server: $schema=../docs/playbook.schema.json"
    assert path.read_text().splitlines()[0] == modeline


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"name": "Two Rank"},
        {"helth_checks": []},
        {"ranks": {"nodes": 0, "command": ["true"]}},
        {"ranks": {"nodes": 2, "command": []}},
        {"health_checks": [{"joined": {"within": 60}}]},
        {"health_checks": [{"joind": {}}]},
    ],
    ids=str,
)
def test_the_schema_refuses_what_the_loader_refuses(change: dict[str, object]) -> None:
    playbook = yaml.safe_load((ROOT / "playbooks" / "two-rank.yaml").read_text())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(playbook | change, SCHEMA)
