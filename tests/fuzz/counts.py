"""How the corpora fare, counted: for the table "malformed inputs" of docs/reliability.md."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from orchestrator.records import parse_record
from tests.corpora import json_cases, naughty_strings, yaml_cases
from tests.fuzz.readings import Refused, read


@dataclass(frozen=True, slots=True)
class Count:
    """What came of one corpus; `escaped` counts exceptions that are none of ours."""

    cases: int
    refused: int
    accepted: int
    escaped: int


def counts() -> dict[str, Count]:
    """Read every case of every corpus anew."""
    json = [case.text for case in json_cases()]
    naughty = naughty_strings()
    return {
        "YAML test suite, as playbooks": _count([case.text for case in yaml_cases()], read),
        "JSON test suite, as playbooks": _count(json, read),
        "naughty strings, as a name": _count([f"name: {text}" for text in naughty], read),
        "JSON suite and naughty strings, as log lines": _count(json + naughty, _record),
    }


def _record(text: str) -> object:
    return parse_record(text.encode("utf-8", "surrogatepass")) or Refused("no record")


def _count(cases: Collection[str], reader: Callable[[str], object]) -> Count:
    refused = escaped = 0
    for text in cases:
        try:
            refused += isinstance(reader(text), Refused)
        except Exception:  # noqa: BLE001 - to count them is what this is for
            escaped += 1
    return Count(len(cases), refused, len(cases) - refused - escaped, escaped)
