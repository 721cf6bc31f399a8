"""Samples in, figures out: medians, extremes and per-round ratios. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from benchmarks.contestants import COMPOSE, SCRIPT


class Operation(StrEnum):
    """What is measured; the values are those of `--only`."""

    CREATE = "create"
    NOOP = "noop"
    DESTROY = "destroy"
    MEMORY = "memory"
    JOIN = "join"
    STARTUP = "startup"
    PLANNING = "planning"


BASELINES = {
    Operation.CREATE: SCRIPT,
    Operation.NOOP: COMPOSE,
    Operation.DESTROY: SCRIPT,
    Operation.JOIN: SCRIPT,
}
"""Whom the others are divided by. Memory and start-up stand for themselves."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: `value` in seconds, or in MB (10^6 bytes) for MEMORY.

    `num_nodes` is 0 for STARTUP, which starts none.
    """

    operation: Operation
    num_nodes: int
    contestant: str
    round: int
    value: float


@dataclass(frozen=True, slots=True)
class Spread:
    """A median and its extremes."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least one value."""
        return cls(median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Figure:
    """All rounds of one contestant at one operation and size.

    `ratio` is the spread of the quotients to the baseline *of the same round*; None for
    the baseline itself and where there is none.
    """

    operation: Operation
    num_nodes: int
    contestant: str
    spread: Spread
    ratio: Spread | None


Key = tuple[Operation, int, str]


def summarise(samples: Iterable[Sample]) -> tuple[Figure, ...]:
    """One figure per operation, size and contestant.

    Operations come in the order of `Operation`, sizes rise, contestants are as they came.
    """
    rounds_of: dict[Key, dict[int, float]] = {}
    for each in samples:
        key = (each.operation, each.num_nodes, each.contestant)
        rounds_of.setdefault(key, {})[each.round] = each.value
    figures = [_figure(key, rounds, rounds_of) for key, rounds in rounds_of.items()]
    order = list(Operation)
    return tuple(sorted(figures, key=lambda each: (order.index(each.operation), each.num_nodes)))


def _figure(key: Key, rounds: dict[int, float], rounds_of: dict[Key, dict[int, float]]) -> Figure:
    operation, num_nodes, contestant = key
    baseline = BASELINES.get(operation, contestant)
    base = rounds_of.get((operation, num_nodes, baseline), {}) if baseline != contestant else {}
    quotients = [value / base[number] for number, value in rounds.items() if number in base]
    return Figure(
        operation,
        num_nodes,
        contestant,
        Spread.of(list(rounds.values())),
        Spread.of(quotients) if quotients else None,
    )
