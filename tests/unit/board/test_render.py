"""Boards as text, for terminals of many sizes: one golden file a case."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from orchestrator import redaction
from orchestrator.display.board.model import Board, CheckView, NodeView, TaskView
from orchestrator.display.board.progress import Progress
from orchestrator.verify.checks import CheckResult, Status
from tests.unit.board.boards import EMPTY, board_of, drawn, trained
from tests.unit.verify.story import START_S, Story

GOLDEN = Path(__file__).parents[1] / "golden" / "boards"


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def two() -> Board:
    return board_of(trained(Story(), 12), 20.0)


def eight() -> Board:
    """Of two ranks each; one rank is behind."""
    return board_of(trained(Story(8, 2), 12, behind={5: 9}), 20.0)


def sixty_four() -> Board:
    """One has failed, one is behind, the others train."""
    story = trained(Story(64), 12, behind={17: 7, 40: 11})
    story.fail(63, 14.0, "no corpus", "ValueError")
    story.end(63, 3, 14.5)
    return board_of(story, 20.0)


BOARDS = {"2": two, "8": eight, "64": sixty_four}


@pytest.mark.parametrize("height", [10, 24, 50])
@pytest.mark.parametrize("width", [40, 80, 120, 200])
@pytest.mark.parametrize("nodes", BOARDS)
def test_a_board_of(nodes: str, width: int, height: int) -> None:
    text = drawn(BOARDS[nodes](), width, height)
    assert text == golden(f"{nodes}-nodes-{width}x{height}")
    lines = text.splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) < height


@pytest.mark.parametrize("height", [1, 2, 3, 4, 6])
@pytest.mark.parametrize("width", [8, 20, 33])
def test_no_terminal_is_too_small(width: int, height: int) -> None:
    for board in (two(), sixty_four(), with_tasks()):
        lines = drawn(board, width, height).splitlines()
        assert max(map(cell_len, lines)) <= width
        assert len(lines) <= max(height - 1, 1)


def with_tasks() -> Board:
    tasks = (
        TaskView("build image app:1", START_S + 30.0, Progress("RUN pip install", "step", 3, 12)),
        TaskView("create network pair-net", START_S + 41.5),
    )
    return replace(EMPTY, nodes=(NodeView(0, range(1)), NodeView(1, range(1, 2))), tasks=tasks)


def test_what_is_under_way() -> None:
    assert drawn(with_tasks(), 80, 24) == golden("under-way")


def test_the_last_picture_is_of_the_nodes_alone() -> None:
    story = trained(Story(), 12)
    story.end(0, 0)
    story.end(1, 0)
    assert drawn(board_of(story, 20.0), 80, 24, is_last=True) == golden("last")


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\u202efake"


def hostile() -> Board:
    story = trained(Story(), 2)
    story.say(1, 9.0, HOSTILE)
    board = board_of(story, 20.0)
    check = CheckView(CheckResult("loss", Status.FAILED, HOSTILE))
    task = TaskView(f"pull image {HOSTILE}", START_S, Progress(HOSTILE))
    return replace(board, title=HOSTILE, run_id=HOSTILE, checks=(check,), tasks=(task,))


@pytest.mark.parametrize("width", [30, 80, 200])
def test_what_comes_from_elsewhere_cannot_steer_the_terminal(width: int) -> None:
    text = drawn(hostile(), width, 40)
    assert all(char.isprintable() or char == "\n" for char in text), text
    assert width < 200 or text.count("owned") == 6


def test_secrets_are_hidden() -> None:
    redaction.learn([b"hunter2hunter2"])
    story = trained(Story(), 2)
    story.say(0, 9.0, "password hunter2hunter2")
    check = CheckView(CheckResult("loss", Status.OK, "of hunter2hunter2"))
    task = TaskView("pull image hunter2hunter2", START_S, Progress("for hunter2hunter2"))
    board = replace(board_of(story, 20.0), checks=(check,), tasks=(task,))
    text = drawn(board, 200, 40)
    assert ("hunter2" in text, text.count("***")) == (False, 4)


def test_wide_characters_keep_the_columns_in_place() -> None:
    story = trained(Story(), 2)
    story.say(0, 9.0, "損失 " * 40)
    assert max(map(cell_len, drawn(board_of(story, 20.0), 100, 24).splitlines())) <= 100
