"""The files of lines: bounded, complete or said not to be, and true to the log beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.lines import LineCutter
from orchestrator.kept import stamped
from orchestrator.kept.files import LineFile, is_complete
from orchestrator.kept.stamped import KeptNode, StampedNode
from orchestrator.loglines import LINE_BYTES, LogEnd, LogLine


def test_a_file_of_lines_ends_at_its_bound(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "x.jsonl", max_bytes=100)
    for number in range(100_000):
        file.add({"n": number})
    file.flush()
    lines = (tmp_path / "x.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        *({"n": number} for number in range(12)), {"truncated": True},
    ]  # fmt: skip
    assert is_complete(tmp_path / "x.jsonl")


def test_what_was_written_before_counts_for_the_bound(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("x" * 99 + "\n")
    file = LineFile(tmp_path / "x.jsonl", max_bytes=100)
    file.add(1)
    file.flush()
    assert (tmp_path / "x.jsonl").read_text().splitlines()[1:] == ['{"truncated":true}']


@pytest.mark.parametrize("text", ["", "{", "[]", '{"end":1}', '{"end":true}\n{"line":3}', "\xff"])
def test_what_does_not_end_is_not_complete(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.jsonl").write_text(text)
    assert not is_complete(tmp_path / "x.jsonl")
    assert not is_complete(tmp_path / "none.jsonl")


def test_a_flood_of_text_costs_ten_entries_a_second(tmp_path: Path) -> None:
    node = StampedNode(tmp_path / "x.jsonl", 0)
    for number in range(10_000):
        node.add(LogLine(0, 1000.0 + number / 1000, b"x"))
    node.flush()
    assert 95 <= len((tmp_path / "x.jsonl").read_text().splitlines()) <= 101


TEXTS = st.lists(st.binary(max_size=40), max_size=8)


@given(TEXTS, st.lists(st.floats(0, 5), min_size=400, max_size=400))
def test_what_is_read_back_is_what_was_handed_over(
    tmp_path_factory: pytest.TempPathFactory, texts: list[bytes], gaps_s: list[float]
) -> None:
    """The same pieces in the same order, and times that are at most a resolution too early."""
    folder = tmp_path_factory.mktemp("run")
    log, cutter = b"".join(text + b'\n{"a": 1}' for text in texts), LineCutter()
    pieces = [*cutter.feed(log), *cutter.finish()]
    at_s, given_lines = 1000.0, []
    for (text, continued), gap_s in zip(pieces, gaps_s, strict=False):
        at_s += gap_s
        given_lines.append(LogLine(3, at_s, text, continued))
    (folder / "node-3.log").write_bytes(log)
    node = StampedNode(folder / "node-3.records.jsonl", 3)
    for line in given_lines:
        node.add(line)
    node.add(LogEnd(3))
    node.flush()
    kept = KeptNode(folder, 3, started_at_s=1000.0)
    back = list(kept.lines())
    assert [(line.text, line.continued) for line in back] == [
        (line.text, line.continued) for line in given_lines
    ]
    late = [now.at_s - then.at_s for now, then in zip(given_lines, back, strict=True)]
    assert all(0.0 <= each < stamped.RESOLUTION_S for each in late)
    assert not kept.is_cut


def test_a_line_in_pieces_keeps_its_place(tmp_path: Path) -> None:
    record = b'{"event":"training_finished","rank":0,"run_id":"r"}'
    items = [
        LogLine(0, 1.0, b"x" * LINE_BYTES),
        LogLine(0, 1.0, (b"\x1e" + record[:20]).rjust(LINE_BYTES, b"y"), continued=True),
        LogLine(0, 2.0, record[20:], continued=True),
        LogLine(0, 3.0, b"\x1e" + record),
    ]
    node = StampedNode(tmp_path / "x.jsonl", 0)
    for item in items:
        node.add(item)
    node.flush()
    entries = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [(each["line"], each["at_s"], "record" in each) for each in entries] == [
        (0, 1.0, False), (0, 2.0, True), (1, 3.0, True),
    ]  # fmt: skip


def test_a_loss_that_is_no_number_is_null(tmp_path: Path) -> None:
    node = StampedNode(tmp_path / "x.jsonl", 0)
    node.add(LogLine(0, 1.0, b'{"event":"step","rank":0,"run_id":"r","step":1,"loss":1e999}'))
    node.flush()
    entry = json.loads((tmp_path / "x.jsonl").read_text(), parse_constant=lambda _: "not JSON")
    assert entry["record"]["loss"] is None
