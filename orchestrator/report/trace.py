"""A run -> a trace in Chrome's Trace Event Format, which Perfetto and chrome://tracing open. Pure.

Nodes are its processes and ranks their threads. Times are microseconds since the run began.
The format: docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

from orchestrator.report.lanes import PHASES, begin_of
from orchestrator.report.model import Lane, NodeView, ReportModel
from orchestrator.report.packing import shown

TraceEvent = dict[str, Any]


def trace_document(model: ReportModel) -> dict[str, Any]:
    """The whole trace."""
    return {
        "traceEvents": [*_events(model)],
        "displayTimeUnit": "ms",
        "otherData": {
            "project": model.project,
            "run_id": model.run_id,
            "engine": model.engine,
            "verdict": model.verdict,
            "began_at_s": model.began_at_s,
        },
    }


def trace_text(model: ReportModel) -> str:
    """The trace as a file has it."""
    return json.dumps(trace_document(model), separators=(",", ":"), allow_nan=False) + "\n"


def _events(model: ReportModel) -> Iterator[TraceEvent]:
    for node in model.nodes:
        yield _names("process_name", node.node_rank, 0, name=shown(node.name))
        yield _names("process_sort_index", node.node_rank, 0, sort_index=node.node_rank)
    for lane in model.lanes:
        yield _names("thread_name", lane.node_rank, lane.rank, name=f"rank {lane.rank}")
        yield _names("thread_sort_index", lane.node_rank, lane.rank, sort_index=lane.rank)
        yield from _lane_events(lane)
    for node in model.nodes:
        yield from _usage_events(node)


def _names(what: str, node: int, rank: int, **args: object) -> TraceEvent:
    return {"name": what, "ph": "M", "pid": node, "tid": rank, "args": args}


def _lane_events(lane: Lane) -> Iterator[TraceEvent]:
    where = {"pid": lane.node_rank, "tid": lane.rank}
    for span in lane.spans:
        args = {"what": shown(span.text)} if span.text else {}
        yield _complete(
            PHASES[span.phase], "phase", span.begin_s, span.end_s, where | {"args": args}
        )
    yield from _step_events(lane, where)
    for mark in lane.marks:
        yield {
            "name": mark.kind,
            "cat": "mark",
            "ph": "i",
            "s": "t",
            "ts": _us(mark.at_s),
            **where,
            "args": {"what": shown(mark.text)},
        }
    for at_s, loss, tokens in zip(
        lane.told.at_s, lane.told.loss, lane.told.tokens_per_s, strict=True
    ):
        found = {"loss": loss, "tokens per second": tokens}
        for name, value in found.items():
            if not math.isnan(value):
                yield _counter(name, at_s, {f"rank {lane.rank}": value}, where)


def _step_events(lane: Lane, where: dict[str, int]) -> Iterator[TraceEvent]:
    """Steps one after the other: those of a thread must not overlap, as clocks let them."""
    ended_s = -math.inf
    for index, end_s in enumerate(lane.steps.end_s):
        busy_s = lane.steps.busy_s[index]
        args: dict[str, object] = {"step": lane.steps.number[index]}
        if not math.isnan(busy_s):
            args["at work, ms"] = round(busy_s * 1000, 3)
        begin_s = min(max(begin_of(lane.steps, index), ended_s), end_s)
        yield _complete("step", "step", begin_s, end_s, where | {"args": args})
        ended_s = end_s


def _usage_events(node: NodeView) -> Iterator[TraceEvent]:
    where = {"pid": node.node_rank, "tid": 0}
    usage = node.usage
    for at_s, processors, memory in zip(
        usage.at_s, usage.processors, usage.memory_bytes, strict=True
    ):
        yield _counter("processors", at_s, {"busy": processors}, where)
        yield _counter("memory", at_s, {"MiB": memory / 2**20}, where)


def _complete(
    name: str, kind: str, begin_s: float, end_s: float, more: dict[str, Any]
) -> TraceEvent:
    begin, end = _us(begin_s), _us(end_s)
    return {"name": name, "cat": kind, "ph": "X", "ts": begin, "dur": end - begin, **more}


def _counter(name: str, at_s: float, values: dict[str, float], where: dict[str, int]) -> TraceEvent:
    args = {key: round(value, 6) for key, value in values.items()}
    return {"name": name, "ph": "C", "ts": _us(at_s), **where, "args": args}


def _us(seconds: float) -> int:
    return round(seconds * 1e6)
