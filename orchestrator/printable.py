"""What a node wrote, made safe to show: a log line must not steer the reader's terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator

from orchestrator.framing import split_framed

QUIET_KEYS = frozenset(
    (
        *("event", "timestamp", "level", "rank", "world_size", "run_id", "restart_count"),
        *("traceback", "source", "pid", "at_s"),
    )
)
"""Said already by where a line stands, or of no use to a reader; `logs --raw` shows them."""


def printable(text: str) -> str:
    r"""Escape what is not a visible character: C0, C1, ESC, carriage return, bidi, surrogates.

    A tab stays; `"\x1b[2J"` becomes the eight visible characters `\x1b[2J`.
    """
    if text.isprintable():
        return text
    return "".join(char if char == "\t" or _is_visible(char) else _escaped(char) for char in text)


def _is_visible(char: str) -> bool:
    # Cf holds the bidi controls, which isprintable() refuses as well; spaces are visible.
    return char.isprintable() or unicodedata.category(char) == "Zs"


def _escaped(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")


def shown_parts(line: bytes, *, records: bool) -> Iterator[bytes]:
    """What of a log line a reader sees: the script's own text, and the probe's record if asked.

    A line that only looks as if the probe had written it is shown as it is.
    """
    own, framed = split_framed(line)
    if framed is None or not _is_of_probe(framed):
        yield line
        return
    if own:
        yield own
    if records:
        yield framed


def _is_of_probe(framed: bytes) -> bool:
    try:
        fields = json.loads(framed) if framed.startswith(b"{") and len(framed) <= 16_384 else None
    except (ValueError, RecursionError):
        return False
    return isinstance(fields, dict) and fields.get("source") == "probe" and "event" in fields


def log_text(line: bytes, *, raw: bool = False, quiet: frozenset[str] = QUIET_KEYS) -> str:
    """One log line for a reader: a record as `event key=value …`, anything else as it is.

    Args:
        line: as the node wrote it.
        raw: leave records as they are, too.
        quiet: keys of records that are left out.
    """
    text = line.decode("utf-8", "replace").rstrip("\r")
    if raw or not text.startswith("{") or len(text) > 16_384:
        return printable(text)
    try:
        return printable(_told(json.loads(text), quiet) or text)
    except (ValueError, RecursionError):  # no JSON, an integer of thousands of digits, nesting
        return printable(text)


def _told(fields: object, quiet: frozenset[str]) -> str:
    """A record in words; empty for JSON that is none."""
    if not isinstance(fields, dict) or not isinstance(fields.get("event"), str):
        return ""
    told = [f"{key}={_short(value)}" for key, value in fields.items() if key not in quiet]
    return " ".join([fields["event"], *told])


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
