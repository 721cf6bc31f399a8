"""step: counts training steps by what optimizers do, and how long each took.

A step of training is counted when an optimizer steps that has stepped since the last count.
So a model with two optimizers, or one optimizer for each parameter, makes one step an
iteration; where one of several steps more often than the others, its steps are counted.
"""

from __future__ import annotations

import time

from .guarding import guarded

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .reporting import Reporter

EVERY_S = 0.1
"""Records come no faster than this; what is between is summed up."""

MAX_TIMES = 200
MAX_OPTIMIZERS = 100_000


def hook(optimizer: ModuleType, reporter: Reporter) -> None:
    """Count from now on what any optimizer does."""
    register = getattr(optimizer, "register_optimizer_step_post_hook", None)  # from torch 2.1 on
    if register is None:
        raise RuntimeError("this torch has no hook for all optimizers: steps are not seen")
    register(Steps(reporter).stepped)


class Steps:
    """Counts steps, and reports them in batches."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._seen: set[int] = set()
        self._times_s: list[float] = []
        self._last_s = 0.0  # when the last step was counted
        self._reported_s = float("-inf")
        self._num_reported = 0
        reporter.flush = self.flush

    @guarded("step")
    def stepped(self, optimizer: Any, _args: Any, _kwargs: Any) -> None:
        """Take note that an optimizer has stepped. This is all that a step costs."""
        now_s = time.perf_counter()
        self._reporter.progressed_s = now_s
        if self._seen and id(optimizer) not in self._seen and len(self._seen) < MAX_OPTIMIZERS:
            self._seen.add(id(optimizer))
            return
        self._seen = {id(optimizer)}
        self._count(now_s)

    def _count(self, now_s: float) -> None:
        reporter = self._reporter
        reporter.num_steps += 1
        if self._last_s and len(self._times_s) < MAX_TIMES:
            self._times_s.append(round(now_s - self._last_s, 6))
        self._last_s = now_s
        if now_s - self._reported_s >= EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Report what was counted since the last time."""
        reporter = self._reporter
        if reporter.num_steps == self._num_reported or reporter.rank is None:
            return
        self._num_reported, self._reported_s = reporter.num_steps, self._last_s
        times_s, self._times_s = self._times_s, []
        reporter.send("step", step=reporter.num_steps, times_s=times_s)
