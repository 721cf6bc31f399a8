"""Rounds with the probe and without in, a section of docs/probe.md out. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from statistics import median

from benchmarks.document import table
from benchmarks.interval import Interval, median_interval

BEGIN, END = "<!-- measured: begin -->\n", "<!-- measured: end -->\n"
BOUND_PERCENT = 1.0
QUIET_CORES = 0.25
"""More than that, used by others, is seen in the times."""

HEADINGS = (
    "model",
    "step without, ms",
    "change of the step time",
    "below 1 %",
    "change of processor time",
    "control: without against without",
)
TEXT = """\
Written by `python -m benchmarks.probe` on {when_and_where}. {quiet}

One process trains, in {num_rounds} rounds of short turns: half with the probe, half without, where
its hook, thread and timer are put aside. The turns with the probe are half a second in each round,
and in them it sends one record, and its thread starts and looks once: no less than in half a second
of a long run. A change is the median over the rounds; in brackets where that median lies with a
confidence of 95 %, by the order of the values alone. That a step changes by less than 1 % is shown
where all of that is below 1 %. Processor time is that of all threads, the probe's included. The
control is each second turn without the probe against the one before it: this machine against
itself.

{table}
One call of the hook, in a loop of nothing else, takes {hook_us:.1f} µs. To send a record takes a
step, with the one after it, {record_us:.0f} µs more of the processor ({record_model}).
"""
QUIET = "Others used {others:.2f} cores meanwhile."
BUSY = (
    "**The machine was busy: others used {others:.2f} cores meanwhile. What is not shown here may"
    " be in quiet.**"
)


@dataclass(frozen=True, slots=True)
class Size:
    """A model of two square layers: how wide, and how many rows a step."""

    width: int
    batch: int

    def __str__(self) -> str:
        return f"{self.width} wide, {self.batch} rows"


@dataclass(frozen=True, slots=True)
class Turn:
    """So many steps, and what they took by the wall clock and of the processor."""

    num_steps: float
    wall_s: float
    processor_s: float


Clock = Callable[[Turn], float]
WALL: Clock = attrgetter("wall_s")
PROCESSOR: Clock = attrgetter("processor_s")


@dataclass(frozen=True, slots=True)
class Round:
    """Turns next to each other, with the probe and without it.

    As many of each: without any effect either are the longer ones as often as the others.
    """

    probed: Sequence[Turn]
    without: Sequence[Turn]

    def change(self, clock: Clock) -> float:
        """How many times as long a step took with the probe as without."""
        return step_s(self.probed, clock) / step_s(self.without, clock)

    def control(self, clock: Clock) -> float:
        """How many times as long it took in each second turn without the probe."""
        return step_s(self.without[1::2], clock) / step_s(self.without[::2], clock)


def step_s(turns: Sequence[Turn], clock: Clock) -> float:
    """What a step took in all these."""
    return sum(map(clock, turns)) / sum(turn.num_steps for turn in turns)


@dataclass(frozen=True, slots=True)
class Record:
    """What it takes a step, with the one after it, to send a record: of the processor."""

    size: Size
    processor_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """All that one run of the benchmark found.

    Attributes:
        rounds: of each size.
        record: what it takes to send one.
        hook_s: what one call of the hook takes.
        others: how many cores were used by something else meanwhile.
    """

    rounds: Sequence[tuple[Size, Sequence[Round]]]
    record: Record
    hook_s: float
    others: float


def section(when_and_where: str, measured: Measured) -> str:
    """The text between the marks."""
    others = measured.others
    return TEXT.format(
        when_and_where=when_and_where,
        quiet=(BUSY if others > QUIET_CORES else QUIET).format(others=others),
        num_rounds=min(len(rounds) for _, rounds in measured.rounds),
        table=table(HEADINGS, [row(size, rounds) for size, rounds in measured.rounds]),
        hook_us=1e6 * measured.hook_s,
        record_us=1e6 * measured.record.processor_s,
        record_model=measured.record.size,
    )


def row(size: Size, rounds: Sequence[Round]) -> tuple[str, ...]:
    """One line of the table."""
    step_ms = 1000 * median(step_s(each.without, WALL) for each in rounds)
    wall = median_interval([each.change(WALL) for each in rounds])
    processor = median_interval([each.change(PROCESSOR) for each in rounds])
    control = median_interval([each.control(WALL) for each in rounds])
    told = (percent(wall), verdict(wall), percent(processor), percent(control))
    return str(size), f"{step_ms:.2f}", *told


def verdict(change: Interval) -> str:
    """Whether the bound is kept, as far as this tells."""
    if _percent(change.high) < BOUND_PERCENT:
        return "yes"
    return "**no**" if _percent(change.low) >= BOUND_PERCENT else "not shown"


def percent(change: Interval) -> str:
    """A quotient as a change, with what is known of it."""
    middle, low, high = map(_percent, (change.median, change.low, change.high))
    return f"{middle:+.2f} % ({low:+.2f} to {high:+.2f})"


def _percent(quotient: float) -> float:
    return 100 * (quotient - 1)


def replaced(page: str, text: str) -> str:
    """The page with another section between its marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    return before + BEGIN + text + END + after
