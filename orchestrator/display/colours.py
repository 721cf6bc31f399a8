"""The colours of ranks: the same in front of a node's lines and in the board. Pure."""

from __future__ import annotations

RANK_COLOURS = (36, 35, 34, 33, 32, 96, 95, 94)
"""As terminals number them."""

RANK_COLOUR_NAMES = (
    *("cyan", "magenta", "blue", "yellow", "green"),
    *("bright_cyan", "bright_magenta", "bright_blue"),
)
"""The same, as rich calls them."""
