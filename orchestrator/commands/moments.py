"""Moments as users write them: `5m` ago, a date, seconds since the epoch. Pure."""

from __future__ import annotations

import re
from datetime import datetime

_AGO = re.compile(r"(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m)?(?:(\d{1,9})s)?")
_UNITS_S = (86_400, 3_600, 60, 1)
_EPOCH = re.compile(r"\d{1,12}(?:\.\d{1,9})?")


def moment(text: str, now_s: float) -> float:
    """What is meant, in seconds since the epoch.

    Args:
        text: `90s`, `5m`, `1h30m` or `2d` ago; `2026-01-02`, `2026-01-02T03:04:05`, with an offset
            such as `Z` or in this machine's own time; or seconds since the epoch.
        now_s: from when `ago` counts.

    Raises:
        ValueError: it is none of these.
    """
    if text and (ago := _AGO.fullmatch(text)):
        parts = zip(ago.groups(), _UNITS_S, strict=True)
        return now_s - sum(int(number) * unit_s for number, unit_s in parts if number)
    if _EPOCH.fullmatch(text):
        return float(text)
    return datetime.fromisoformat(text).timestamp()
