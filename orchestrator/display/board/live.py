"""Keeps a board at the foot of a terminal, and prints lines above it.

Whoever tells it something only leaves it in memory: one thread writes, at most five times a
second and each time in one piece, so that a flood of lines costs no more than that and
nothing is ever seen half drawn.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from math import ceil
from types import FrameType
from typing import TYPE_CHECKING, TextIO, cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.control import Control
from rich.live import Live
from rich.segment import ControlType, Segment

from orchestrator.display import cursor
from orchestrator.display.board.model import Board, after, seen
from orchestrator.display.board.render import Frame, render
from orchestrator.display.merge import Merger
from orchestrator.events import AttemptJudged, Event

if TYPE_CHECKING:
    from orchestrator.watch import Look

REFRESH_S = 0.2
LOOK_S = 0.15
"""How often the run is looked at, at most: it is judged far more often."""

MAX_WAITING = 5_000
"""Lines that were told and not yet printed; a node that is faster waits for the terminal."""

BEGIN_UPDATE, END_UPDATE = "\x1b[?2026h", "\x1b[?2026l"
"""What is between these a terminal shows at once; one that does not know them ignores them."""


class LiveBoard:
    """A board from `start` to `stop`. Its `tell` is a `Sink`, its `look` an `OnLook`.

    Args:
        out: the terminal.
        title: what runs.
        clock: seconds since the epoch.
    """

    def __init__(self, out: TextIO, title: str, clock: Callable[[], float] = time.time) -> None:
        self._out = out
        self._clock = clock
        self._board = Board(title, clock())
        self._is_last = False
        self._look: Look | None = None
        self._looked_at_s = 0.0
        self._logs: Merger[str] = Merger()
        self._lines: list[str] = []
        self._lock = threading.Condition()
        self._stopping = threading.Event()
        self._failure: Exception | None = None
        self._was_suspended = False
        self._console = Console(
            file=cast("TextIO", _InOnePiece(out)), highlight=False, emoji=False, markup=False
        )
        self._foot = _Foot(self)
        self._live = Live(
            self._foot,
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._thread = threading.Thread(target=self._keep_drawing, name="board", daemon=True)

    def start(self) -> None:
        """Draw it, and go on drawing."""
        cursor.hide_until_shown(self._out.fileno())
        if _may_take(signal.SIG_DFL):
            signal.signal(signal.SIGTSTP, self._suspend)
        self._live.start()
        self._thread.start()

    def stop(self) -> None:
        """Print what is left and leave the nodes as they are now; the cursor is there again."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(OSError):  # the terminal may be gone
            self._is_last = True
            self._draw(self._take_lines(everything=True))
            self._live.stop()
        cursor.is_shown(self._out.fileno())
        if _may_take(self._suspend):
            signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        if self._failure is not None and not isinstance(self._failure, OSError):
            raise self._failure

    def _suspend(self, _signal: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: give the shell its cursor, stop, and go on below what it has written since."""
        cursor.restore()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._suspend)
        self._was_suspended = True

    # -- what is told ------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Take one event."""
        with self._lock:
            self._board = after(self._board, event, self._clock())
            if isinstance(event, AttemptJudged) and self._look is not None:
                self._board = seen(self._board, self._look)  # its facts are the last ones now

    def look(self, look: Look) -> None:
        """Take a moment of the run."""
        self._look, now_s = look, self._clock()
        if now_s - self._looked_at_s >= LOOK_S:
            self._looked_at_s = now_s
            with self._lock:
                self._board = seen(self._board, look)

    def say(self, text: str) -> None:
        """Print a line above the board, after all that nodes have written so far."""
        with self._lock:
            self._wait_for_room()
            if self._failure is None:
                self._lines += [*self._logs.take_all(), text]

    def say_log(self, at_s: float, text: str) -> None:
        """Print what a node wrote above the board, in the order of its time among such lines."""
        with self._lock:
            self._wait_for_room()
            if self._failure is None:  # or nobody would ever take them
                self._logs.add(at_s, text, time.monotonic())

    def _wait_for_room(self) -> None:
        self._lock.wait_for(
            lambda: self._num_waiting < MAX_WAITING or not self._thread.is_alive(), timeout=5.0
        )

    @property
    def _num_waiting(self) -> int:
        return len(self._lines) + self._logs.num_held

    # -- what is drawn -----------------------------------------------------------

    def frame(self, width: int, height: int) -> tuple[Board, Frame]:
        """What is to be drawn now, in a terminal of this size."""
        with self._lock:
            return self._board, Frame(width, height, self._clock(), self._is_last)

    def _keep_drawing(self) -> None:
        try:
            while not self._stopping.wait(REFRESH_S):
                self._draw(self._take_lines())
        except Exception as exc:  # noqa: BLE001  (told by who stops it; lines go on being taken)
            self._failure = exc

    def _take_lines(self, *, everything: bool = False) -> list[str]:
        with self._lock:
            logs = self._logs.take_all() if everything else self._logs.take(time.monotonic())
            lines, self._lines = [*self._lines, *logs], []
            self._lock.notify_all()
        return lines

    def _draw(self, lines: list[str]) -> None:
        """Print these lines where the board is, and the board below them: one write."""
        if self._was_suspended:
            self._make_room()
        elif not lines and self._foot.is_up_to_date(self._console):
            return
        with self._console:
            if num_rows := self._foot.num_rows_wrapped(self._console.width):
                erased = (ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_UP, 1)
                self._console.control(Control(ControlType.CARRIAGE_RETURN, *(erased * num_rows)))
            if lines:
                self._console.print(_Lines(lines), soft_wrap=True)
            else:
                self._live.refresh()

    def _make_room(self) -> None:
        """Go down as far as the board is high: what is drawn over must not be the shell's lines."""
        self._was_suspended = False
        self._out.write("\n" * self._foot.height)
        self._console.show_cursor(False)


def _may_take(handler: object) -> bool:
    """True where Ctrl-Z is dealt with like that now, in the one thread that may change it."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and signal.getsignal(signal.SIGTSTP) == handler


class _Foot:
    """The board as rich draws it; remembers what it has drawn."""

    def __init__(self, live: LiveBoard) -> None:
        self._live = live
        self._shown: tuple[object, ...] = ()
        self._cells: list[int] = []

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        board, frame = self._live.frame(console.width, console.height)
        self._shown = _what_shows(board, frame)
        drawn = render(board, frame)
        self._cells = [cell_len(str(line)) for line in drawn.renderables]
        yield drawn

    @property
    def height(self) -> int:
        """Of what was drawn last, in lines."""
        return len(self._cells)

    def is_up_to_date(self, console: Console) -> bool:
        """True when drawing it again would change nothing."""
        return self._shown == _what_shows(*self._live.frame(console.width, console.height))

    def num_rows_wrapped(self, width: int) -> int:
        """How many rows more it takes since the terminal became narrower and wrapped its lines."""
        return sum(max(ceil(cells / width), 1) - 1 for cells in self._cells)


def _what_shows(board: Board, frame: Frame) -> tuple[object, ...]:
    """All that makes a difference: time goes by in seconds, faster where something spins."""
    now = int(frame.now_s / REFRESH_S) if board.tasks else int(frame.now_s)
    return board, frame.width, frame.height, frame.is_last, now


class _Lines:
    """Lines that have their colours in them already, as they are."""

    def __init__(self, lines: Iterable[str]) -> None:
        self._lines = lines

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from (Segment(f"{line}\n") for line in self._lines)


class _InOnePiece:
    """A terminal that shows each write as a whole."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self.encoding = out.encoding

    def write(self, text: str) -> int:
        """Write and mark where it begins and ends."""
        return self._out.write(f"{BEGIN_UPDATE}{text}{END_UPDATE}")

    def flush(self) -> None:
        """Have it shown."""
        self._out.flush()

    def isatty(self) -> bool:
        """It is a terminal, or there would be no board."""
        return True

    def fileno(self) -> int:
        """Of the terminal."""
        return self._out.fileno()
