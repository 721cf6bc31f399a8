"""The few numbers that people read first."""

from __future__ import annotations

from msgspec.structs import replace

from orchestrator.report.model import Lane
from orchestrator.report.summary import (
    Alike,
    Figure,
    RankSummary,
    alike,
    amount,
    figures,
    number,
    ranges,
    rank_summaries,
    seconds,
    size,
)
from orchestrator.verify.results import Finding
from tests.unit.report.runs import LANES, MODEL


def test_a_run_in_figures() -> None:
    assert figures(MODEL) == (
        Figure("Ranks", "2", "on 2 nodes"),
        Figure("Joined after", "2.5 s", "1 of 2 ranks"),
        Figure("Steps", "2", "at least 0"),
        Figure("Step time", "375 ms", "median"),
        Figure("Tokens/s", "64", "median"),
        Figure("Loss", "4.5", "from 5.5"),
        Figure("Most memory", "2 MiB", "of one node"),
        Figure("Took", "6.5 s"),
    )


def test_what_nobody_knows_is_no_figure() -> None:
    bare = replace(MODEL, lanes=(Lane(0, 0),), nodes=MODEL.nodes[1:])
    assert figures(bare) == (
        Figure("Ranks", "1", "on 1 node"),
        Figure("Joined", "no rank"),
        Figure("Took", "6.5 s"),
    )


def test_each_rank_in_numbers() -> None:
    assert rank_summaries(MODEL) == (
        RankSummary(0, "pair-node-0", 2.5, 2, 0.375, 0.5, 0.1875, 64.0, 5.5, 4.5),
        RankSummary(1, "pair-node-1", None, 0, None, None, None, None, None, None),
    )
    assert rank_summaries(replace(MODEL, nodes=(), lanes=LANES[1:]))[0].node == ""


def test_what_is_alike_is_said_once() -> None:
    found = [
        *(Finding(node, None, "exit code 0", "still runs") for node in (0, 1, 2, 4, 6, 7)),
        Finding(3, None, "exit code 0", "exited with 1"),
        *(Finding(1, rank, "a join", "nothing") for rank in (2, 3)),
    ]
    assert alike(found) == (
        Alike("nodes 0 to 2, 4, 6, 7", "exit code 0", "still runs"),
        Alike("node 3", "exit code 0", "exited with 1"),
        Alike("ranks 2, 3", "a join", "nothing"),
    )
    assert (alike([]), ranges([]), ranges([9, 8, 8, 7])) == ((), "", "7 to 9")


def test_numbers_in_words() -> None:
    assert [seconds(each) for each in (None, 0.0, 0.0025, 0.25, 1.25, 119.9, 125, 7260)] == [
        "-", "0 ms", "2.5 ms", "250 ms", "1.2 s", "119.9 s", "2 min 05 s", "2 h 01 min",
    ]  # fmt: skip
    assert [size(each) for each in (None, 10, 2048, 3 * 2**20, 5 * 2**29)] == [
        "-", "10 B", "2 KiB", "3 MiB", "2.50 GiB",
    ]  # fmt: skip
    assert [amount(None), amount(12345.6), number(None), number(3.14159)] == [
        "-", "12,346", "-", "3.142",
    ]  # fmt: skip
