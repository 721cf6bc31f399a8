"""Public collections of malformed and of unusual inputs; README.md says where they come from."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class YamlCase:
    """One case of the YAML suite.

    Attributes:
        name: the suite's id, with the number of the case where the id has several.
        text: the YAML.
        fails: whether a reader must refuse it.
        documents: what it means as JSON values, None where the suite gives no JSON.
    """

    name: str
    text: str
    fails: bool
    documents: tuple[object, ...] | None


@dataclass(frozen=True, slots=True)
class JsonCase:
    """One case of the JSON suite; `y_` must be read, `n_` refused, `i_` is either's choice."""

    name: str
    text: str


def yaml_cases() -> list[YamlCase]:
    """The YAML suite, in its own order."""
    return [
        YamlCase(
            name=case["id"],
            text=case["yaml"],
            fails=case.get("fail", False),
            documents=_documents(case["json"]) if "json" in case else None,
        )
        for case in _read("yaml.json")
    ]


def _documents(text: str) -> tuple[object, ...]:
    # The suite writes the documents of a stream one behind the other.
    found: list[object] = []
    decoder = json.JSONDecoder()
    while text := text.lstrip():
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:]
    return tuple(found)


def json_cases() -> list[JsonCase]:
    """The JSON suite."""
    return [JsonCase(case["name"], _whole(case)) for case in _read("json.json")]


def _whole(case: dict[str, Any]) -> str:
    if "input" in case:
        return str(case["input"])
    return str(case["repeat"] * case["times"] + case["then"])


def naughty_strings() -> list[str]:
    """The naughty strings."""
    return list(_read("naughty.json"))


def _read(name: str) -> list[Any]:
    cases: list[Any] = json.loads((HERE / name).read_text(encoding="ascii"))
    return cases
