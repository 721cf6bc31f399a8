"""Stacks from faulthandler, which writes them without the interpreter's help.

Two uses: on SIGUSR2, for whoever wants to look; and after a time, for a process whose
interpreter does not get to run (a library that hangs while it holds the interpreter's
lock), where no thread of ours could tell. There is one timer in a process: once a script
has touched it, it is the script's.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # `signal` loads `enum` and `re`
import faulthandler

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .reporting import Reporter


def begin(reporter: Reporter) -> Timer:
    """Take what faulthandler has, as far as this process reports and nobody else uses it."""
    if reporter.speaks:
        _dump_on_signal(reporter.channel.fd)
    return Timer(reporter.channel.fd)


class Timer:
    """The process's one faulthandler timer, as long as the script does not use it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._start = faulthandler.dump_traceback_later
        self._stop = faulthandler.cancel_dump_traceback_later
        self._is_ours = fd >= 0
        self._is_running = False
        faulthandler.dump_traceback_later = self._handed_over(self._start)
        faulthandler.cancel_dump_traceback_later = self._handed_over(self._stop)

    def _handed_over(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self._is_ours = False
            return original(*args, **kwargs)

        call.__name__ = call.__qualname__ = original.__name__
        call.__doc__ = original.__doc__
        return call

    def push(self, after_s: float) -> None:
        """Have all stacks written after that time, unless it is pushed again before."""
        if self._is_ours and after_s > 0:
            self._start(after_s, file=self._fd)
            self._is_running = True

    def stop(self) -> None:
        """Stop it, if it runs and is not the script's by now."""
        if self._is_ours and self._is_running:
            self._is_running = False
            self._stop()


def _dump_on_signal(fd: int) -> None:
    """Write all stacks on SIGUSR2, where that would have ended the process."""
    if fd >= 0 and _signal.getsignal(_signal.SIGUSR2) == _signal.SIG_DFL:
        faulthandler.register(_signal.SIGUSR2, file=fd, all_threads=True, chain=False)
