"""What a command does when it is told to stop."""

from __future__ import annotations

import os
import signal
from types import FrameType

from orchestrator.display import cursor
from orchestrator.errors import ExitCode, Interrupted


def take_signals() -> None:
    """The first Ctrl-C, SIGTERM or SIGHUP winds down, the second leaves at once."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        cursor.restore()
        os._exit(int(ExitCode.INTERRUPTED))

    def wind_down(_signal: int, _frame: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, leave)
        raise Interrupted

    taken = [signal.SIGINT, signal.SIGTERM]
    # Under nohup a closed terminal is to change nothing.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        taken.append(signal.SIGHUP)
    for each in taken:
        signal.signal(each, wind_down)
