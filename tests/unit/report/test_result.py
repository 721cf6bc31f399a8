"""The documents of `--json`: their schema is the one in docs/, and real outputs validate."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema
import pytest

from orchestrator.errors import NodeNotStarted
from orchestrator.report.result import results_schema, schema_text
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import Script
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

DOCS = Path(__file__).resolve().parents[3] / "docs"


def strict(schema: Any) -> Any:
    """The schema, refusing what it does not name: what is printed must all be described."""
    match schema:
        case dict():
            closed = {key: strict(value) for key, value in schema.items()}
            is_closed = "properties" in schema and "additionalProperties" not in schema
            return closed | ({"additionalProperties": False} if is_closed else {})
        case list():
            return [strict(item) for item in schema]
        case _:
            return schema


VALIDATOR = jsonschema.Draft202012Validator(strict(results_schema()))


def test_the_schema_in_the_docs_is_the_one_of_the_types() -> None:
    assert (DOCS / "results.schema.json").read_text() == schema_text()


def test_what_is_no_result_is_refused() -> None:
    assert not VALIDATOR.is_valid({})
    assert not VALIDATOR.is_valid({"error": {"kind": "x", "exit_code": "1", "what": "y"}})


def test_every_way_to_end_validates(desk: Desk) -> None:
    outputs = [desk.run("apply", "--json", "pair.yaml"), desk.run("apply", "--json", "pair.yaml")]
    outputs.append(desk.run("verify", "--json", "pair.yaml"))
    desk.engine.scripts[1] = Script(((0.0, "gone"),), 0.0, code=3)
    desk.write(PLAYBOOK.replace("train.py", "other.py") + "restarts: {max: 1}\n")
    outputs.append(desk.run("apply", "--json", "pair.yaml"))
    outputs.append(desk.run("apply", "--json", "--detach", "--rerun", "pair.yaml"))
    desk.run("destroy", "pair")
    outputs.append(desk.run("verify", "--json", "pair.yaml"))
    desk.engine.failures["start_nodes"] = NodeNotStarted("no such user")
    outputs.append(desk.run("apply", "--json", "pair.yaml"))
    desk.write("version: 1\nnope: 2\n")
    outputs.append(desk.run("apply", "--json", "pair.yaml"))
    for said in outputs:
        VALIDATOR.validate(said.document)
    assert [said.code for said in outputs] == [0, 0, 0, 1, 0, 1, 7, 3]
    assert [len(said.document.get("restarts", [])) for said in outputs][3] == 1


@pytest.mark.parametrize("field", ["run_id", "checks", "exit_code", "took_s"])
def test_a_document_that_lacks_a_field_is_refused(desk: Desk, field: str) -> None:
    found = desk.run("apply", "--json", "pair.yaml").document
    VALIDATOR.validate(found)
    del found[field]
    assert not VALIDATOR.is_valid(found)
