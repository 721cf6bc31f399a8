"""How far builds and pulls have come, from lines as docker prints them."""

from __future__ import annotations

from functools import reduce

import pytest

from orchestrator.display.board.progress import Progress, advanced

A, B = "0a1b2c3d4e5f", "f5e4d3c2b1a0"
CASES: dict[str, tuple[list[str], Progress]] = {
    "nothing said": ([], Progress()),
    "the legacy builder": (
        ["Step 1/9 : FROM debian", "Step 2/9 : RUN pip install -r requirements.txt", "Collecting"],
        Progress("Collecting", "step", 2, 9),
    ),
    "BuildKit": (
        ["#1 [internal] load build definition", "#5 [1/4] FROM debian", "#6 [ 2/4] COPY . ."],
        Progress("COPY . .", "step", 2, 4),
    ),
    "BuildKit with stages side by side": (
        ["#7 [base 3/6] RUN make", "#8 [final 1/2] FROM debian", "#7 0.31 cc -c a.c"],
        Progress("cc -c a.c", "step", 3, 6),
    ),
    "a pull": (
        [
            "1: Pulling from library/debian",
            f"{A}: Pulling fs layer",
            f"{B}: Pulling fs layer",
            f"{A}: Download complete",
            f"{A}: Pull complete",
        ],
        Progress("1: Pulling from library/debian", "layer", 1, 2, ((A, True), (B, False))),
    ),
    "a layer that is there": (
        [f"{A}: Already exists"],
        Progress("", "layer", 1, 1, ((A, True),)),
    ),
    "steps that make no sense": (
        ["Step 3/2 : FROM x", "Step 0/0 : y", "#1 [9/0] z"],
        Progress("#1 [9/0] z"),
    ),
    "a pull in the middle of a build": (
        ["Step 1/9 : FROM debian", f"{A}: Pull complete", "Step 2/9 : RUN x"],
        Progress("RUN x", "step", 2, 9, ((A, True),)),
    ),
    "blank lines": (["compiling", "   ", ""], Progress("compiling")),
}


@pytest.mark.parametrize("name", CASES)
def test_progress_of(name: str) -> None:
    lines, told = CASES[name]
    assert reduce(advanced, lines, Progress()) == told
