"""Samples become medians, extremes and per-round ratios; figures are judged by the targets."""

from __future__ import annotations

import pytest

from benchmarks.contestants import COMPOSE, ORCHESTRATE, SCRIPT
from benchmarks.figures import Figure, Operation, Sample, Spread, summarise
from benchmarks.targets import TARGETS, Verdict, verdicts


def samples(operation: Operation, num_nodes: int, contestant: str, *values: float) -> list[Sample]:
    return [
        Sample(operation, num_nodes, contestant, number, value)
        for number, value in enumerate(values)
    ]


def figure(operation: Operation, num_nodes: int, value: float, ratio: float | None) -> Figure:
    spread = Spread(value, value, value)
    quotient = None if ratio is None else Spread(ratio, ratio, ratio)
    return Figure(operation, num_nodes, ORCHESTRATE, spread, quotient)


def test_a_ratio_is_taken_within_a_round_and_not_between_medians() -> None:
    taken = [
        *samples(Operation.CREATE, 2, ORCHESTRATE, 3.0, 4.0, 9.0),
        *samples(Operation.CREATE, 2, SCRIPT, 1.0, 4.0, 3.0),
    ]

    assert summarise(taken) == (
        Figure(Operation.CREATE, 2, ORCHESTRATE, Spread(4.0, 3.0, 9.0), Spread(3.0, 1.0, 3.0)),
        Figure(Operation.CREATE, 2, SCRIPT, Spread(3.0, 1.0, 4.0), None),
    )


def test_doing_nothing_is_compared_with_compose_and_memory_with_nobody() -> None:
    taken = [
        *samples(Operation.MEMORY, 64, "orchestrate apply", 44.0),
        *samples(Operation.NOOP, 2, ORCHESTRATE, 0.5),
        *samples(Operation.NOOP, 2, COMPOSE, 0.25),
    ]

    assert summarise(taken) == (
        Figure(Operation.NOOP, 2, ORCHESTRATE, Spread(0.5, 0.5, 0.5), Spread(2.0, 2.0, 2.0)),
        Figure(Operation.NOOP, 2, COMPOSE, Spread(0.25, 0.25, 0.25), None),
        Figure(Operation.MEMORY, 64, "orchestrate apply", Spread(44.0, 44.0, 44.0), None),
    )


def test_sizes_are_never_divided_by_one_another() -> None:
    taken = [
        *samples(Operation.CREATE, 16, ORCHESTRATE, 8.0),
        *samples(Operation.CREATE, 2, SCRIPT, 1.0),
    ]

    assert [(each.num_nodes, each.ratio) for each in summarise(taken)] == [(2, None), (16, None)]


@pytest.mark.parametrize(
    ("operation", "num_nodes", "value", "ratio", "is_met"),
    [
        (Operation.CREATE, 2, 9.9, 1.15, True),
        (Operation.CREATE, 2, 0.1, 1.16, False),
        (Operation.NOOP, 16, 0.6, None, True),
        (Operation.NOOP, 16, 0.61, 0.1, False),
        (Operation.DESTROY, 64, 9.9, 1.25, True),
        (Operation.DESTROY, 64, 9.9, 1.26, False),
        (Operation.MEMORY, 64, 79.9, None, True),
        (Operation.MEMORY, 64, 80.0, None, False),
        (Operation.JOIN, 2, 9.9, 1.15, True),
        (Operation.JOIN, 2, 9.9, 1.16, False),
    ],
)
def test_each_limit_holds_exactly_where_it_was_set(
    operation: Operation, num_nodes: int, value: float, ratio: float | None, is_met: bool
) -> None:
    judged = verdicts([figure(operation, num_nodes, value, ratio)])

    assert [(each.target.operation, each.is_met) for each in judged] == [(operation, is_met)]


def test_what_no_target_speaks_of_is_not_judged() -> None:
    of_the_script = Figure(Operation.CREATE, 2, SCRIPT, Spread(1.0, 1.0, 1.0), None)

    assert verdicts([of_the_script, figure(Operation.MEMORY, 16, 99.0, None)]) == ()


def test_a_ratio_that_could_not_be_taken_is_not_judged() -> None:
    assert verdicts([figure(Operation.CREATE, 2, 1.0, None)]) == ()


def test_the_measured_number_is_the_one_that_the_target_speaks_of() -> None:
    created, idle = figure(Operation.CREATE, 2, 3.0, 1.1), figure(Operation.NOOP, 2, 0.5, 4.0)

    assert verdicts([created, idle]) == (
        Verdict(TARGETS[0], created, 1.1),
        Verdict(TARGETS[1], idle, 0.5),
    )
