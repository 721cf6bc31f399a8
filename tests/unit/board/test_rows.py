"""Nodes as rows: each its own, or those that are alike together."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.display.board.model import DONE, FAILED, TRAINING, NodeView
from orchestrator.display.board.rows import Row, amount, rows_of, seconds, size, spans, sparkline


def node(node_rank: int, phase: str = TRAINING, step: int = 12, **more: object) -> NodeView:
    view = NodeView(node_rank, range(node_rank, node_rank + 1), "running", phase, step)
    return replace(view, **more)


def brief(rows: tuple[Row, ...]) -> list[tuple[str, str, str, str]]:
    return [(row.node, row.phase, row.step, row.kind) for row in rows]


def test_a_node_that_trains() -> None:
    told = node(
        3,
        loss=2.34567,
        tokens_per_s=5663.8,
        step_times_s=(0.2, 0.1),
        last_line='{"event": "step", "step": 12, "rank": 3}',
    )
    row = Row("3", "3", "running", TRAINING, "12", "2.3457", "5.66k", "100 ms", "▇▄")
    assert rows_of([told], 4) == (replace(row, last_line="step step=12", node_rank=3),)


def test_as_long_as_there_is_room_each_has_its_row() -> None:
    rows = rows_of([node(rank) for rank in range(4)], 4)
    assert brief(rows) == [(str(rank), TRAINING, "12", "normal") for rank in range(4)]


def test_those_that_are_alike_share_a_row() -> None:
    nodes = [node(rank, step=12 + rank % 2) for rank in range(62)]
    nodes += [node(62, step=7), node(63, FAILED, state="exited 3")]
    assert brief(rows_of(nodes, 5)) == [
        ("0-61", TRAINING, "12-13", "normal"),
        ("62", TRAINING, "7", "slow"),
        ("63", FAILED, "12", "bad"),
    ]


def test_of_too_many_kinds_those_that_fail_or_lag_are_shown() -> None:
    phases = ["started", "interpreter", "torch", "rendezvous", "joined"]
    nodes = [node(rank, phases[rank % 5], 0) for rank in range(20)]
    nodes += [node(20, FAILED), node(21, DONE)]
    assert brief(rows_of(nodes, 3)) == [
        ("0, 5, 10, 15", "started", "", "normal"),
        ("20", FAILED, "12", "bad"),
        ("1-4, 6-9, 11-14, 16-19, 21", "…", "", "rest"),
    ]


def test_nodes_of_several_losses_show_the_range_of_those_that_are_ahead() -> None:
    nodes = [node(0, loss=2.0), node(1, loss=2.5), node(2, step=11, loss=9.0)]
    assert [(row.node, row.loss) for row in rows_of(nodes, 1)] == [("0-2", "2.0000-2.5000")]


def test_a_node_that_the_others_wait_for_is_told_apart() -> None:
    times = (0.5, 0.5)
    nodes = [node(rank, busy_s=0.1, step_times_s=times) for rank in range(3)]
    nodes.append(node(3, busy_s=0.45, step_times_s=times))
    assert brief(rows_of(nodes, 2)) == [
        ("0-2", TRAINING, "12", "normal"),
        ("3", TRAINING, "12", "slow"),
    ]
    a_little = [replace(each, busy_s=0.1 + 0.04 * (each.node_rank == 3)) for each in nodes]
    assert brief(rows_of(a_little, 2)) == [("0-3", TRAINING, "12", "normal")]


def test_no_nodes_no_rows() -> None:
    assert rows_of([], 4) == ()


@pytest.mark.parametrize(
    ("numbers", "told"),
    [([], ""), ([7], "7"), ([0, 1, 2], "0-2"), ([0, 2, 3, 9], "0, 2-3, 9")],
)
def test_spans(numbers: list[int], told: str) -> None:
    assert spans(numbers) == told


@pytest.mark.parametrize(
    ("values", "bars"),
    [
        ((), ""),
        ((0.0, 0.0), ""),
        ((1.0,), "▇"),
        ((0.0, 1.0, 2.0, 4.0, 8.0), "▁▁▂▄▇"),
        (tuple(range(1, 20)), "▅▅▆▆▆▇▇▇"),
    ],
)
def test_sparklines(values: tuple[float, ...], bars: str) -> None:
    assert sparkline(values) == bars


def test_numbers_in_three_digits() -> None:
    assert [seconds(value) for value in (0.0004, 0.1808, 0.9999, 1.234, 9.999, 61.04)] == [
        *("0 ms", "181 ms", "1.00 s", "1.23 s", "10.0 s", "61.0 s"),
    ]
    assert [amount(value) for value in (0.5, 12.34, 999.9, 5663.8, 1.5e6, 2e9, 123_456)] == [
        *("0.5", "12.3", "1.00k", "5.66k", "1.50M", "2.00G", "123k"),
    ]
    assert [size(value) for value in (17, 2048, 150 * 2**20, 1.5 * 2**30, 64 * 2**30)] == [
        *("17", "2k", "150M", "1.5G", "64G"),
    ]


def test_what_nodes_use_of_the_machine() -> None:
    nodes = [node(rank, processors=0.9 + rank / 5, memory_bytes=2**30) for rank in (0, 1)]
    assert [(row.cpu, row.memory) for row in rows_of(nodes, 1)] == [("0.9-1.1", "1.0G")]
