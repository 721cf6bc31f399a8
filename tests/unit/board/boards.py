"""Boards of gangs that train, as a look at their run gives them."""

from __future__ import annotations

import io

from rich.console import Console

from orchestrator.display.board.model import Board, seen
from orchestrator.display.board.render import Frame, render
from orchestrator.playbook.models import Check, Completed, Joined, Training
from orchestrator.verify.checks import evaluate
from orchestrator.watch import Look
from tests.unit.verify.story import RUN_ID, START_S, Story

CHECKS: tuple[Check, ...] = (
    Joined(within_s=60.0),
    Training(steps=2, within_s=60.0),
    Completed(within_s=300.0),
)
EMPTY = Board("pair on docker", START_S)


def trained(story: Story, step: int, *, behind: dict[int, int] | None = None) -> Story:
    """Every rank joins and has done so many steps, but for some that have done fewer."""
    story.join_all()
    for rank in story.facts.ranks:
        for number in range(1, (behind or {}).get(rank, step) + 1):
            story.say(
                story.at(0.0).node_of(rank),
                1.0 + number,
                f'{{"event": "step", "rank": {rank}, "run_id": "{RUN_ID}", "step": {number}, '
                f'"loss": {5.5 - number / 8}, "tokens_per_s": {5000 + number}, '
                f'"step_time_s": {0.1 if number != step - 2 else 0.2}}}',
            )
    return story


def look_at(story: Story, now_s: float) -> Look:
    """A look at a story, judged by `CHECKS`."""
    run = story.at(now_s)
    return Look(run, CHECKS, evaluate(CHECKS, run))


def board_of(story: Story, now_s: float) -> Board:
    """The board of a story at a moment."""
    return seen(EMPTY, look_at(story, now_s))


def drawn(
    board: Board, width: int, height: int, *, now_s: float = 42.0, is_last: bool = False
) -> str:
    """A board as text; `now_s` counts from the start of the nodes."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(render(board, Frame(width, height, START_S + now_s, is_last)))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())
