"""Whether the cursor of a terminal is hidden, for who must leave at once and cannot tidy up."""

from __future__ import annotations

import os
from contextlib import suppress

_SHOW = b"\r\n\x1b[?25h"

_hidden_on: list[int] = []


def hide_until_shown(fd: int) -> None:
    """Note that a terminal's cursor is about to be hidden."""
    _hidden_on.append(fd)


def is_shown(fd: int) -> None:
    """Note that it is there again."""
    if fd in _hidden_on:
        _hidden_on.remove(fd)


def restore() -> None:
    """Show every cursor that is hidden. Fit for a signal handler: it takes no lock."""
    for fd in _hidden_on:
        with suppress(OSError):
            os.write(fd, _SHOW)
