"""The console in a real terminal: a board that moves, and a screen that is left as it should be.

Nodes are shell scripts on the embedded engine, which wait for the test: nothing depends on who
is quicker.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.conftest import ORCHESTRATE, Desk
from tests.e2e.test_lifecycle import JOINED
from tests.terminal import Terminal

STEP = (
    'echo "{{\\"event\\":\\"step\\",\\"rank\\":$RANK,\\"run_id\\":\\"$ORCHESTRATE_RUN_ID\\",'
    '\\"step\\":{},\\"loss\\":{},\\"step_time_s\\":0.1}}"'
)
STEPS = "; ".join(STEP.format(number, 5 - number / 4) for number in (1, 2, 3))
SAID = ("step step=1 ", "step step=2 ", "step step=3 ", "bye")
CHECKS = "health_checks: [joined, {training: {steps: 2, within: 5m}}, {completed: {within: 5m}}]"


def has_one_rule(columns: int) -> Callable[[list[str]], bool]:
    """Whether there is one board on the screen, of this width."""
    return lambda lines: list(map(len, rules(lines))) == [columns]


@pytest.fixture
def desk(make_desk: Callable[[str], Desk]) -> Desk:
    return make_desk("local")


def write(desk: Desk, then: str = "") -> Path:
    """Have a playbook whose nodes join, do three steps and wait; the file that they wait for."""
    go = desk.folder / "go"
    wait = f"while [ ! -e {go} ]; do sleep 0.1; done"
    desk.write(f"{JOINED}; {STEPS}; {wait}; {then}", health_checks=CHECKS)
    return go


@contextmanager
def terminal(desk: Desk, *args: str, size: tuple[int, int] = (100, 30)) -> Iterator[Terminal]:
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    opened = Terminal([ORCHESTRATE, *args], desk.folder, env | desk.env, size)
    try:
        yield opened
    finally:
        opened.close()


APPLY = ("apply", "--engine", "local", "playbook.yaml")


def trains(lines: list[str]) -> bool:
    """True when the board has both nodes at step 3, and the lines of that are above it."""
    rows = [line.split() for line in lines if " running " in line]
    return [row[:4] for row in rows] == [
        [str(rank), "running", "training", "3"] for rank in (0, 1)
    ] and sum("| step step=3 " in line for line in lines) == 2


def rules(lines: list[str]) -> list[str]:
    """The lines that a board begins with."""
    return [line for line in lines if line.startswith("── ")]


def test_a_board_moves_and_leaves_a_tidy_screen(desk: Desk) -> None:
    go = write(desk, "echo bye from $RANK")
    with terminal(desk, *APPLY) as shown:
        screen = shown.wait_for(trains)
        board = screen[screen.index(rules(screen)[0]) :]
        assert [line.split()[:2] for line in board[4:8]] == [
            *(["✓", "alive"], ["✓", "joined"], ["✓", "training"], ["·", "completed"]),
        ]
        assert "left" in board[7]
        assert not shown.is_cursor_shown
        for columns in (120, 90):
            shown.resize(columns, 30)
            shown.wait_for(has_one_rule(columns))
        go.touch()
        assert shown.finish() == 0
        lines = [line for line in shown.scrolled if line]
        assert sum(line.startswith("RECAP") for line in lines) == 1
        assert [line.split()[:3] for line in lines if " exited 0 " in line] == [
            ["0", "exited", "0"],
            ["1", "exited", "0"],
        ]
        assert (len(rules(lines)), shown.is_cursor_shown, shown.was_cleared) == (1, True, False)
    for rank in (0, 1):
        assert [shown.written.count(f"rank {rank} |\x1b[0m {text}".encode()) for text in SAID] == [
            *(1, 1, 1, 1),
        ]


def press_ctrl_c(shown: Terminal) -> None:
    shown.type(b"\x03")


def terminate(shown: Terminal) -> None:
    shown.send_signal(signal.SIGTERM)


@pytest.mark.parametrize("interrupt", [press_ctrl_c, terminate])
def test_interrupted_it_leaves_the_terminal_as_it_was(
    interrupt: Callable[[Terminal], None], desk: Desk
) -> None:
    write(desk)
    with terminal(desk, *APPLY) as shown:
        shown.wait_for(trains)
        interrupt(shown)
        assert shown.finish() == 130
        lines = [line for line in shown.scrolled if line]
        assert any("interrupted" in line for line in lines)
        assert len(rules(lines)) == 1
        assert (shown.is_cursor_shown, shown.was_cleared) == (True, False)


def test_a_run_that_fails_says_why_below_the_board(desk: Desk) -> None:
    go = write(desk, "exit $((RANK * 3))")
    with terminal(desk, *APPLY) as shown:
        shown.wait_for(trains)
        go.touch()
        assert shown.finish() == 1
        lines = [line for line in shown.scrolled if line]
        assert [
            line.split()[:4] for line in lines if " failed " in line and " exited 3 " in line
        ] == [["1", "exited", "3", "failed"]]
        assert sum(line.startswith("RECAP") for line in lines) == 1
        assert (len(rules(lines)), shown.is_cursor_shown) == (1, True)


def test_on_request_there_are_lines_alone(desk: Desk) -> None:
    write(desk).touch()
    with terminal(desk, *APPLY, "--plain", "--no-follow") as shown:
        assert shown.finish() == 0
        assert (rules(shown.scrolled), b"\x1b[?25l" in shown.written) == ([], False)
        assert not any("| step" in line for line in shown.scrolled)


def test_a_run_started_elsewhere_is_watched_to_its_end(desk: Desk) -> None:
    go = write(desk)
    assert desk.apply("--detach").code == 0
    with terminal(desk, "status", "--watch", desk.project) as shown:
        screen = shown.wait_for(lambda lines: [line for line in lines if " training " in line][1:])
        assert len(rules(screen)) == 1
        go.touch()
        assert shown.finish() == 0
        lines = [line for line in shown.scrolled if line]
        ended = "ok:      check completed: 2 nodes ended with 0"
        assert lines.index("CHECKS") < max(
            number for number, line in enumerate(lines) if line.startswith(ended)
        )
        assert (len(rules(lines)), shown.is_cursor_shown, shown.was_cleared) == (1, True, False)


def test_watching_ends_with_ctrl_c_and_the_run_goes_on(desk: Desk) -> None:
    go = write(desk)
    assert desk.apply("--detach").code == 0
    with terminal(desk, "status", "--watch", desk.project) as shown:
        shown.wait_for(rules)
        press_ctrl_c(shown)
        assert (shown.finish(), shown.is_cursor_shown) == (130, True)
    assert desk.run("status", "--engine", "local", desk.project).out.count("running for") == 2
    go.touch()
