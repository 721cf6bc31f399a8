"""The same run as a trace, as CSV and as TensorBoard's event files."""

from __future__ import annotations

import builtins
import json
import math
import struct
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from msgspec.structs import replace
from tensorboardX.proto.event_pb2 import Event

from orchestrator.errors import FolderUnusable, UnusableSetting
from orchestrator.report.reading import read_report
from orchestrator.report.tables import csv_files, write_csv
from orchestrator.report.tensorboard import write_tensorboard
from orchestrator.report.trace import trace_document, trace_text
from orchestrator.verify.results import CheckResult
from tests.unit.report.runs import LANES, MODEL, failed_run, small_run, steps

__all__ = ["failed_run", "small_run"]

# -- trace --------------------------------------------------------------------------

NUMBER, WHOLE, TEXT = {"type": "number"}, {"type": "integer"}, {"type": "string"}
LENGTH = {"type": "number", "minimum": 0}
FORMAT = {
    "type": "object",
    "required": ["traceEvents"],
    "properties": {
        "displayTimeUnit": {"enum": ["ms", "ns"]},
        "otherData": {"type": "object"},
        "traceEvents": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "ph", "pid", "tid"],
                "properties": {"name": TEXT, "pid": WHOLE, "tid": WHOLE, "ts": NUMBER},
                "oneOf": [
                    {
                        "properties": {"ph": {"const": "X"}, "dur": LENGTH},
                        "required": ["ts", "dur"],
                    },
                    {
                        "properties": {"ph": {"const": "i"}, "s": {"enum": ["g", "p", "t"]}},
                        "required": ["ts", "s"],
                    },
                    {
                        "properties": {
                            "ph": {"const": "C"},
                            "args": {"type": "object", "additionalProperties": NUMBER},
                        },
                        "required": ["ts", "args"],
                    },
                    {
                        "properties": {
                            "ph": {"const": "M"},
                            "name": {
                                "enum": [
                                    "process_name", "process_sort_index",
                                    "thread_name", "thread_sort_index",
                                ]
                            },
                        },
                        "required": ["args"],
                    },
                ],
            },
        },
    },
}  # fmt: skip
"""Of the Trace Event Format the events that we write, with the fields that it asks of them."""


def trace(model: Any) -> list[dict[str, Any]]:
    document = json.loads(trace_text(model))
    jsonschema.validate(document, FORMAT)
    events: list[dict[str, Any]] = document["traceEvents"]
    return events


def test_the_whole_trace_of_a_rank() -> None:
    model = replace(MODEL, lanes=LANES[:1], nodes=MODEL.nodes[:1])
    where = {"pid": 0, "tid": 0}
    assert trace(model) == [
        {"name": "process_name", "ph": "M", **where, "args": {"name": "pair-node-0"}},
        {"name": "process_sort_index", "ph": "M", **where, "args": {"sort_index": 0}},
        {"name": "thread_name", "ph": "M", **where, "args": {"name": "rank 0"}},
        {"name": "thread_sort_index", "ph": "M", **where, "args": {"sort_index": 0}},
        *(
            {
                "name": name, "cat": "phase", "ph": "X", "ts": begin, "dur": took, **where,
                "args": {},
            }
            for name, begin, took in (
                ("import torch", 1_000_000, 2_000_000),
                ("wait for peers", 3_000_000, 500_000),
                ("joined, up to the first step", 3_500_000, 500_000),
            )
        ),
        *(
            {
                "name": "step", "cat": "step", "ph": "X", "ts": begin, "dur": took, **where,
                "args": {"step": number, "at work, ms": busy},
            }
            for number, begin, took, busy in (
                (1, 4_000_000, 500_000, 250.0), (2, 4_500_000, 250_000, 125.0),
            )
        ),
        {
            "name": "ended", "cat": "mark", "ph": "i", "s": "t", "ts": 6_000_000, **where,
            "args": {"what": "pair-node-0 exited with code 0"},
        },
        *(
            {"name": name, "ph": "C", "ts": at, **where, "args": {"rank 0": value}}
            for at, name, value in (
                (4_500_000, "loss", 5.5), (4_500_000, "tokens per second", 64.0),
                (5_000_000, "loss", 4.5), (5_000_000, "tokens per second", 64.0),
            )
        ),
        *(
            {"name": name, "ph": "C", "ts": at, **where, "args": {unit: value}}
            for at, name, unit, value in (
                (2_000_000, "processors", "busy", 0.5), (2_000_000, "memory", "MiB", 1.0),
                (4_000_000, "processors", "busy", 0.75), (4_000_000, "memory", "MiB", 2.0),
            )
        ),
    ]  # fmt: skip
    assert trace_document(model)["otherData"] == {
        "project": "pair", "run_id": "run-1", "engine": "docker", "verdict": "unfinished",
        "began_at_s": 1_795_600_000.0,
    }  # fmt: skip


