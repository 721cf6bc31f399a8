r"""How the probe's records stand in a node's log: RFC 7464, JSON text sequences. Pure.

A record is RS, JSON and a line end in one write, so that it is found whatever partial line
of the script it comes after: `50%|###   \x1e{"event": …}`. JSON has no RS inside, it is
written `\u001e` there.
"""

from __future__ import annotations

RS = b"\x1e"


def split_framed(text: bytes) -> tuple[bytes, bytes | None]:
    """A line as the script's own part and what follows the last RS; None where there is no RS."""
    own, mark, framed = text.rpartition(RS)
    return (own, framed) if mark else (text, None)
