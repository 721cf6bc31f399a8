"""A run -> the data that the page's script draws, as compact as JSON allows. Pure.

Columns are base64 of little-endian numbers, four bytes each but for times; a column of
consecutive whole numbers is its first and its length, one of which nothing is known is null.
Every text is without secrets and without characters that are not visible.
"""

from __future__ import annotations

import base64
import json
import math
import sys
from array import array
from typing import Any

from orchestrator.printable import printable
from orchestrator.redaction import redacted
from orchestrator.report.lanes import PHASES
from orchestrator.report.model import Lane, NodeView, ReportModel

_CODES = {"f": "f32", "d": "f64", "I": "u32"}


def packed(model: ReportModel, other: ReportModel | None = None) -> str:
    """The data as JSON that is safe inside a script element."""
    document: dict[str, Any] = {
        "until": round(model.until_s, 3),
        "phases": PHASES,
        "lanes": [_lane(lane) for lane in model.lanes],
        "nodes": [_node(node) for node in model.nodes],
        "other": None if other is None else _other(other),
    }
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    # Nothing in it may end the element, or begin a comment or a script in it.
    return text.replace("<", "\\u003c")


def _lane(lane: Lane) -> dict[str, Any]:
    return {
        "rank": lane.rank,
        "node": lane.node_rank,
        "spans": [[s.phase, _ms(s.begin_s), _ms(s.end_s), shown(s.text)] for s in lane.spans],
        "marks": [[m.kind, _ms(m.at_s), shown(m.text)] for m in lane.marks],
        **_curves(lane),
    }


def _curves(lane: Lane) -> dict[str, Any]:
    steps, told = lane.steps, lane.told
    return {
        "step": column(steps.number),
        "end": column(steps.end_s),
        "took": column(steps.took_s),
        "busy": column(steps.busy_s),
        "toldStep": column(told.number),
        "loss": column(told.loss),
        "tokens": column(told.tokens_per_s),
    }


def _node(node: NodeView) -> dict[str, Any]:
    return {
        "rank": node.node_rank,
        "name": shown(node.name),
        "cpus": node.cpus,
        "memory": node.memory_bytes,
        "at": column(node.usage.at_s),
        "processors": column(node.usage.processors),
        "bytes": column(node.usage.memory_bytes),
    }


def _other(other: ReportModel) -> dict[str, Any]:
    """Of the run that is compared with, what is drawn over this one: its first rank's curves."""
    lanes = [lane for lane in other.lanes if len(lane.told) or len(lane.steps)]
    return {"run": shown(other.run_id), **(_curves(lanes[0]) if lanes else _curves(Lane(0, 0)))}


def column(values: array[Any]) -> Any:
    """A column as JSON."""
    if values.typecode == "I":
        first = values[0] if values else 0
        if all(value == first + at for at, value in enumerate(values)):
            return {"from": first, "n": len(values)}
    elif all(math.isnan(value) for value in values):
        return None
    data = values
    if sys.byteorder == "big":
        data = values[:]
        data.byteswap()
    return {_CODES[values.typecode]: base64.b64encode(data.tobytes()).decode("ascii")}


def shown(text: str) -> str:
    """A text that may stand on the page."""
    return printable(redacted(text))


def _ms(seconds: float) -> float:
    return round(seconds, 4)
