"""What a command does when it is told to stop."""

from __future__ import annotations

import os
import signal
from types import FrameType

from orchestrator.display import cursor
from orchestrator.errors import ExitCode, Interrupted

AGAIN_S = 0.02


def take_signals() -> None:
    """The first Ctrl-C, SIGTERM or SIGHUP winds down, the second leaves at once."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        cursor.restore()
        os._exit(int(ExitCode.INTERRUPTED))

    def wind_down(_signal: int, frame: FrameType | None) -> None:
        if _is_loading(frame):
            signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
            return
        signal.setitimer(signal.ITIMER_REAL, 0)
        for each in taken:
            signal.signal(each, leave)
        raise Interrupted

    taken = [signal.SIGINT, signal.SIGTERM]
    # Under nohup a closed terminal is to change nothing.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        taken.append(signal.SIGHUP)
    for each in (*taken, signal.SIGALRM):
        signal.signal(each, wind_down)


def _is_loading(frame: FrameType | None) -> bool:
    """True while a module is imported or a model built: nothing may be raised into that.

    Python makes a RuntimeError of what comes out of `__set_name__`, and code in C and Rust loses
    it altogether: then nobody would ever learn of the signal.
    """
    while frame is not None:
        file, module = frame.f_code.co_filename, frame.f_globals.get("__name__")
        if file.startswith("<frozen importlib") or str(module).startswith("pydantic."):
            return True
        frame = frame.f_back
    return False
