"""The JSON Schema of playbooks as people write them, from the models; `python -m` writes docs.

`python -m orchestrator.playbook.schema docs/` writes the schema and the reference page.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

from orchestrator.playbook.editable import editable
from orchestrator.playbook.health import CHECKS, Check
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.preamble import Preamble
from orchestrator.playbook.ranks import SECRET_PATTERN
from orchestrator.playbook.reference import page, unit_of
from orchestrator.playbook.units import format_duration, format_size

Json: TypeAlias = dict[str, Any]

DIALECT = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_FILE = "playbook.schema.json"
PAGE_FILE = "playbook.md"

_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
# By the key of a mapping whose own keys are free: what those keys may be.
_FREE_KEYS = {
    "vars": _VARIABLE,
    "env": _VARIABLE,
    "args": _VARIABLE,
    "per_node": r"^(0|[1-9][0-9]*)$",
}
_FORMATS: dict[str, Callable[[Any], str]] = {"duration": format_duration, "size": format_size}
# What pydantic leaves over: titles repeat the keys, and `ge` is no word of JSON Schema.
_DROPPED = ("title", "ge", "gt")


def json_schema() -> Json:
    """Make the schema of what a person may write: durations and sizes as text, checks by name.

    A document that the schema refuses, the loader refuses; the loader refuses more. A template
    may stand wherever a value may, and what is required may come from an included file.
    """
    return editable(language_schema())


def language_schema() -> Json:
    """Make the schema of a playbook that is resolved: no template, nothing included."""
    schema = Playbook.model_json_schema(by_alias=True, mode="validation")
    sections: Json = schema.pop("$defs")
    playbook = _section(schema)
    preamble = _section(Preamble.model_json_schema())["properties"]
    playbook["properties"] = _after("name", playbook["properties"], preamble)
    defs = {name: _section(section) for name, section in sections.items()}
    defs["HealthCheck"] = _health_check()
    playbook["properties"]["health_checks"]["items"] = {"$ref": "#/$defs/HealthCheck"}
    return {"$schema": DIALECT, "title": "orchestrate playbook", **playbook, "$defs": defs}


def _after(key: str, properties: Json, inserted: Json) -> Json:
    """Insert keys behind another one."""
    names = list(properties)
    before = names[: names.index(key) + 1]
    return {**{name: properties[name] for name in before}, **inserted, **properties}


def _section(section: Json) -> Json:
    properties = {key: _property(key, of) for key, of in section["properties"].items()}
    kept = {key: of for key, of in section.items() if key not in _DROPPED}
    return {**kept, "properties": properties}


def _property(key: str, of: Json) -> Json:
    kept: Json = {name: value for name, value in of.items() if name not in _DROPPED}
    if "anyOf" in kept:
        kept["anyOf"] = [_property("", choice) for choice in kept["anyOf"]]
    if key == "secrets":
        kept["items"] = {"anyOf": [{"type": "string", "pattern": SECRET_PATTERN}, kept["items"]]}
    if key in _FREE_KEYS:
        kept["propertyNames"] = {"pattern": _FREE_KEYS[key]}
    if (unit := unit_of(kept)) and isinstance(kept.get("default"), int | float):
        kept["default"] = _FORMATS[unit](kept["default"])
    # The default of a section is made of its own defaults, and null means "left out".
    if isinstance(kept.get("default"), dict) or kept.get("default", "") is None:
        del kept["default"]
    return kept


def _health_check() -> Json:
    by_name = {
        "enum": [check.kind for check in CHECKS if _needs_nothing(check)],
        "description": "A health check with its defaults.",
    }
    return {"anyOf": [by_name, *map(_one_check, CHECKS)]}


def _needs_nothing(check: type[Check]) -> bool:
    return not any(field.is_required() for field in check.model_fields.values())


def _one_check(check: type[Check]) -> Json:
    section: list[Json] = [{"$ref": f"#/$defs/{check.__name__}"}]
    left_out: list[Json] = [{"type": "null"}] if _needs_nothing(check) else []
    return {
        "type": "object",
        "properties": {check.kind: {"anyOf": section + left_out}},
        "required": [check.kind],
        "additionalProperties": False,
    }


def schema_text() -> str:
    """Write the schema the way docs/playbook.schema.json has it."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


def reference_page() -> str:
    """Write the reference page of the language, docs/playbook.md."""
    return page(language_schema())


def main(folder: str) -> None:
    """Write the schema and the reference page into a folder."""
    (Path(folder) / SCHEMA_FILE).write_text(schema_text(), encoding="utf-8")
    (Path(folder) / PAGE_FILE).write_text(reference_page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
