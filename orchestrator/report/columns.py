"""Records of steps and looks at usage -> columns of numbers. Pure."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from typing import TypeVar

from orchestrator.records import Step
from orchestrator.report.model import Steps, Told, UsageSeries
from orchestrator.state.usage import Usage, processors_used

Number = TypeVar("Number", int, float)

MAX_STEPS = 200_000
"""Of all ranks together; of more every so many-th is taken, the same on all ranks."""


class StepColumns:
    """Folds the step records of one rank, in the order of their lines.

    What the probe measured comes first, as it is the same for every script; what the script
    says of durations counts where the probe saw none. Both count from 1, but a script that goes
    on from a checkpoint goes on counting, so their numbers are kept apart.
    """

    def __init__(self, zero_s: float) -> None:
        self._zero_s = zero_s
        self._of_probe = Steps()
        self._of_script = Steps()
        self.told = Told()

    @property
    def steps(self) -> Steps:
        """The steps as they were measured best."""
        if not self._of_probe.number:
            return self._of_script
        # How long the first one took only the script can tell.
        numbers, took_s = self._of_script.number, self._of_probe.took_s
        if math.isnan(took_s[0]) and numbers and numbers[0] == self._of_probe.number[0]:
            took_s[0] = self._of_script.took_s[0]
        return self._of_probe

    def add(self, at_s: float, step: Step) -> None:
        """Take one record."""
        if step.source == "probe":
            self._add_measured(at_s - self._zero_s, step)
            return
        took_s = step.step_time_s if step.step_time_s is not None else math.nan
        _append(self._of_script, step.step, at_s - self._zero_s, took_s, math.nan)
        self.told.number.append(_number(step.step))
        self.told.at_s.append(at_s - self._zero_s)
        self.told.loss.append(_or_nan(step.loss))
        self.told.tokens_per_s.append(_or_nan(step.tokens_per_s))

    def _add_measured(self, at_s: float, step: Step) -> None:
        """A record sums up several steps; they ended one after the other, the last one now."""
        durations_s, busy_s = step.took_s, step.worked_s
        if not durations_s:
            _append(self._of_probe, step.step, at_s, math.nan, math.nan)
        left_s = math.fsum(durations_s)
        for index, took_s in enumerate(durations_s):
            left_s -= took_s
            number = step.step - len(durations_s) + 1 + index
            busy = busy_s[index] if busy_s else math.nan
            _append(self._of_probe, number, at_s - max(left_s, 0.0), took_s, busy)


def _append(steps: Steps, number: int, end_s: float, took_s: float, busy_s: float) -> None:
    steps.number.append(_number(number))
    steps.end_s.append(end_s)
    steps.took_s.append(_or_nan(took_s))
    steps.busy_s.append(_or_nan(busy_s))


def _number(number: int) -> int:
    return min(max(number, 0), 2**32 - 1)


def _or_nan(number: float | None) -> float:
    # Of 4 bytes: what a script makes up may be larger than any that fits.
    return number if number is not None and abs(number) < 3e38 else math.nan


def stride_for(num_steps: int) -> int:
    """Which of so many steps to take: every one, every second, and so on."""
    return max(1, math.ceil(num_steps / MAX_STEPS))


def thinned_steps(steps: Steps, stride: int) -> Steps:
    """The steps whose numbers are a multiple of the stride, and the last one."""
    if stride == 1:
        return steps
    taken = _taken(steps.number, stride)
    return Steps(
        _at(steps.number, taken),
        _at(steps.end_s, taken),
        _at(steps.took_s, taken),
        _at(steps.busy_s, taken),
    )


def thinned_told(told: Told, stride: int) -> Told:
    """Likewise, what a script said."""
    if stride == 1:
        return told
    taken = _taken(told.number, stride)
    return Told(
        _at(told.number, taken),
        _at(told.at_s, taken),
        _at(told.loss, taken),
        _at(told.tokens_per_s, taken),
    )


def _taken(numbers: Sequence[int], stride: int) -> list[int]:
    last = len(numbers) - 1
    return [at for at, number in enumerate(numbers) if number % stride == 0 or at == last]


def _at(column: array[Number], taken: Iterable[int]) -> array[Number]:
    return array(column.typecode, [column[index] for index in taken])


def usage_series(usages: Sequence[Usage], zero_s: float, started_at_s: float | None) -> UsageSeries:
    """What one node used, of looks in the order of time.

    The counters began at 0 when the node started, so the first look has a rate as well.
    """
    found = UsageSeries(
        received_bytes=usages[-1].received_bytes if usages else None,
        sent_bytes=usages[-1].sent_bytes if usages else None,
    )
    before = None if started_at_s is None else Usage(0, started_at_s, 0.0, 0)
    for usage in usages:
        if before is not None and usage.at_s > before.at_s:
            found.at_s.append(usage.at_s - zero_s)
            found.processors.append(processors_used(before, usage))
            found.memory_bytes.append(float(usage.memory_bytes))
        before = usage
    return found
