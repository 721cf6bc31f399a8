"""One line of a node's log in, one typed record out, or None. Nothing a node prints can hurt.

The line is written by the training script, or by whatever else runs in the node: it is
bounded before it is parsed, and what it says of its own identity is never believed
without the container it was read from (see `verify.facts`).
"""

from __future__ import annotations

import json
import re
from typing import Annotated

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from orchestrator.records.kinds import Record

MAX_RECORD_BYTES = 16 * 1024
"""Docker splits log lines at this length; no record of ours comes near it."""

MAX_DEPTH = 64
"""Releases of Python give up at different depths, from 1,000 to never: all refuse this one."""

_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|([\[{])|([\]}])')

_RECORDS: TypeAdapter[Record] = TypeAdapter(
    Annotated[Record, Field(discriminator="event")], config=ConfigDict(defer_build=True)
)


class _NotARecord(Exception):
    """The line is JSON of a kind that no honest writer of records produces."""


def parse_record(line: bytes) -> Record | None:
    """Read one line. Whatever is not exactly a record gives None."""
    if not line.lstrip(b" \t").startswith(b"{") or len(line) > MAX_RECORD_BYTES:
        return None
    try:
        # Decoded here: json.loads would take UTF-16 and lone surrogates as well.
        text = line.decode("utf-8")
        if _depth(text) > MAX_DEPTH:
            return None
        fields = json.loads(text, parse_constant=_refuse, object_pairs_hook=_unique)
        return _RECORDS.validate_python(fields)
    except (ValueError, RecursionError, ValidationError, _NotARecord):
        # ValueError: no JSON, no UTF-8, or an integer of thousands of digits.
        return None


def record_of(fields: object) -> Record | None:
    """The record that JSON data is; None for data that is none."""
    try:
        return _RECORDS.validate_python(fields)
    except (ValidationError, RecursionError):
        return None


def _depth(text: str) -> int:
    """How deep lists and mappings lie in each other; few lines have enough of them to count."""
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return 0
    depth = deepest = 0
    for bracket in _BRACKETS.finditer(text):
        depth += (bracket[1] is not None) - (bracket[2] is not None)
        deepest = max(deepest, depth)
    return deepest


def _refuse(constant: str) -> None:
    raise _NotARecord(constant)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _NotARecord("a key is given twice")
    return fields
