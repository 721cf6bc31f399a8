"""The schema of a playbook under an editor's hands: templates and includes allowed. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from orchestrator.playbook.preamble import INCLUDE, VARS

Json: TypeAlias = dict[str, Any]

TEMPLATE: Json = {"$ref": "#/$defs/Template"}
_TEMPLATE_DEF: Json = {
    "type": "string",
    "pattern": r"\{\{",
    "description": "A template, {{ … }}, which gives the value when the playbook is loaded.",
}
# What a schema says beside its form; it stays outside of the choice.
_ABOUT = ("description", "default", "examples", "x-unit")


def editable(schema: Json) -> Json:
    """Allow a template wherever a value may stand, and what is required to come by include.

    Args:
        schema: that of the resolved language.
    """
    required = dict(_required(schema, (), schema))
    defs = {name: _section(of) for name, of in schema["$defs"].items()}
    for path in required:
        if path:
            defs[_referred(schema, path)].pop("required")
    top = _section({key: of for key, of in schema.items() if key not in ("$defs", "required")})
    for key in (INCLUDE, VARS):
        top["properties"][key] = schema["properties"][key]
    top["anyOf"] = [{"required": [INCLUDE]}, _demanded(required)]
    return {**top, "$defs": {**defs, "Template": _TEMPLATE_DEF}}


def _required(section: Json, path: tuple[str, ...], schema: Json) -> Iterator[tuple[Any, Any]]:
    """List what is required of the sections that an included file may complete, by their path."""
    if "required" in section:
        yield path, section["required"]
    for key, of in section["properties"].items():
        for choice in (of, *of.get("anyOf", ())):
            if "$ref" in choice:
                yield from _required(_def(schema, choice), (*path, key), schema)


def _def(schema: Json, of: Json) -> Json:
    found: Json = schema["$defs"][_name(of)]
    return found


def _name(of: Json) -> str:
    return str(of["$ref"].rpartition("/")[2])


def _referred(schema: Json, path: tuple[str, ...]) -> str:
    """Name the definition of the section at a path."""
    section, name = schema, ""
    for key in path:
        of = section["properties"][key]
        name = next(_name(choice) for choice in (of, *of.get("anyOf", ())) if "$ref" in choice)
        section = schema["$defs"][name]
    return name


def _demanded(required: dict[tuple[str, ...], list[str]]) -> Json:
    """Demand everything at once, of a file that includes none."""
    demanded: Json = {}
    for path, keys in required.items():
        at = demanded
        for key in path:
            at = at.setdefault("properties", {}).setdefault(key, {})
        at["required"] = keys
    return demanded


def _section(section: Json) -> Json:
    if "properties" not in section:
        return {**section, "anyOf": [_choice(choice) for choice in section["anyOf"]]}
    properties = {key: _or_template(of) for key, of in section["properties"].items()}
    return {**section, "properties": properties}


def _choice(choice: Json) -> Json:
    return _section(choice) if "properties" in choice else choice


def _or_template(of: Json) -> Json:
    """Allow a template instead of a value, and inside of it."""
    about = {key: kept for key, kept in of.items() if key in _ABOUT}
    form = _inside({key: kept for key, kept in of.items() if key not in _ABOUT})
    if form.get("type") == "string" and not {"pattern", "enum", "const"} & form.keys():
        return {**about, **form}
    if "anyOf" in form:
        return {**form, **about, "anyOf": [*form["anyOf"], TEMPLATE]}
    if form.get("type") == "string":
        kept = {"type": form.pop("type"), **about}
        return {**kept, "anyOf": [form, TEMPLATE]}
    return {**about, "anyOf": [form, TEMPLATE]}


def _inside(form: Json) -> Json:
    made = dict(form)
    for key in ("items", "additionalProperties"):
        if isinstance(made.get(key), dict):
            made[key] = _or_template(made[key])
    if "anyOf" in made:
        made["anyOf"] = [_inside(choice) for choice in made["anyOf"]]
    return made
