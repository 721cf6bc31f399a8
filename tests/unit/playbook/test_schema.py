"""The generated files are in step with the models, and say what a person may write."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.playbook import schema
from orchestrator.playbook.editable import TEMPLATE
from orchestrator.playbook.fields import yaml_fields
from orchestrator.playbook.language import Section
from orchestrator.playbook.models import CHECK_KINDS, CHECKS, Playbook
from orchestrator.playbook.preamble import Preamble

MAKE = "run: python -m orchestrator.playbook.schema docs/"


def _sections(section: type[Section] = Section) -> list[type[Section]]:
    below = [found for child in section.__subclasses__() for found in _sections(child)]
    return [*below, section] if section.model_fields else below


def test_the_schema_in_docs_is_that_of_the_models(repository: Path) -> None:
    path = repository / "docs" / schema.SCHEMA_FILE
    assert path.read_text(encoding="utf-8") == schema.schema_text(), MAKE


def test_the_reference_page_in_docs_is_that_of_the_models(repository: Path) -> None:
    path = repository / "docs" / schema.PAGE_FILE
    assert path.read_text(encoding="utf-8") == schema.reference_page(), MAKE


def test_main_writes_both_files(tmp_path: Path) -> None:
    schema.main(str(tmp_path))
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == {
        "playbook.schema.json": schema.schema_text(),
        "playbook.md": schema.reference_page(),
    }


@pytest.mark.parametrize("section", _sections())
def test_every_field_is_described_with_an_example(section: type[Section]) -> None:
    bare = [
        key
        for key, field in yaml_fields(section).items()
        if not field.description or not field.examples
    ]
    assert bare == []


@pytest.mark.parametrize("section", _sections())
def test_every_field_is_on_the_reference_page(section: type[Section]) -> None:
    page = schema.reference_page()
    cell_form = "`{}`" if section in (Playbook, Preamble) else ".{}`"
    cells = [cell_form.format(key) for key in yaml_fields(section)]
    assert [cell for cell in cells if cell not in page] == []


def test_durations_and_sizes_are_text_and_carry_their_default_so() -> None:
    defs = schema.json_schema()["$defs"]
    within = defs["Joined"]["properties"]["within"]
    assert (within["type"], within["default"], within["x-unit"]) == ("string", "60s", "duration")
    assert set(defs["Resources"]["properties"]) == {"cpus", "memory", "shm_size", "pids"}


def test_a_health_check_is_a_name_or_a_mapping_of_one_key() -> None:
    names, *mappings = schema.json_schema()["$defs"]["HealthCheck"]["anyOf"]
    need_a_port = {"http", "tcp"}
    assert set(names["enum"]) == set(CHECK_KINDS) - need_a_port
    left_out = {kind: [] if kind in need_a_port else [{"type": "null"}] for kind in CHECK_KINDS}
    assert mappings == [
        {
            "type": "object",
            "properties": {
                check.kind: {
                    "anyOf": [
                        {"$ref": f"#/$defs/{check.__name__}"},
                        *left_out[check.kind],
                        TEMPLATE,
                    ]
                }
            },
            "required": [check.kind],
            "additionalProperties": False,
        }
        for check in CHECKS
    ]