def test_no_two_things_of_a_thread_overlap(failed_run: Path) -> None:
    late = replace(LANES[0], steps=steps(0.5, 0.25))
    late.steps.end_s[1] -= 0.1  # a clock that is read late for the one before
    for model in (read_report(failed_run), replace(MODEL, lanes=(late,))):
        by_thread: dict[int, list[tuple[int, int]]] = {}
        for event in trace(model):
            if event["ph"] == "X":
                span = (event["ts"], event["ts"] + event["dur"])
                by_thread.setdefault(event["tid"], []).append(span)
        assert set(by_thread) == {lane.rank for lane in model.lanes}
        for spans in by_thread.values():
            ordered = sorted(spans)
            assert all(a[1] <= b[0] for a, b in pairwise(ordered))


# -- CSV ----------------------------------------------------------------------------


def test_every_table() -> None:
    assert csv_files(MODEL) == {
        name: text.replace("\n", "\r\n")
        for name, text in {
            "steps.csv": "rank,step,end_s,took_s,busy_s\n0,1,4.5,0.5,0.25\n0,2,4.75,0.25,0.125\n",
            "losses.csv": "rank,step,at_s,loss,tokens_per_s\n0,1,4.5,5.5,64.0\n0,2,5.0,4.5,64.0\n",
            "phases.csv": (
                "rank,node,phase,begin_s,end_s\n0,pair-node-0,import torch,1.0,3.0\n"
                "0,pair-node-0,wait for peers,3.0,3.5\n"
                '0,pair-node-0,"joined, up to the first step",3.5,4.0\n'
                "1,pair-node-1,import torch,1.0,2.0\n1,pair-node-1,got no further,2.0,6.0\n"
            ),
            "marks.csv": "rank,at_s,kind,text\n0,6.0,ended,pair-node-0 exited with code 0\n",
            "usage.csv": (
                "node,at_s,processors,memory_bytes\npair-node-0,2.0,0.5,1048576\n"
                "pair-node-0,4.0,0.75,2097152\n"
            ),
            "checks.csv": "check,status,why\nalive,ok,2 nodes in order\njoined,failed,1 of 2\n",
        }.items()
    }


def test_what_is_not_known_is_empty_and_nothing_is_a_formula() -> None:
    unknown = replace(LANES[0], steps=steps(math.nan))
    check, why = MODEL.checks[0], "=cmd|' /C calc'!A0\x1b[2J"
    evil = (CheckResult(check.name, check.status, why, check.findings),)
    files = csv_files(replace(MODEL, lanes=(unknown,), checks=evil))
    assert files["steps.csv"].splitlines()[1].endswith(",,")
    assert files["checks.csv"].splitlines()[1] == "alive,ok,'=cmd|' /C calc'!A0\\x1b[2J"


def test_csv_is_written_into_a_folder_that_is_made(tmp_path: Path) -> None:
    written = write_csv(tmp_path / "a/b", MODEL)
    assert {path.name: path.read_bytes() for path in written} == {
        name: text.encode() for name, text in csv_files(MODEL).items()
    }
    (tmp_path / "file").write_text("")
    with pytest.raises(FolderUnusable, match="CSV files cannot be written"):
        write_csv(tmp_path / "file", MODEL)


# -- TensorBoard --------------------------------------------------------------------


def events(folder: Path) -> Iterator[Event]:
    """TFRecords: a length, its checksum, so many bytes, their checksum."""
    (path,) = folder.iterdir()
    data = path.read_bytes()
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = Event()
        event.ParseFromString(data[12 : 12 + length])
        yield event
        data = data[16 + length :]


def test_scalars_bear_step_and_time(tmp_path: Path) -> None:
    folders = write_tensorboard(tmp_path, MODEL)
    assert folders == (tmp_path / "rank-0", tmp_path / "rank-1")
    began = MODEL.began_at_s
    found = [
        (value.tag, event.step, event.wall_time - began, value.simple_value)
        for event in events(folders[0])
        for value in event.summary.value
    ]
    assert found == [
        ("loss", 1, 4.5, 5.5), ("loss", 2, 5.0, 4.5),
        ("tokens_per_s", 1, 4.5, 64.0), ("tokens_per_s", 2, 5.0, 64.0),
        ("step_time_s", 1, 4.5, 0.5), ("step_time_s", 2, 4.75, 0.25),
        ("busy_s", 1, 4.5, 0.25), ("busy_s", 2, 4.75, 0.125),
    ]  # fmt: skip
    assert [[*event.summary.value] for event in events(folders[1])] == [[]]


def test_without_tensorboardx_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *given: Any, **more: Any) -> Any:
        if name == "tensorboardX":
            raise ImportError(name)
        return real(name, *given, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnusableSetting) as caught:
        write_tensorboard(tmp_path, MODEL)
    assert "pip install 'orchestrate[tensorboard]'" in caught.value.fix
