"""Values in YAML's flow style, on one line: for examples in pages and faults. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping


def flow(value: object) -> str:
    """Write a value the way a person writes it: `{nodes: 2, command: [python, train.py]}`."""
    match value:
        case Mapping():
            return "{" + ", ".join(f"{key}: {flow(item)}" for key, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str() if not value.isdigit():
            return value
        case _:
            return json.dumps(value)
