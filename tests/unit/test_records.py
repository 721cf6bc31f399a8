"""Lines of a node's log: exactly the records come through, whatever else is thrown at it."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.records import (
    MAX_RECORD_BYTES,
    ProcessGroupJoined,
    RankFailed,
    Record,
    Step,
    TrainingFinished,
    parse_record,
)

JOIN: dict[str, Any] = {
    "event": "process_group_joined",
    "rank": 1,
    "run_id": "r1",
    "world_size": 2,
    "backend": "gloo",
    "master_addr": "pair-node-0",
    "rank_sum": 1,
    "hostname": "pair-node-1",
}


def line(**changes: object) -> bytes:
    return json.dumps(JOIN | changes).encode()


def without(key: str) -> bytes:
    return json.dumps({name: value for name, value in JOIN.items() if name != key}).encode()


JOINED = ProcessGroupJoined(
    event="process_group_joined",
    rank=1,
    run_id="r1",
    world_size=2,
    backend="gloo",
    master_addr="pair-node-0",
    rank_sum=1,
    hostname="pair-node-1",
)

EXACT: dict[str, tuple[bytes, Record]] = {
    "join": (line(), JOINED),
    "join of more keys": (line(level="info", world={"a": [1]}), JOINED),
    "join, indented": (b" \t" + line(), JOINED),
    "join, carriage return": (line() + b"\r", JOINED),
    "join without hostname": (without("hostname"), JOINED.model_copy(update={"hostname": ""})),
    "join on a GPU": (line(gpu="GPU-a"), JOINED.model_copy(update={"gpu": "GPU-a"})),
    "join on no GPU": (line(gpu=None), JOINED),
    "join without run": (without("run_id"), JOINED.model_copy(update={"run_id": None})),
    "join, not ASCII": (
        json.dumps(JOIN | {"hostname": "knötchen"}, ensure_ascii=False).encode(),
        JOINED.model_copy(update={"hostname": "knötchen"}),
    ),
    "step": (
        b'{"event": "step", "rank": 0, "run_id": "r1", "step": 3, "loss": 2.5, "lr": 0.1}',
        Step(event="step", rank=0, run_id="r1", step=3, loss=2.5),
    ),
    "step, whole loss": (
        b'{"event": "step", "rank": 0, "step": 3, "loss": 2}',
        Step(event="step", rank=0, step=3, loss=2.0),
    ),
    "step without loss": (
        b'{"event": "step", "rank": 0, "step": 3, "loss": null}',
        Step(event="step", rank=0, step=3),
    ),
    "step, as the probe sums up several": (
        b'{"event": "step", "rank": 0, "step": 3, "times_us": [5, 0], "busy_share": 1}',
        Step(event="step", rank=0, step=3, times_us=(5, 0), busy_share=1.0),
    ),
    "step, loss beyond all floats": (
        b'{"event": "step", "rank": 0, "step": 3, "loss": 1e999}',
        Step(event="step", rank=0, step=3, loss=math.inf),
    ),
    "failure": (
        b'{"event": "rank_failed", "rank": 0, "reason": "", "error_type": "ValueError"}',
        RankFailed(event="rank_failed", rank=0, reason="", error_type="ValueError"),
    ),
    "finish": (
        b'{"event": "training_finished", "rank": 0, "steps": 20}',
        TrainingFinished(event="training_finished", rank=0),
    ),
}


@pytest.mark.parametrize("name", EXACT)
def test_a_record_is_read(name: str) -> None:
    text, record = EXACT[name]
    assert parse_record(text) == record


def test_durations_and_work_are_read_in_either_form() -> None:
    def read(fields: bytes) -> tuple[tuple[float, ...], tuple[float, ...]]:
        record = parse_record(b'{"event": "step", "rank": 0, "step": 3, %s}' % fields)
        assert isinstance(record, Step)
        return record.took_s, record.worked_s

    assert read(b'"times_us": [500000, 1000000], "busy_share": 0.5') == ((0.5, 1.0), (0.25, 0.5))
    assert read(b'"times_us": [500000], "busy_share": null') == ((0.5,), ())
    assert read(b'"times_us": [], "busy_share": 0.5') == ((), ())
    # Runs that were kept before there were those.
    assert read(b'"times_s": [0.5, 1.0], "busy_s": [0.125, 0.5]') == ((0.5, 1.0), (0.125, 0.5))
    assert read(b'"times_s": [0.5, 1.0], "busy_s": [0.125]') == ((0.5, 1.0), ())


NOT_RECORDS: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"   ",
    "text": b"step 3 loss 2.5",
    "array": b"[" + line() + b"]",
    "string": b'"{}"',
    "empty object": b"{}",
    "half": line()[:-1],
    "two": line() + line(),
    "text before": b"INFO " + line(),
    "text after": line() + b" done",
    "byte order mark": b"\xef\xbb\xbf" + line(),
    "no event": without("event"),
    "unknown event": line(event="joined"),
    "event is a list": line(event=["process_group_joined"]),
    "event is null": line(event=None),
    "event in capitals": line(event="PROCESS_GROUP_JOINED"),
    "no rank": without("rank"),
    "no world size": without("world_size"),
    "no sum": without("rank_sum"),
    "no backend": without("backend"),
    "no address": without("master_addr"),
    "rank is null": line(rank=None),
    "rank is true": line(rank=True),
    "rank is text": line(rank="1"),
    "rank is a float": line(rank=1.0),
    "rank is negative": line(rank=-1),
    "rank is huge": line(rank=10_000_000),
    "world size is false": line(world_size=False),
    "sum is true": line(rank_sum=True),
    "sum is text": line(rank_sum="1"),
    "sum is a float": line(rank_sum=1.0),
    "sum beyond 64 bits": line(rank_sum=2**63),
    "backend is a number": line(backend=1),
    "backend is long": line(backend="g" * 4097),
    "run is a number": line(run_id=1),
    "address is an object": line(master_addr={}),
    "step is negative": b'{"event": "step", "rank": 0, "step": -1}',
    "step is true": b'{"event": "step", "rank": 0, "step": true}',
    "step beyond 64 bits": b'{"event": "step", "rank": 0, "step": 9223372036854775808}',
    "a duration is negative": b'{"event": "step", "rank": 0, "step": 1, "times_us": [-1]}',
    "a duration is no whole number": b'{"event": "step", "rank": 0, "step": 1, "times_us": [1.5]}',
    "a duration is true": b'{"event": "step", "rank": 0, "step": 1, "times_us": [true]}',
    "a duration beyond 64 bits": (
        b'{"event": "step", "rank": 0, "step": 1, "times_us": [9223372036854775808]}'
    ),
    "too many durations": b'{"event": "step", "rank": 0, "step": 1, "times_us": [%s]}'
    % b",".join([b"1"] * 1001),
    "more than all the work": b'{"event": "step", "rank": 0, "step": 1, "busy_share": 1.001}',
    "less than no work": b'{"event": "step", "rank": 0, "step": 1, "busy_share": -0.1}',
    "loss is text": b'{"event": "step", "rank": 0, "step": 1, "loss": "0.1"}',
    "loss is true": b'{"event": "step", "rank": 0, "step": 1, "loss": true}',
    "loss is NaN": b'{"event": "step", "rank": 0, "step": 1, "loss": NaN}',
    "loss is Infinity": b'{"event": "step", "rank": 0, "step": 1, "loss": Infinity}',
    "loss is -Infinity": b'{"event": "step", "rank": 0, "step": 1, "loss": -Infinity}',
    "NaN where nobody looks": line()[:-1] + b', "other": NaN}',
    "key twice, the same": line()[:-1] + b', "rank": 1}',
    "key twice, another": line()[:-1] + b', "rank": 0}',
    "key twice, inside": line()[:-1] + b', "x": {"a": 1, "a": 1}}',
    "5,000 digits": line()[:-1] + b', "x": ' + b"9" * 5000 + b"}",
    "4,000 digits": line(rank_sum=int("9" * 4000)),
    "deeper than any record": line()[:-1] + b', "x": ' + b"[" * 64 + b"]" * 64 + b"}",
    "deep lists": line()[:-1] + b', "x": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "deep objects": line()[:-1] + b', "x": ' + b'{"a":' * 3000,
    "one byte too long": line(pad="") + b" " * (MAX_RECORD_BYTES + 1 - len(line(pad=""))),
    "a megabyte": line()[:-1] + b', "x": "' + b"y" * 2**20 + b'"}',
    "Latin-1": line(hostname="kn?tchen").replace(b"?", b"\xf6"),
    "UTF-16": line().decode().encode("utf-16-le"),
    "UTF-32": line().decode().encode("utf-32-le"),
    "lone surrogate, written out": line()[:-1] + b', "run_id": "\\ud800"}',
    "lone surrogate as text": without("hostname")[:-1] + b', "hostname": "\\ud800"}',
    "overlong encoding": without("hostname")[:-1] + b', "hostname": "\xc0\xaf"}',
    "NUL": line()[:-1] + b"\x00}",
    "control character in text": line(hostname="a?b").replace(b"?", b"\x1b"),
    "single quotes": line().replace(b'"', b"'"),
    "trailing comma": line()[:-1] + b",}",
    "comment": line() + b" // joined",
}


def test_brackets_in_a_text_and_lists_beside_each_other_are_not_deep() -> None:
    beside = b', "x": "' + b"[{" * 500 + b'\\"[", "y": [' + b"[]," * 200 + b"[]]}"
    assert parse_record(line()[:-1] + beside) == parse_record(line())
    within = b', "x": ' + b"[" * 63 + b"]" * 63 + b"}"
    assert parse_record(line()[:-1] + within) == parse_record(line())


@pytest.mark.parametrize("name", NOT_RECORDS)
def test_what_is_not_exactly_a_record_is_none(name: str) -> None:
    assert parse_record(NOT_RECORDS[name]) is None


def test_the_longest_line_that_is_read() -> None:
    text = line()
    assert parse_record(text + b" " * (MAX_RECORD_BYTES - len(text))) == JOINED


@given(st.binary(max_size=300))
def test_no_bytes_raise(text: bytes) -> None:
    assert parse_record(b"{" + text) is None


json_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=10),
    st.lists(st.integers(), max_size=2),
)
events = st.sampled_from(
    ["process_group_joined", "step", "rank_failed", "training_finished", "other"]
)
keys = st.sampled_from([*JOIN, "step", "loss", "reason", "error_type", "tokens_per_s"])


@given(st.dictionaries(keys, json_values, max_size=8), events)
def test_a_record_says_what_its_line_said(fields: dict[str, Any], event: str) -> None:
    said = fields | {"event": event}
    record = parse_record(json.dumps(said).encode())
    if record is not None:
        told = record.model_dump(exclude_unset=True)
        assert told == {key: said[key] for key in told}
        assert [type(said[key]) is bool for key in told] == [False] * len(told)


@given(st.integers(0, 9_999_999), st.integers(-(2**63 - 1), 2**63 - 1))
def test_every_honest_join_is_read(rank: int, rank_sum: int) -> None:
    record = parse_record(line(rank=rank, rank_sum=rank_sum))
    assert record == JOINED.model_copy(update={"rank": rank, "rank_sum": rank_sum})
