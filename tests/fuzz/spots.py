"""Every value of a playbook with its place and its schema, and a way to put another there."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import yaml
from jsonschema import Draft202012Validator

from orchestrator.playbook.tree import Key, Loc
from tests.fuzz.strategies import ROOT, Json, Schema, resolve


@dataclass(frozen=True, slots=True)
class Spot:
    """One value of a playbook.

    Attributes:
        loc: the way to it.
        path: the same as faults name it.
        schema: what may stand there, references followed.
        value: what does.
    """

    loc: Loc
    path: str
    schema: Schema
    value: Json

    @property
    def known(self) -> dict[str, Schema]:
        """The keys that a mapping of fixed keys may have; none where keys are free."""
        return _properties(self.schema) if isinstance(self.value, dict) else {}


def spots(value: Json, schema: Schema = ROOT, loc: Loc = (), path: str = "") -> Iterator[Spot]:
    """List every value, the whole first."""
    schema = resolve(schema)
    yield Spot(loc, path, schema, value)
    if schema.get("additionalProperties") is True:
        return  # anything may stand there
    pairs: list[tuple[Key, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, item in pairs:
        step = f"[{key}]" if isinstance(value, list) else f".{key}"
        inner = (path + step).removeprefix(".")
        yield from spots(item, _below(schema, key, item), (*loc, key), inner)


def _choices(schema: Schema) -> Iterator[Schema]:
    schema = resolve(schema)
    if "anyOf" not in schema:
        yield schema
    for choice in schema.get("anyOf", ()):
        yield from _choices(choice)


def _properties(schema: Schema) -> dict[str, Schema]:
    return {key: of for each in _choices(schema) for key, of in each.get("properties", {}).items()}


def _below(schema: Schema, key: Key, value: Json) -> Schema:
    for choice in _choices(schema):
        of = choice.get("properties", {}).get(key) or choice.get("items")
        of = of or choice.get("additionalProperties")
        if of and allows(of, value):
            return resolve(of)
    raise LookupError(f"no schema for {key!r}")


def allows(schema: Schema, value: Json) -> bool:
    """Whether the schema allows the value; a key that is a number counts as text, as in JSON."""
    return bool(_validator(_frozen(schema)).is_valid(_as_json(value)))


def _frozen(schema: Schema) -> str:
    return json.dumps(schema)


@cache
def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator({**json.loads(schema), "$defs": ROOT["$defs"]})


def _as_json(value: Json) -> Json:
    if isinstance(value, dict):
        return {str(key): _as_json(item) for key, item in value.items()}
    return [_as_json(item) for item in value] if isinstance(value, list) else value


def put(playbook: Json, loc: Loc, value: Json) -> Json:
    """Give a copy with another value at a place."""
    if not loc:
        return value
    changed = copy.deepcopy(playbook)
    at = changed
    for part in loc[:-1]:
        at = at[part]
    at[loc[-1]] = value
    return changed


def node_at(node: yaml.Node, loc: Loc) -> yaml.Node:
    """Find a value in PyYAML's tree of a playbook."""
    for part in loc:
        if isinstance(node, yaml.SequenceNode):
            node = node.value[part]
        else:
            node = next(value for key, value in node.value if key.value == str(part))
    return node
