"""A record as bytes: RFC 7464 framing around one line of JSON, in at most MAX_BYTES."""

from __future__ import annotations

from _json import encode_basestring_ascii  # what `json` is made of; json itself loads `re`

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MAX_BYTES = 4096
"""PIPE_BUF on Linux: a write of no more goes into a pipe as a whole or not at all."""

_SEPARATOR = b"\x1e"


def frame(fields: dict[str, Any]) -> bytes:
    """Encode a record; its longest values are cut until it fits."""
    text = to_json(fields)
    while len(text) + 2 > MAX_BYTES:
        fields = _shortened(fields)
        text = to_json(fields)
    return _SEPARATOR + text.encode("ascii") + b"\n"


def to_json(value: Any) -> str:
    """Write plain values as JSON, ASCII only. What JSON has no number for becomes null."""
    if isinstance(value, dict):
        return f"{{{','.join(f'{_text(key)}:{to_json(each)}' for key, each in value.items())}}}"
    if isinstance(value, (list, tuple)):
        if set(map(type, value)) == {int}:
            return repr([*value]).replace(" ", "")  # many times as fast, for durations
        return f"[{','.join(to_json(each) for each in value)}]"
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or (isinstance(value, float) and not abs(value) < float("inf")):
        return "null"
    if isinstance(value, (int, float)):
        return repr(value)
    return _text(value)


def _text(value: Any) -> str:
    # A lone surrogate stands for a byte that is no UTF-8; no reader would take it.
    return encode_basestring_ascii(str(value).encode("utf-8", "replace").decode("utf-8"))


def _shortened(fields: dict[str, Any]) -> dict[str, Any]:
    longest = max(fields, key=lambda key: len(to_json(fields[key])))
    value = fields[longest]
    half: Any
    if isinstance(value, dict):
        half = dict(list(value.items())[: len(value) // 2])
    elif isinstance(value, (list, tuple)):
        half = value[: len(value) // 2]
    else:
        half = str(value)[: len(str(value)) // 2]
    return {**fields, longest: half}
