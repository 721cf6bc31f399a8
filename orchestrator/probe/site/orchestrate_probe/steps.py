"""step: counts training steps by what optimizers do, and how long each took.

A step of training is counted when an optimizer steps that has stepped since the last count.
So a model with two optimizers, or one optimizer for each parameter, makes one step an
iteration; where one of several steps more often than the others, its steps are counted.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, get_ident

from . import parameters
from .channel import moved_up
from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .reporting import Reporter

ENV_CHECKSUM = "ORCHESTRATE_PROBE_CHECKSUM"
EVERY_S = 0.1
"""Records come no faster than this; what is between is summed up."""

MAX_BATCH = 100
MAX_OPTIMIZERS = 100_000


def hook(optimizer: ModuleType, reporter: Reporter) -> None:
    """Count from now on what any optimizer does."""
    register = getattr(optimizer, "register_optimizer_step_post_hook", None)  # from torch 2.1 on
    if register is None:
        raise RuntimeError("this torch has no hook for all optimizers: steps are not seen")
    steps = Steps(reporter)
    steps.sums_up = os.environ.get(ENV_CHECKSUM) == "1"
    register(steps.stepped)


class Steps:
    """Counts steps, and reports them in batches."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = allocate_lock()
        self._work = Work()
        self.sums_up = False  # whether checksums over the parameters are wanted
        self._reset()
        reporter.flush = self.flush
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._seen: set[int] = set()
        self._batch: list[tuple[float, float]] = []  # how long each step took, and was busy
        self._last_s = 0.0  # when the last step was counted
        self._reported_s = float("-inf")
        self._num_reported = 0
        self._lock = allocate_lock()

    @guarded("step")
    def stepped(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        """Take note that an optimizer has stepped. This is all that a step costs."""
        now_s = time.perf_counter()
        self._reporter.progressed_s = now_s
        if self._seen and id(optimizer) not in self._seen and len(self._seen) < MAX_OPTIMIZERS:
            self._seen.add(id(optimizer))
            return
        self._seen = {id(optimizer)}
        with self._lock:
            self._count(now_s)
        if now_s - self._reported_s >= EVERY_S:
            self.flush()
        if self.sums_up and parameters.is_due(self._reporter.num_steps):
            self._sum_up(optimizer)

    # torch.compile reads hooks as part of what it compiles, and warns of clocks in there.
    stepped._torchdynamo_disable = True  # type: ignore[attr-defined]

    @guarded("checksum")
    def _sum_up(self, optimizer: Any) -> None:
        reporter = self._reporter
        checksum, num_parameters = parameters.checksum(optimizer)
        if num_parameters and reporter.rank is not None:
            fields = {"checksum": checksum, "num_parameters": num_parameters}
            reporter.send("parameters", step=reporter.num_steps, **fields)

    def _count(self, now_s: float) -> None:
        self._reporter.num_steps += 1
        busy_s = self._work.since_last()
        if self._last_s:
            took_s = now_s - self._last_s
            del self._batch[: max(len(self._batch) - MAX_BATCH + 1, 0)]
            self._batch.append((round(took_s, 6), round(min(busy_s, took_s), 6)))
        self._last_s = now_s

    def flush(self) -> None:
        """Report what was counted since the last time. The watch's thread does so as well."""
        if not self._lock.acquire(False):
            return
        try:
            step, batch = self._reporter.num_steps, self._batch
            if step == self._num_reported or self._reporter.rank is None:
                return
            self._num_reported, self._reported_s, self._batch = step, self._last_s, []
        finally:
            self._lock.release()
        times_s, busy_s = [took for took, _ in batch], [busy for _, busy in batch]
        self._reporter.send("step", step=step, times_s=times_s, busy_s=busy_s)


class Work:
    """How long the thread that steps has been at work, or in line for a processor.

    A thread that a limit on the node's processors holds back is in line, for which the
    kernel keeps an account (`schedstat`); one that waits for its peers is not.
    """

    def __init__(self) -> None:
        self._thread = 0
        self._file = -1
        self._last_s = 0.0

    def since_last(self) -> float:
        """Seconds since this was last asked; of no use the first time."""
        if self._thread != get_ident():
            self._open()
        total_s = time.thread_time() + self._in_line_s()
        passed_s, self._last_s = total_s - self._last_s, total_s
        return max(passed_s, 0.0)

    def _open(self) -> None:
        self._thread = get_ident()
        if self._file >= 0:
            os.close(self._file)
        try:
            self._file = moved_up(os.open("/proc/thread-self/schedstat", os.O_RDONLY))
        except OSError:  # a kernel that keeps none
            self._file = -1

    def _in_line_s(self) -> float:
        # The first field, time at work, lags by a tick of the kernel; thread_time does not.
        return int(os.pread(self._file, 100, 0).split()[1]) / 1e9 if self._file >= 0 else 0.0
