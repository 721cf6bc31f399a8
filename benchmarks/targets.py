"""What is aimed at, and whether the figures reach it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from benchmarks.contestants import ORCHESTRATE
from benchmarks.figures import Figure, Operation


@dataclass(frozen=True, slots=True)
class Target:
    """A limit for one operation: on the median ratio to the baseline, or on the median itself.

    `num_nodes` None means every size that was measured.
    """

    operation: Operation
    limit: float
    is_ratio: bool
    words: str
    num_nodes: int | None = None


TARGETS = (
    Target(Operation.CREATE, 1.15, True, "create: at most 1.15 times the shell script"),
    Target(Operation.NOOP, 0.6, False, "nothing to do: at most 0.6 s"),
    Target(Operation.DESTROY, 1.25, True, "destroy: at most 1.25 times `docker rm -f`"),
    Target(Operation.MEMORY, 80.0, False, "peak memory at 64 nodes: under 80 MB", 64),
    Target(Operation.JOIN, 1.15, True, "join: at most 1.15 times the shell script"),
    Target(Operation.PLANNING, 2.0, False, "plan 10,000 nodes: under 2 s", 10_000),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One figure against the target that applies to it."""

    target: Target
    figure: Figure
    measured: float

    @property
    def is_met(self) -> bool:
        """Memory and planning must stay under their limits, the others may reach theirs."""
        if self.target.operation in {Operation.MEMORY, Operation.PLANNING}:
            return self.measured < self.target.limit
        return self.measured <= self.target.limit


def verdicts(figures: Iterable[Figure]) -> tuple[Verdict, ...]:
    """Judge every figure of orchestrate that a target applies to, in the figures' order."""
    return tuple(
        Verdict(target, figure, measured)
        for figure in figures
        for target in TARGETS
        if _applies(target, figure) and (measured := _measured(target, figure)) is not None
    )


def _applies(target: Target, figure: Figure) -> bool:
    return (
        figure.operation is target.operation
        and figure.contestant.startswith(ORCHESTRATE)
        and target.num_nodes in {None, figure.num_nodes}
    )


def _measured(target: Target, figure: Figure) -> float | None:
    if not target.is_ratio:
        return figure.spread.median
    return figure.ratio.median if figure.ratio else None
