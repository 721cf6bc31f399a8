"""Durations and sizes as people write them. Pure; imports nothing of orchestrator."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

DURATION_PATTERN = r"^(?=\d)(\d+(\.\d+)?h)?(\d+(\.\d+)?m(?!s))?(\d+(\.\d+)?s)?(\d+(\.\d+)?ms)?$"
SIZE_PATTERN = r"^\d+(\.\d+)?[ ]?(B|KB|MB|GB|KiB|MiB|GiB)?$"

# The ends of what the number formats of a playbook can carry, far above any real value.
MAX_DURATION_S = 30 * 24 * 3600.0
MAX_SIZE_BYTES = 2**50

_DURATION = re.compile(DURATION_PATTERN, re.ASCII)
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s)", re.ASCII)
_SECONDS = {"h": Fraction(3600), "m": Fraction(60), "s": Fraction(1), "ms": Fraction(1, 1000)}

_SIZE = re.compile(r"(\d+(?:\.\d+)?)[ ]?(B|KB|MB|GB|KiB|MiB|GiB)?", re.ASCII)
_BYTES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "KiB": 1024,
    "MiB": 1024**2,
    "GiB": 1024**3,
}
# Longer texts are refused unread: no real value needs them, and digits cost time.
_LONGEST = 32


def parse_duration_s(text: str) -> float:
    """Read `60s`, `5m`, `1h`, `500ms` or a sum such as `1m30s` as seconds.

    Raises:
        ValueError: the text is not a duration with its unit, or above 30 days.
    """
    if len(text) > _LONGEST or not _DURATION.fullmatch(text):
        raise ValueError("not a duration")
    parts = _DURATION_PART.findall(text)
    seconds = float(sum(Fraction(number) * _SECONDS[unit] for number, unit in parts))
    if seconds > MAX_DURATION_S:
        raise ValueError("longer than 30 days")
    return seconds


def parse_size_bytes(text: str) -> int:
    """Read `2GiB`, `512MiB`, `1.5GiB` or `1000000` (bytes) as whole bytes, rounded down.

    Raises:
        ValueError: the text is not a size, or above 1 PiB.
    """
    match = _SIZE.fullmatch(text) if len(text) <= _LONGEST else None
    if match is None:
        raise ValueError("not a size")
    size = int(Fraction(match[1]) * _BYTES[match[2] or "B"])
    if size > MAX_SIZE_BYTES:
        raise ValueError("above 1024 TiB")
    return size


def format_duration(seconds: float) -> str:
    """Write seconds the way a playbook does, exactly: `60s`, `500ms`, `5m`."""
    if seconds != int(seconds):
        return f"{(Decimal(repr(seconds)) * 1000).normalize():f}ms"
    for unit, length in (("h", 3600), ("m", 60)):
        if seconds > length and seconds % length == 0:
            return f"{int(seconds) // length}{unit}"
    return f"{int(seconds)}s"


def format_size(size_bytes: int) -> str:
    """Write bytes the way a playbook does, exactly: `2GiB`, `512MiB`, `1000000`."""
    for unit in ("GiB", "MiB", "KiB"):
        if size_bytes and size_bytes % _BYTES[unit] == 0:
            return f"{size_bytes // _BYTES[unit]}{unit}"
    return str(size_bytes)
