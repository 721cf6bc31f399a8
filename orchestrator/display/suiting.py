"""Which outputs a live board suits. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TextIO


def can_show_board(out: TextIO, environ: Mapping[str, str]) -> bool:
    """True for a terminal that moves its cursor, of a person who wants colours, outside of CI."""
    return (
        out.isatty()
        and environ.get("TERM", "dumb") not in {"", "dumb", "unknown"}
        and not environ.get("NO_COLOR")
        and environ.get("CI", "") in {"", "0", "false"}
        and (out.encoding or "").lower().replace("-", "") == "utf8"
    )
