"""What comes out of a node's log, as engines hand it over and checks take it in."""

from __future__ import annotations

from msgspec import Struct

LINE_BYTES = 64 * 1024
"""A longer line is handed over in pieces of this length, so that no line can grow this program."""


class LogLine(Struct, frozen=True):
    """One line of a node's output, stdout and stderr alike, without its line end.

    `at_s` is the engine's own time of the line, seconds since the epoch. A line longer
    than LINE_BYTES arrives in pieces, all but the first marked as continued.
    """

    node_rank: int
    at_s: float
    text: bytes
    continued: bool = False


class LogEnd(Struct, frozen=True):
    """A node has ended and every byte of its log was handed over."""

    node_rank: int
