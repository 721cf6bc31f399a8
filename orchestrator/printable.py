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


MAX_RECORD = 16_384
"""Longer lines are shown as they are."""

MAX_LISTED = 8


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
    fields = fields_of(framed)
    return fields.get("source") == "probe" and "event" in fields


def fields_of(text: bytes) -> dict[str, object]:
    """What a line of JSON says; nothing where it is none, or is too long for a record."""
    try:
        fields = json.loads(text) if text.startswith(b"{") and len(text) <= MAX_RECORD else None
    except (ValueError, RecursionError):  # no JSON, an integer of thousands of digits, nesting
        return {}
    return fields if isinstance(fields, dict) else {}


def log_lines(
    line: bytes, *, raw: bool = False, quiet: frozenset[str] = QUIET_KEYS
) -> Iterator[str]:
    """One log line as `log_text` has it, and below a record of stacks where each thread is."""
    yield log_text(line, raw=raw, quiet=quiet)
    fields = {} if raw or b'"stacks"' not in line else fields_of(line)
    threads = fields.get("threads") if fields.get("event") == "stacks" else None
    for name, frames in threads.items() if isinstance(threads, dict) else ():
        yield printable(f"    {name}:")
        for frame in frames if isinstance(frames, list) else ():
            yield printable(f"        {frame}")


def log_text(line: bytes, *, raw: bool = False, quiet: frozenset[str] = QUIET_KEYS) -> str:
    """One log line for a reader: a record as `event key=value …`, anything else as it is.

    Args:
        line: as the node wrote it.
        raw: leave records as they are, too.
        quiet: keys of records that are left out.
    """
    text = line.decode("utf-8", "replace").rstrip("\r")
    try:
        return printable(text if raw else _told(fields_of(text.encode()), quiet) or text)
    except RecursionError:  # nested just so that it can be read and not be written again
        return printable(text)


def _told(fields: dict[str, object], quiet: frozenset[str]) -> str:
    """A record in words; empty for JSON that is none."""
    event = fields.get("event")
    if not isinstance(event, str):
        return ""
    short = _brief if fields.get("source") == "probe" else _short
    told = [f"{key}={short(value)}" for key, value in fields.items() if key not in quiet]
    return " ".join([event, *told])


def _brief(value: object) -> str:
    """As `_short`, but of what the probe lists by the dozen how many there are."""
    match value:
        case dict():
            return f"({len(value)})"
        case list() if len(value) > MAX_LISTED:
            return f"({len(value)})"
        case _:
            return _short(value)


def _short(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, str):
        return value if value and " " not in value else json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False)
