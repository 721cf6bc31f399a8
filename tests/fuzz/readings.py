"""What our reader of YAML makes of a text, in plain values that compare as a whole."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.source import decode
from orchestrator.playbook.tree import plain
from orchestrator.playbook.yaml import compose
from tests.fuzz.promise import faults_of

NOWHERE = Path("/nonexistent")


@dataclass(frozen=True, slots=True)
class Refused:
    """A text that is not read, and the first thing that is wrong with it."""

    why: str


def read(text: str) -> object:
    """Read a text as YAML, as the loader does before it looks at any model.

    Returns:
        Its value, lists as lists; `Refused` where it has a fault.

    Raises:
        AssertionError: the loader breaks its promise for this text.
    """
    data = text.encode("utf-8", "surrogatepass")
    faults_of(data, NOWHERE)
    try:
        document = compose(decode(data, "x.yaml"))
    except InvalidPlaybook as exc:
        return Refused(exc.faults[0].what)
    if document.complaints or document.root is None:
        return Refused(document.complaints[0].what)
    return _lists(plain(document.root))


def same(one: object, other: object) -> bool:
    """Whether two values are equal and of the same types: 1 is not 1.0, nor True."""
    return _text(one) == _text(other)


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=repr)


def _lists(value: object) -> object:
    match value:
        case tuple():
            return [_lists(item) for item in value]
        case dict():
            return {str(key): _lists(item) for key, item in value.items()}
        case _:
            return value
