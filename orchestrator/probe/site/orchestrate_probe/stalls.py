"""stacks: sees from a thread that no step or no join came for too long, and says where it hangs.

It speaks a moment before the check's own deadline, once for each stall, so that the answer
is there when the check fails; and it sends steps that are due but that no further one sends.
The thread is never there while the script forks: it stops before and starts again after,
so that a child has none of its locks to trip over. From Python 3.12 on `os.fork` looks for
threads as the last thing it does, and warns of each: there it starts a little later.
"""

from __future__ import annotations

import gc
import os
import sys
import time
from _thread import allocate_lock, get_ident, start_new_thread

from . import stacks
from .channel import ENV_CHANNEL
from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _thread import LockType
    from typing import Mapping

    from .native import Timer
    from .reporting import Reporter

ENV_JOIN_S = "ORCHESTRATE_PROBE_JOIN_S"
ENV_HANG_S = "ORCHESTRATE_PROBE_HANG_S"

NAP_S = 0.5
STOP_WITHIN_S = 0.02
FORK_WARNS = sys.version_info >= (3, 12)


class Watch:
    """Watches this process's progress from a thread."""

    def __init__(self, reporter: Reporter, timer: Timer, environ: Mapping[str, str]) -> None:
        self._reporter = reporter
        self._timer = timer
        self._join_s = _seconds(environ.get(ENV_JOIN_S, ""))
        self._hang_s = hang_limit_s(environ)
        self._started_s = time.perf_counter() - _node_age_s(environ)
        self._said_for = -1.0  # the progress after which the latest stall was reported
        self._wake = allocate_lock()
        self._gone = allocate_lock()
        self._timer_due_s = 0.0
        self._has_begun = False
        self._has_thread = False
        os.register_at_fork(
            before=self._stop, after_in_parent=self._after_fork, after_in_child=self._drop
        )

    def begin(self) -> None:
        """Start watching, if this is a process that reports and it has not begun."""
        if self._reporter.speaks and not self._has_begun:
            self._has_begun = True
            self._start()

    @guarded("watch")
    def _start(self) -> None:
        if not self._has_begun or self._has_thread:
            return
        self._has_thread = True
        self._wake, self._gone = allocate_lock(), allocate_lock()
        self._wake.acquire()
        self._gone.acquire()
        start_new_thread(self._run, (self._wake, self._gone))

    def _after_fork(self) -> None:
        """In the parent, at once or with the next record, and when garbage is collected.

        Whatever runs Python for long does the latter, also where it comes to no next step.
        """
        if not FORK_WARNS:
            self._start()
            return
        self._reporter.on_next = self._start
        if self._on_garbage not in gc.callbacks:
            gc.callbacks.append(self._on_garbage)

    def _on_garbage(self, _phase: str, _counts: dict[str, int]) -> None:
        if self._reporter.on_next is not None:
            self._reporter.on_next = None
            self._start()

    @guarded("watch")
    def _stop(self) -> None:
        if self._has_thread:
            self._has_thread = False
            self._wake.release()
            self._gone.acquire(timeout=STOP_WITHIN_S)
        self._timer.stop()
        self._timer_due_s = 0.0

    def _drop(self) -> None:
        self._has_begun = False

    def _run(self, wake: LockType, gone: LockType) -> None:
        self._watch(wake)
        gone.release()

    @guarded("stall watch")
    def _watch(self, wake: LockType) -> None:
        nap_s = 0.0
        while not wake.acquire(timeout=nap_s):
            now_s = time.perf_counter()
            self._reporter.look(now_s)
            since_s, deadline_s = self._deadline()
            if now_s >= deadline_s:
                self._report(since_s, now_s)
                deadline_s = float("inf")
            nap_s = min(NAP_S, max(deadline_s - now_s, 0.001))
            self._push_timer(now_s, deadline_s)

    def _deadline(self) -> tuple[float, float]:
        """Since when nothing has moved, and until when something must; never, if that is inf."""
        since_s = max(self._reporter.joined_s, self._reporter.progressed_s)
        limit_s = self._hang_s
        if not since_s:
            since_s, limit_s = self._started_s, self._join_s
        if not limit_s or since_s == self._said_for:
            return since_s, float("inf")
        return since_s, since_s + limit_s - _margin_s(limit_s)

    def _report(self, since_s: float, now_s: float) -> None:
        self._said_for = since_s
        main = self._reporter.main_thread
        if stacks.is_launcher(main):
            return
        call, threads = stacks.of_threads(main, get_ident())
        self._reporter.catch_up()
        self._reporter.send(
            "stacks",
            waited_s=round(now_s - since_s, 3),
            last_step=self._reporter.num_steps,
            call=call,
            threads=threads,
        )

    def _push_timer(self, now_s: float, deadline_s: float) -> None:
        """Have faulthandler speak halfway between our own deadline and the check's.

        With nothing to wait for it stands by as well: the next step may be the one in which
        this thread does not get to run. A timer that is early by no more than half the limit
        is left as it is: each push costs a thread.
        """
        limit_s = self._hang_s or self._join_s
        if not limit_s:
            return
        due_s = min(deadline_s, now_s + NAP_S + limit_s) + _margin_s(limit_s) / 2
        if not now_s + limit_s / 2 < self._timer_due_s <= due_s:
            self._timer_due_s = due_s
            self._timer.push(due_s - now_s)


def hang_limit_s(environ: Mapping[str, str]) -> float:
    """How long a rank may be without a step, as far as this process was told; 0 for no limit."""
    return _seconds(environ.get(ENV_HANG_S, ""))


def _margin_s(limit_s: float) -> float:
    return min(2.0, limit_s / 5)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < float("inf") else 0.0


def _node_age_s(environ: Mapping[str, str]) -> float:
    """How long this node has run: its first process is the one whose output is the channel.

    Deadlines count from there, and a node may do much before it comes to this interpreter.
    """
    parts = environ.get(ENV_CHANNEL, "").split("/")
    if parts[:2] != ["", "proc"] or not parts[2].isdigit():
        return 0.0
    try:
        with open(f"/proc/{parts[2]}/stat", encoding="ascii", errors="replace") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return 0.0
    age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
    return max(age_s, 0.0)
