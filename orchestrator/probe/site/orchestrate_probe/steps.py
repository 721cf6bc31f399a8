"""step: counts training steps by what optimizers do, and how long each took.

A step of training is counted when an optimizer steps that has stepped since the last count.
So a model with two optimizers, or one optimizer for each parameter, makes one step an
iteration; where one of several steps more often than the others, its steps are counted.
"""

from __future__ import annotations

import os
from _thread import allocate_lock, get_ident
from time import clock_gettime, perf_counter, pthread_getcpuclockid

from . import gpu, parameters
from .cadence import pause_s
from .channel import moved_up
from .guarding import guarded
from .stalls import hang_limit_s

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .reporting import Reporter

ENV_CHECKSUM = "ORCHESTRATE_PROBE_CHECKSUM"
MAX_BATCH = 250
"""Of the steps of one record, so many of the latest have their duration told."""
MAX_OPTIMIZERS = 100_000


def hook(optimizer: ModuleType, reporter: Reporter) -> None:
    """Count from now on what any optimizer does."""
    register = getattr(optimizer, "register_optimizer_step_post_hook", None)  # from torch 2.1 on
    if register is None:
        raise RuntimeError("this torch has no hook for all optimizers: steps are not seen")
    sums_up = os.environ.get(ENV_CHECKSUM) == "1"
    register(Steps(reporter, hang_s=hang_limit_s(os.environ), sums_up=sums_up).stepped)


class Steps:
    """Counts steps, and reports them in batches.

    The stepping thread appends to `_stamps`, whoever flushes takes from its front: a list's
    own operations are whole, so the two need no lock between them.
    """

    def __init__(self, reporter: Reporter, *, hang_s: float = 0.0, sums_up: bool = False) -> None:
        self._reporter = reporter
        self._hang_s = hang_s
        self._sums_up = sums_up
        self._reset()
        reporter.flush = self.flush
        reporter.look = self.look
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._only = -1  # the one optimizer of this iteration so far
        self._seen: set[int] = set()
        self._stamps: list[float] = []  # when steps were counted that are not reported yet
        self._due_s = 0.0  # from when on a step is reported at once
        self._first_s = 0.0  # the first step
        self._last_s = 0.0  # the latest step that was reported
        self._work = Work()
        self._lock = allocate_lock()
        self._asks_gpu = gpu.is_given()

    def stepped(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        """Take note that an optimizer has stepped. Mostly these lines are all that it costs."""
        now_s = perf_counter()
        if id(optimizer) == self._only and now_s < self._due_s:
            self._stamps.append(now_s)
        else:
            self._look_closer(optimizer, now_s)

    # torch.compile reads hooks as part of what it compiles, and warns of clocks in there.
    stepped._torchdynamo_disable = True  # type: ignore[attr-defined]

    @guarded("step")
    def _look_closer(self, optimizer: Any, now_s: float) -> None:
        ident = id(optimizer)
        if self._seen and ident not in self._seen and len(self._seen) < MAX_OPTIMIZERS:
            self._seen.add(ident)
            self._only = -1
            self._reporter.progressed_s = now_s
            return
        # With checksums to take, every step is looked at closely.
        self._seen, self._only = {ident}, -1 if self._sums_up else ident
        self._stamps.append(now_s)
        self._work.follow()
        if now_s >= self._due_s:
            self.flush(0.0)
            if self._asks_gpu:
                self._tell_gpu()
        if self._sums_up:
            self._sum_up(optimizer)

    @guarded("gpu")
    def _tell_gpu(self) -> None:
        """Say which GPU the thread that steps uses: as it joined, it may have chosen none yet."""
        reporter, uuid = self._reporter, gpu.in_use()
        if uuid and reporter.rank is not None:
            self._asks_gpu = False
            if uuid != reporter.gpu:
                reporter.gpu = uuid
                reporter.send("gpu_used", gpu=uuid)

    @guarded("checksum")
    def _sum_up(self, optimizer: Any) -> None:
        reporter = self._reporter
        with self._lock:  # else a step may be neither among the reported nor among the others
            step = reporter.num_steps + len(self._stamps)
        if reporter.rank is None or not parameters.is_due(step):
            return
        checksum, num_parameters = parameters.checksum(optimizer)
        if num_parameters:
            fields = {"checksum": checksum, "num_parameters": num_parameters}
            reporter.send("parameters", step=step, **fields)

    def look(self, now_s: float) -> None:
        """What the watch's thread does: report steps that no further one comes to report."""
        for latest_s in self._stamps[-1:]:
            self._reporter.progressed_s = latest_s
            if now_s >= self._due_s:
                self.flush(0.0)

    def flush(self, wait_s: float) -> None:
        """Report what was counted since the last time, due or not.

        Whoever finds the other one at it leaves it to that, or waits for it so long.
        """
        if self._stamps and self._lock.acquire(wait_s > 0, wait_s or -1):
            try:
                self._report()
            finally:
                self._lock.release()

    def _report(self) -> None:
        stamps = self._stamps[:]
        del self._stamps[: len(stamps)]
        latest_s, before_s, self._last_s = stamps[-1], self._last_s, stamps[-1]
        self._first_s = self._first_s or stamps[0]
        self._due_s = latest_s + pause_s(latest_s - self._first_s, self._hang_s)
        reporter = self._reporter
        reporter.num_steps += len(stamps)
        reporter.progressed_s = latest_s
        worked_s = self._work.since_last()
        if reporter.rank is None:
            return
        if before_s:
            share = min(worked_s / max(latest_s - before_s, 1e-9), 1.0)
            times_us = _durations_us([before_s, *stamps])
            fields = {"times_us": times_us, "busy_share": round(share, 4)}
        else:  # when the first step began is not known
            fields = {"times_us": _durations_us(stamps)}
        reporter.send("step", step=reporter.num_steps, **fields)


def _durations_us(ends: list[float]) -> list[int]:
    latest = ends[-MAX_BATCH - 1 :]
    return [int((end - begin) * 1e6 + 0.5) for begin, end in zip(latest, latest[1:])]


class Work:
    """How long the thread that steps has been at work, or in line for a processor.

    A thread that a limit on the node's processors holds back is in line, for which the
    kernel keeps an account (`schedstat`); one that waits for its peers is not. It is asked
    once a record, and what it says shared out among the steps of that record.
    """

    def __init__(self) -> None:
        self._thread = 0
        self._clock = 0
        self._file = -1
        self._last_s = 0.0

    def follow(self) -> None:
        """Look at this thread from now on."""
        if self._thread == get_ident():
            return
        self._thread = get_ident()
        self._clock = pthread_getcpuclockid(self._thread)
        if self._file >= 0:
            os.close(self._file)
        try:
            self._file = moved_up(os.open("/proc/thread-self/schedstat", os.O_RDONLY))
        except OSError:  # a kernel that keeps none
            self._file = -1

    def since_last(self) -> float:
        """Seconds since this was last asked, from whatever thread; of no use the first time."""
        total_s = clock_gettime(self._clock) + self._in_line_s()
        passed_s, self._last_s = total_s - self._last_s, total_s
        return max(passed_s, 0.0)

    def _in_line_s(self) -> float:
        # The first field, time at work, lags by a tick of the kernel; the clock does not.
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9 if self._file >= 0 else 0.0
