"""What tells a plan file from a playbook, which every verb that is given a file asks."""

from __future__ import annotations

from pathlib import Path
from typing import Final

MARK: Final = "orchestrate_plan"
"""The first key of a plan file."""


def is_plan_file(path: Path) -> bool:
    """True for what this program wrote as a plan, whatever its version; never for a playbook."""
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return start.lstrip()[:1] == b"{" and f'"{MARK}"'.encode() in start
