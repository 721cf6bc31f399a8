"""A board on a terminal: what is on the screen in the end, whenever it was drawn."""

from __future__ import annotations

import io
import os
import re
import signal
import sys
from collections.abc import Iterator

import pyte
import pytest

from orchestrator import redaction
from orchestrator.display import cursor
from orchestrator.display.board.live import MAX_WAITING, LiveBoard
from orchestrator.display.console import Console
from orchestrator.display.suiting import can_show_board
from orchestrator.events import (
    ActionDone,
    ActionProgressed,
    ActionStarted,
    AttemptBegan,
    AttemptJudged,
    NodeSpoke,
    PlanMade,
    StillWaiting,
)
from orchestrator.loglines import LogLine
from orchestrator.plans.plan import BuildImage, Plan
from orchestrator.state.desired import ImageSpec
from tests.unit.board.boards import look_at, trained
from tests.unit.verify.story import Story

COLUMNS, LINES = 80, 30
NO_COMMAND = 1_000_000
"""No file is open under this number: what is written there by a signal handler goes nowhere."""


class Pane(io.StringIO):
    """A terminal whose screen can be looked at."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return NO_COMMAND

    @property
    def screen(self) -> list[str]:
        """What is on it, up to the last line that is not blank."""
        shown = pyte.HistoryScreen(COLUMNS, LINES, history=20_000)
        pyte.Stream(shown).feed(self.getvalue().replace("\n", "\r\n"))
        past = ["".join(line[at].data for at in range(COLUMNS)) for line in shown.history.top]
        return "\n".join(line.rstrip() for line in [*past, *shown.display]).rstrip().split("\n")


@pytest.fixture(autouse=True)
def _a_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": str(LINES)}.items():
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "CI"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert cursor._hidden_on == []


def untimed(lines: list[str]) -> list[str]:
    """Without how long things took."""
    return [re.sub(r"\d+(\.\d)? s\b", "N s", line) for line in lines]


STORY = trained(Story(), 12)
NODES = [
    "── pair on docker · run run-1 ──────────────────────────────────────────────────",
    " rank  state     phase         step    loss   tok/s  step time",
    " 0     running   training        12  4.0000   5.01k     100 ms  ▄▄▄▄▄▇▄▄",
    " 1     running   training        12  4.0000   5.01k     100 ms  ▄▄▄▄▄▇▄▄",
]


def test_lines_are_above_and_the_nodes_stay_below() -> None:
    pane = Pane()
    board = LiveBoard(pane, "pair on docker")
    board.start()
    board.say("first")
    board.look(look_at(STORY, 20.0))
    board.say_log(10.2, "rank 1 | third")
    board.say_log(10.1, "rank 0 | second")
    board.say("fourth")
    board.stop()
    assert pane.screen == ["first", "rank 0 | second", "rank 1 | third", "fourth", *NODES]


def test_the_screen_is_never_cleared_and_the_cursor_is_there_again() -> None:
    pane = Pane()
    board = LiveBoard(pane, "pair on docker")
    board.start()
    board.look(look_at(STORY, 20.0))
    board.say("\x1b[33mchanged: \x1b[0mthis")
    board.stop()
    written = pane.getvalue()
    assert not re.search(r"\x1b\[[23]J|\x1b\[H|\x1bc|\x1b\[\?(1049|47)h", written)
    assert written.rfind("\x1b[?25h") > written.rfind("\x1b[?25l") >= 0
    assert "\x1b[33mchanged: \x1b[0mthis" in written


def test_each_write_is_shown_at_once() -> None:
    writes: list[str] = []

    class Slow(Pane):
        def write(self, text: str) -> int:
            writes.append(text)
            return super().write(text)

    board = LiveBoard(Slow(), "pair on docker")
    board.start()
    board.look(look_at(STORY, 20.0))
    board.say("a line")
    board.stop()
    assert all(re.fullmatch(r"(?s)\x1b\[\?2026h.*\x1b\[\?2026l", text) for text in writes)


def test_a_flood_of_lines_comes_whole_and_in_order() -> None:
    pane = Pane()
    board = LiveBoard(pane, "pair on docker")
    board.start()
    told = [f"line {number}" for number in range(3 * MAX_WAITING)]
    for line in told:
        board.say(line)
    board.stop()
    shown = [line for line in pane.getvalue().replace("\x1b[2K", "").splitlines() if "line" in line]
    assert [re.sub(r".*(line \d+)$", r"\1", line) for line in shown] == told


def test_a_long_line_is_left_to_the_terminal_to_wrap() -> None:
    pane = Pane()
    board = LiveBoard(pane, "pair on docker")
    board.start()
    board.look(look_at(STORY, 20.0))
    board.say("x" * 200)
    board.stop()
    assert pane.screen == ["x" * 80, "x" * 80, "x" * 40, *NODES]


class Gone(Pane):
    """A terminal that was closed."""

    def write(self, text: str) -> int:
        if "a line" in text:
            raise OSError(5, "Input/output error")
        return super().write(text)


def test_a_terminal_that_is_gone_ends_nothing() -> None:
    board = LiveBoard(Gone(), "pair on docker")
    board.start()
    board.say("a line")
    board.look(look_at(STORY, 20.0))
    board.stop()


class Reflowing(Pane):
    """A terminal that wraps its lines anew when it becomes narrower, as most do."""

    def __init__(self) -> None:
        super().__init__()
        self._shown = pyte.HistoryScreen(COLUMNS, LINES, history=20_000)
        self._stream = pyte.Stream(self._shown)

    def write(self, text: str) -> int:
        self._stream.feed(text.replace("\n", "\r\n"))
        return super().write(text)

    def narrow(self, columns: int) -> None:
        """Wrap what is on the screen, and leave the cursor behind the last character."""
        lines = self.screen
        self._shown = pyte.HistoryScreen(columns, LINES, history=20_000)
        self._stream = pyte.Stream(self._shown)
        self._stream.feed("\r\n".join(lines))

    @property
    def screen(self) -> list[str]:
        lines = [line.rstrip() for line in self._shown.display]
        return lines[: self._shown.cursor.y + 1]


def test_a_terminal_that_becomes_narrower_keeps_no_pieces_of_the_board(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    size = os.terminal_size((COLUMNS, LINES))
    for name in ("COLUMNS", "LINES"):
        monkeypatch.delenv(name)
    monkeypatch.setattr(os, "get_terminal_size", lambda *_: size)
    pane = Reflowing()
    board = LiveBoard(pane, "pair on docker")
    board.look(look_at(STORY, 20.0))
    board.say("a line")
    board._draw(board._take_lines())  # as its thread does, but when we want it
    board._live.start()
    board._draw([])
    assert pane.screen.count("a line") == 1
    size = os.terminal_size((50, LINES))
    pane.narrow(50)
    board._draw([])
    board._live.stop()
    rules = [line for line in pane.screen if "──" in line]
    assert ([len(line) for line in rules], pane.screen[0]) == ([50], "a line")


def test_after_ctrl_z_it_goes_on_below_what_the_shell_has_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pane = Pane()
    while_stopped: list[bool] = []

    def shell(_pid: int, number: int) -> None:
        # It shows its prompt and takes a command, then lets the program go on.
        assert (number, signal.getsignal(number)) == (signal.SIGTSTP, signal.SIG_DFL)
        while_stopped.append(cursor._hidden_on == [NO_COMMAND])
        pane.write("$ fg\n")

    board = LiveBoard(pane, "pair on docker")
    board.look(look_at(STORY, 20.0))
    board._live.start()  # its thread would not stop with it here, so it is left out
    board._draw([])
    monkeypatch.setattr(os, "kill", shell)
    cursor.hide_until_shown(NO_COMMAND)
    board._suspend(signal.SIGTSTP, None)
    assert signal.getsignal(signal.SIGTSTP) == board._suspend
    board._draw(["a line"])
    board.stop()
    at = pane.screen.index("a line")
    assert any("$ fg" in line for line in pane.screen[:at])
    assert (pane.screen[at + 1 :], while_stopped) == (NODES, [True])
    assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
    written = pane.getvalue()
    assert written.rfind("\x1b[?25l") > written.rfind("$ fg")


# -- as the console has it -------------------------------------------------------

IMAGE = BuildImage(ImageSpec("app:1"), "not there yet")


def test_an_apply_with_a_board() -> None:
    pane = Pane()
    console = Console(pane)
    with console.board("pair on docker"):
        console.tell(PlanMade(Plan("pair", image=IMAGE)))
        console.tell(ActionStarted(IMAGE))
        console.tell(ActionProgressed(IMAGE, "Step 1/2 : RUN make"))
        console.tell(ActionDone(IMAGE, 1.0))
        run = look_at(STORY, 20.0).run
        console.tell(AttemptBegan(run.nodes))
        console.look(look_at(STORY, 20.0))
        console.tell(StillWaiting((), 2.0))
        console.tell(NodeSpoke("pair-node-0", LogLine(0, 1000.0, b"hello\x1b[2J")))
        console.tell(AttemptJudged((), run.nodes, 1020.0))
    console.say("CHECKS")
    plan = "Plan: 1 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be."
    assert untimed(pane.screen) == [
        "PLAN",
        " +  image app:1  (not there yet)",
        plan,
        "changed: build image app:1  N s",
        "rank 0 | hello\\x1b[2J",
        *NODES,
        "CHECKS",
    ]


def test_an_apply_that_changes_nothing_has_no_board() -> None:
    pane = Pane()
    console = Console(pane)
    with console.board("pair on docker"):
        console.tell(PlanMade(Plan("pair")))
    assert "\x1b[?25l" not in pane.getvalue()


def test_an_error_takes_the_board_down() -> None:
    pane = Pane()
    console = Console(pane)

    def fail() -> None:
        with console.board("pair on docker"):
            console.tell(ActionStarted(IMAGE))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    console.say("after")
    assert pane.screen[-1] == "after"
    assert pane.getvalue().rstrip().endswith("after")


def test_logs_are_left_out_on_request() -> None:
    pane = Pane()
    console = Console(pane)
    console.shows_logs = False
    with console.board("pair on docker"):
        console.tell(AttemptBegan(STORY.at(1.0).nodes))
        console.tell(NodeSpoke("pair-node-0", LogLine(0, 1000.0, b"hello")))
    assert "hello" not in pane.getvalue()


def test_errors_are_printed_above_the_board(monkeypatch: pytest.MonkeyPatch) -> None:
    pane, error = Pane(), Pane()
    monkeypatch.setattr(sys, "stderr", error)
    console = Console(pane)
    with console.board("pair on docker"):
        console.tell(AttemptBegan(STORY.at(1.0).nodes))
        console.say_error("it broke")
    assert ("it broke" in pane.screen, error.getvalue()) == (True, "")


def test_secrets_are_hidden_in_lines_above_it() -> None:
    redaction.learn([b"hunter2hunter2"])
    pane = Pane()
    console = Console(pane)
    with console.board("pair on docker"):
        console.tell(AttemptBegan(STORY.at(1.0).nodes))
        console.tell(NodeSpoke("pair-node-0", LogLine(0, 1000.0, b"is hunter2hunter2")))
        console.say("and hunter2hunter2")
    assert "hunter2" not in pane.getvalue()
    assert pane.screen[:2] == ["rank 0 | is ***", "and ***"]


GOOD = {"TERM": "xterm-256color"}


@pytest.mark.parametrize(
    ("environ", "encoding", "is_terminal", "shows"),
    [
        (GOOD, "utf-8", True, True),
        (GOOD, "UTF-8", True, True),
        (GOOD | {"CI": "false", "NO_COLOR": ""}, "utf-8", True, True),
        (GOOD, "utf-8", False, False),
        (GOOD, "ascii", True, False),
        ({}, "utf-8", True, False),
        ({"TERM": "dumb"}, "utf-8", True, False),
        (GOOD | {"NO_COLOR": "1"}, "utf-8", True, False),
        (GOOD | {"CI": "true"}, "utf-8", True, False),
    ],
)
def test_where_a_board_can_be_shown(
    environ: dict[str, str], encoding: str, is_terminal: bool, shows: bool
) -> None:
    class Out(Pane):
        def isatty(self) -> bool:
            return is_terminal

    out = Out()
    out.encoding = encoding
    assert can_show_board(out, environ) is shows


def test_who_leaves_at_once_shows_the_cursor() -> None:
    reader, writer = os.pipe()
    cursor.restore()
    cursor.hide_until_shown(writer)
    cursor.restore()
    cursor.is_shown(writer)
    cursor.restore()
    os.close(writer)
    assert os.read(reader, 100) == b"\r\n\x1b[?25h"
    os.close(reader)
