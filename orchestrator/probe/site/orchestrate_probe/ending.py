"""rank_failed and process_ended: how the process leaves, as far as Python tells it.

An exception that nothing caught is found where the interpreter leaves it for debuggers
(`sys.last_value`), once it has been printed: `sys.excepthook` stays the script's alone, and
whatever it puts there runs as it does without us. That a process exits with a code, is
killed or calls `os._exit` is for its parent to see.
"""

from __future__ import annotations

import atexit
import sys

from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType
    from typing import Any

    from .reporting import Reporter

DRAIN_S = 2.0
MAX_FRAMES = 12
MAX_REASON = 1000


def watch(reporter: Reporter) -> None:
    """Report the end of this process when it comes."""
    ending = _Ending(reporter)
    reporter.on_threading = ending.watch_threads
    # Registered before any of the script's: these run last first.
    atexit.register(ending.finish)


class _Ending:
    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._has_failed = False

    @guarded("threads")
    def watch_threads(self, threading: ModuleType) -> None:
        """See failures of threads, and the main thread's before the others are waited for."""
        before = threading.excepthook

        def excepthook(arguments: Any) -> None:
            self._report_thread(arguments)
            before(arguments)

        threading.excepthook = excepthook  # type: ignore[attr-defined]
        at_shutdown = getattr(threading, "_register_atexit", None)  # from Python 3.9 on
        if at_shutdown is not None:
            at_shutdown(self._report_failure)

    @guarded("end")
    def finish(self) -> None:
        """Say how it ends, and see what was said on its way."""
        self._reporter.on_next = None
        self._reporter.catch_up(DRAIN_S)
        self._report_failure()
        if not self._has_failed:
            self._reporter.send("process_ended", steps=self._reporter.num_steps)
        if self._reporter.speaks:
            self._reporter.channel.drain(DRAIN_S)

    @guarded("failure")
    def _report_failure(self) -> None:
        self._reporter.on_next = None  # an interpreter that ends starts no thread any more
        error = getattr(sys, "last_value", None)
        if error is None or self._has_failed:
            return
        self._has_failed = True
        self._report(error, getattr(sys, "last_traceback", None), "")

    @guarded("thread failure")
    def _report_thread(self, arguments: Any) -> None:
        if not issubclass(arguments.exc_type, SystemExit):
            name = getattr(arguments.thread, "name", None) or "a thread"
            self._report(arguments.exc_value, arguments.exc_traceback, name)

    def _report(self, error: Any, trace: TracebackType | None, thread: str) -> None:
        kind, reason = _name(type(error)), str(error)
        if kind.endswith("ProcessRaisedException"):  # of a child: its own error is the last line
            kind, _, reason = reason.rstrip().rpartition("\n")[2].partition(": ")
        self._reporter.send(
            "rank_failed",
            error_type=kind[:MAX_REASON],
            reason=reason[:MAX_REASON],
            traceback="\n".join(_lines(trace)),
            thread=thread[:100],
        )


def _name(kind: type) -> str:
    plain = kind.__module__ in ("builtins", "__main__")
    return kind.__qualname__ if plain else f"{kind.__module__}.{kind.__qualname__}"


def _lines(trace: TracebackType | None) -> list[str]:
    """The innermost frames, outermost first, as a traceback has them but for the source."""
    lines = []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f'File "{code.co_filename[-160:]}", line {trace.tb_lineno}, in {code.co_name}')
        trace = trace.tb_next
    return lines[-MAX_FRAMES:]
