"""Makes the pictures of docs/images: `python -m tests.screenshots --out docs/images`.

Each maker gets the folder that pictures go into. To add one: write a module beside this one with a
function that takes a folder, and put it into MAKERS.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

from tests.screenshots import board, report

MAKERS: tuple[Callable[[Path], None], ...] = (board.make, report.make)


def main() -> None:
    """Make all of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="the folder for the pictures")
    folder: Path = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    for make in MAKERS:
        make(folder)


main()
