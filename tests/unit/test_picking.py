"""Which lines a reader gets: by node, rank, level, kind of record and time."""

from __future__ import annotations

import json

import pytest

from orchestrator.display.picking import Part, Picker, Wanted, level_of
from orchestrator.loglines import LogLine

STEP = b'{"event": "step", "rank": 2, "step": 1}'
WARNS = b'{"event": "slow_disk", "level": "warning", "rank": 3}'
PROBE = b'50%|##  \x1e{"event": "rank_failed", "source": "probe", "rank": 1, "reason": "no"}'


def picked(wanted: Wanted, *lines: LogLine, num_ranks: int = 1) -> list[bytes]:
    picker = Picker(wanted, num_ranks)
    return [part.text for line in lines for part in picker.parts(line)]


def of(node_rank: int, text: bytes, at_s: float = 100.0) -> LogLine:
    return LogLine(node_rank, at_s, text)


LEVELS = {
    "hello": "info",
    "": "info",
    "DEBUG:root:opened": "debug",
    "2026-01-02 03:04:05,123 - train - WARNING - slow": "warning",
    "WARN  data is short": "warning",
    "ERROR:torch: no": "error",
    "FATAL: no": "critical",
    "2026-01-02T03:04:05Z [error    ] it broke [train]": "error",
    "[rank0]:[W1126 03:00:00.123456 ProcessGroupNCCL.cpp:1] Warning: x": "warning",
    "[W1126 03:00:00.1 socket.cpp:1] x": "warning",
    "E1126 03:00:00.123000 17 torch/distributed/elastic/x.py:1] failed": "error",
    "[default0]:I1126 03:00:00.1 x": "info",
    "/a/b.py:10: UserWarning: this is deprecated": "warning",
    "Traceback (most recent call last):": "error",
    "[rank1]: Traceback (most recent call last):": "error",
    "ValueError: no corpus": "error",
    "torch.OutOfMemoryError: no": "error",
    "loss=ERROR-free, error=0": "info",
    "no errors, no WARNINGS": "info",
    "path/ERROR.log was opened": "info",
}


@pytest.mark.parametrize("head", LEVELS)
def test_the_level_of(head: str) -> None:
    assert level_of(head) == LEVELS[head]


def test_without_wishes_all_but_the_probes_records_are_shown() -> None:
    assert picked(Wanted(), of(0, b"a"), of(1, STEP), of(1, PROBE)) == [b"a", STEP, b"50%|##  "]


def test_with_records_those_of_the_probe_are_shown_too() -> None:
    own, framed = PROBE.split(b"\x1e")
    assert picked(Wanted(records=True), of(1, PROBE)) == [own, framed]


def test_by_node() -> None:
    lines = [of(rank, b"%d" % rank) for rank in range(4)]
    assert picked(Wanted(nodes=frozenset({1, 3})), *lines) == [b"1", b"3"]


def test_by_rank_where_each_node_has_one() -> None:
    lines = [of(rank, b"%d" % rank) for rank in range(4)]
    assert picked(Wanted(ranks=frozenset({2})), *lines) == [b"2"]


def test_by_rank_where_lines_must_say_whose_they_are() -> None:
    told = [STEP, b"[rank2]: a", b"[default0]:b", b"[default1]:c", b"[rank3]: d", b"e", WARNS]
    wanted = Wanted(ranks=frozenset({2}))
    lines = [of(1, text) for text in told]
    assert picked(wanted, *lines, num_ranks=2) == [STEP, b"[rank2]: a", b"[default0]:b"]


def test_a_rank_that_is_no_number_is_nobodys() -> None:
    odd = b'{"event": "step", "rank": true}'
    assert picked(Wanted(ranks=frozenset({1})), of(0, odd), num_ranks=2) == []


def test_by_level_with_the_lines_that_go_on() -> None:
    lines = [
        of(0, b"hello"),
        of(0, b"Traceback (most recent call last):"),
        of(1, b"    indented, and of another node"),
        of(0, b'  File "train.py", line 1'),
        of(0, b"ValueError: no corpus"),
        of(0, b"goodbye"),
        of(0, b"  and so on"),
        of(0, WARNS),
        of(0, STEP),
    ]
    graver = picked(Wanted(level="warning"), *lines)
    assert graver == [lines[1].text, lines[3].text, lines[4].text, WARNS]
    assert picked(Wanted(level="critical"), *lines) == []
    assert picked(Wanted(level="debug"), *lines) == [line.text for line in lines]


def test_by_kind_of_record_those_of_the_probe_too() -> None:
    lines = [of(0, b"text"), of(1, STEP), of(1, PROBE), of(2, WARNS)]
    kinds = frozenset({"step", "rank_failed"})
    assert picked(Wanted(events=kinds), *lines) == [STEP, PROBE.split(b"\x1e")[1]]


def test_what_the_probe_reports_has_a_level() -> None:
    assert picked(Wanted(level="error", records=True), of(1, PROBE)) == [PROBE.split(b"\x1e")[1]]


def test_by_time() -> None:
    lines = [of(0, b"old", 99.9), of(0, b"new", 100.0)]
    assert picked(Wanted(since_s=100.0), *lines) == [b"new"]


def test_the_rest_of_a_long_line_has_the_level_of_its_beginning() -> None:
    rest = LogLine(0, 100.0, b"the rest", continued=True)
    assert picked(Wanted(level="error"), of(0, b"ERROR: x"), rest) == [b"ERROR: x", b"the rest"]


def documents(line: LogLine, num_ranks: int = 1) -> list[dict[str, object]]:
    parts = Picker(Wanted(records=True), num_ranks).parts(line)
    return [json.loads(json.dumps(Part.document(part))) for part in parts]


def test_as_documents() -> None:
    known = {"at_s": 100.0, "node_rank": 1}
    assert documents(of(1, b"hello\xff\r")) == [
        known | {"rank": 1, "level": "info", "text": "hello\ufffd"}
    ]
    assert documents(of(1, b"hello"), num_ranks=2)[0]["rank"] is None
    record = {"event": "rank_failed", "source": "probe", "rank": 1, "reason": "no"}
    assert documents(of(1, PROBE)) == [
        known | {"rank": 1, "level": "info", "text": "50%|##  "},
        known | {"rank": 1, "level": "error", "record": record},
    ]


@pytest.mark.parametrize(
    "text",
    [b'{"event": 3}', b"{" * 5000, b'{"event": "x", "level": ["warning"]}', b"\xff\xfe[rank9:"],
)
def test_no_line_is_too_odd(text: bytes) -> None:
    assert picked(Wanted(level="debug", records=True), of(0, text), num_ranks=2) == [text]
