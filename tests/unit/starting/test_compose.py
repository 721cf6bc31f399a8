"""Compose files that cannot be read, and what of one is no rank."""

from __future__ import annotations

from typing import Any

import pytest

from orchestrator.errors import InvalidPlaybook
from orchestrator.starting.carried import Place
from orchestrator.starting.taking import take

PLACE = Place("p", "p.yaml", "/lab", "/lab", "compose.yaml")


def ranks(text: str) -> dict[str, Any]:
    draft, _ = take(text, "c.yaml", PLACE)
    found: dict[str, Any] = draft.document["ranks"]
    return found


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "not a mapping"),
        ("[]", 1, "not a mapping"),
        ("a: 1", 1, "no services"),
        ("services: {}", 1, "no services"),
        ("services: {a: [}", 1, "expected the node content, but found '}'"),
        ("services:\n  a: {command: c}", 2, "service a: neither image nor build"),
        ("services:\n  a: 5", 2, "service a: service a is not a mapping"),
        ("services:\n  a: {image: i}", 2, "service a runs what its image i runs by itself"),
        ("services:\n  a: {image: [i], command: c}", 2, "service a: list where text is meant"),
        (
            'services:\n  a: {image: i, command: "\'c"}',
            2,
            "service a: quotes that do not end: No closing quotation",
        ),
        ("services:\n  a: {image: i, command: c, mem_limit: x}", 2, "service a: 'x' is not a size"),
        (
            "services:\n  a: {image: i, command: c, deploy: 1}",
            2,
            "service a: deploy is not a mapping",
        ),
        ("services: " + "[" * 60 + "]" * 60, 1, "nested too deep, or too many aliases"),
        ("services:\n  ? [1]\n  : {}", 2, "found unhashable key"),
        ("services:\n  a: {image: i, command: 2020-99-99}", 1, "a value that YAML cannot hold"),
    ],
)
def test_what_cannot_be_understood_is_named(text: str, line: int, what: str) -> None:
    with pytest.raises(InvalidPlaybook) as caught:
        take(text, "c.yaml", PLACE)
    (fault,) = caught.value.faults
    assert (fault.line, fault.what) == (line, what)
    assert fault.fix


def test_a_parser_that_would_not_survive_is_not_asked() -> None:
    with pytest.raises(InvalidPlaybook, match="nested too deep"):
        take("services: " + "[" * 100_000, "c.yaml", PLACE)


def test_variables_come_from_the_environment_and_dollars_stay() -> None:
    text = """
services:
  a:
    image: i
    command: [sh, -c, "echo $$HOME ${X} ${Y:-it's}"]
    environment: ["A=${A}", B=$$5, C]
"""
    assert ranks(text) == {
        "nodes": 1,
        "command": ["sh", "-c", "echo $HOME {{ env('X', '') }} {{ env('Y', 'it\\'s') }}"],
        "env": {"A": "{{ env('A', '') }}", "B": "$5", "C": "{{ env('C', '') }}"},
    }


def test_a_network_that_is_not_made_here_stays_who_owns_it() -> None:
    text = "services: {a: {image: i, command: c, networks: [n]}}\nnetworks: {n: {external: true}}"
    draft, _ = take(text, "c.yaml", PLACE)
    assert draft.document["network"] == {"name": "n", "external": True}
