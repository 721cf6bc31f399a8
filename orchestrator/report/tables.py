"""A run -> CSV files (RFC 4180), one for each kind of numbers. Pure but for writing them.

Times are seconds since the run began; what nobody knows is empty.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from orchestrator.errors import FolderUnusable
from orchestrator.kept.files import write_text
from orchestrator.report.lanes import PHASES
from orchestrator.report.model import ReportModel
from orchestrator.report.packing import shown

Cell = str | int | float | None
Row = Sequence[Cell]


def csv_files(model: ReportModel) -> dict[str, str]:
    """`{name of the file: its text}`."""
    return {
        "steps.csv": _csv(("rank", "step", "end_s", "took_s", "busy_s"), _steps(model)),
        "losses.csv": _csv(("rank", "step", "at_s", "loss", "tokens_per_s"), _losses(model)),
        "phases.csv": _csv(("rank", "node", "phase", "begin_s", "end_s"), _phases(model)),
        "marks.csv": _csv(("rank", "at_s", "kind", "text"), _marks(model)),
        "usage.csv": _csv(("node", "at_s", "processors", "memory_bytes"), _usage(model)),
        "checks.csv": _csv(("check", "status", "why"), _checks(model)),
    }


def write_csv(folder: Path, model: ReportModel) -> tuple[Path, ...]:
    """Write the files into a folder, which is made. Raises FolderUnusable."""
    files = csv_files(model)
    try:
        for name, text in files.items():
            write_text(folder / name, text)
    except OSError as exc:
        raise FolderUnusable(
            f"CSV files cannot be written into {folder}: {exc.strerror}",
            fix="choose another --csv",
        ) from exc
    return tuple(folder / name for name in files)


def _steps(model: ReportModel) -> Iterator[Row]:
    for lane in model.lanes:
        each = lane.steps
        for row in zip(each.number, each.end_s, each.took_s, each.busy_s, strict=True):
            yield lane.rank, row[0], *map(_rounded, row[1:])


def _losses(model: ReportModel) -> Iterator[Row]:
    for lane in model.lanes:
        each = lane.told
        for row in zip(each.number, each.at_s, each.loss, each.tokens_per_s, strict=True):
            yield lane.rank, row[0], *map(_rounded, row[1:])


def _phases(model: ReportModel) -> Iterator[Row]:
    names = {node.node_rank: node.name for node in model.nodes}
    for lane in model.lanes:
        for span in lane.spans:
            begin, end = _rounded(span.begin_s), _rounded(span.end_s)
            yield lane.rank, names.get(lane.node_rank, ""), PHASES[span.phase], begin, end


def _marks(model: ReportModel) -> Iterator[Row]:
    for lane in model.lanes:
        for mark in lane.marks:
            yield lane.rank, _rounded(mark.at_s), mark.kind, mark.text


def _usage(model: ReportModel) -> Iterator[Row]:
    for node in model.nodes:
        each = node.usage
        for at_s, processors, memory in zip(
            each.at_s, each.processors, each.memory_bytes, strict=True
        ):
            yield node.name, _rounded(at_s), _rounded(processors), int(memory)


def _checks(model: ReportModel) -> Iterator[Row]:
    for check in model.checks:
        yield check.name, check.status.value, check.why


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(value, 6)


def _csv(head: Sequence[str], rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return text.getvalue()


def _cell(cell: Cell) -> Cell:
    """A text that no spreadsheet takes for a formula (OWASP, CSV injection)."""
    if not isinstance(cell, str):
        return cell
    text = shown(cell)
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
