"""The columns of a run -> the few numbers that people read first. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median

from msgspec import Struct

from orchestrator.report.model import Lane, ReportModel
from orchestrator.verify.results import Finding


class RankSummary(Struct, frozen=True):
    """A rank in numbers; None where nobody knows."""

    rank: int
    node: str
    joined_s: float | None
    num_steps: int
    step_s: float | None
    slow_step_s: float | None
    busy_s: float | None
    tokens_per_s: float | None
    first_loss: float | None
    last_loss: float | None


class Figure(Struct, frozen=True):
    """A number with its name, in words, and what it is made of."""

    name: str
    value: str
    more: str = ""


def rank_summaries(model: ReportModel) -> tuple[RankSummary, ...]:
    """Every rank, in rank order."""
    names = {node.node_rank: node.name for node in model.nodes}
    return tuple(_rank_summary(lane, names.get(lane.node_rank, "")) for lane in model.lanes)


def _rank_summary(lane: Lane, node: str) -> RankSummary:
    took, losses = known(lane.steps.took_s), known(lane.told.loss)
    return RankSummary(
        rank=lane.rank,
        node=node,
        joined_s=dict(lane.reached_s).get("joined"),
        num_steps=len(lane.steps),
        step_s=_median(took),
        slow_step_s=_percentile(took, 0.95),
        busy_s=_median(known(lane.steps.busy_s)),
        tokens_per_s=_median(known(lane.told.tokens_per_s)),
        first_loss=losses[0] if losses else None,
        last_loss=losses[-1] if losses else None,
    )


def figures(model: ReportModel) -> tuple[Figure, ...]:
    """What a run comes to; what nobody knows is left out."""
    ranks = rank_summaries(model)
    found = (
        Figure("Ranks", str(len(model.lanes)), f"on {len(model.nodes)} {_nodes(model)}"),
        _joined(ranks),
        _steps(ranks),
        _figure("Step time", _median(_all(r.step_s for r in ranks)), seconds, "median"),
        _figure("Tokens/s", _median(_all(r.tokens_per_s for r in ranks)), amount, "median"),
        _loss(ranks),
        _memory(model),
        Figure("Took", seconds(model.until_s)),
    )
    return tuple(figure for figure in found if figure is not None)


def _nodes(model: ReportModel) -> str:
    return "node" if len(model.nodes) == 1 else "nodes"


def _joined(ranks: Sequence[RankSummary]) -> Figure | None:
    times = _all(rank.joined_s for rank in ranks)
    if not times:
        return Figure("Joined", "no rank") if ranks else None
    more = "" if len(times) == len(ranks) else f"{len(times)} of {len(ranks)} ranks"
    return Figure("Joined after", seconds(max(times)), more or "all ranks")


def _steps(ranks: Sequence[RankSummary]) -> Figure | None:
    counts = [rank.num_steps for rank in ranks]
    if not any(counts):
        return None
    least, most = min(counts), max(counts)
    return Figure("Steps", amount(most), "on every rank" if least == most else f"at least {least}")


def _loss(ranks: Sequence[RankSummary]) -> Figure | None:
    for rank in ranks:
        if rank.first_loss is not None and rank.last_loss is not None:
            return Figure("Loss", number(rank.last_loss), f"from {number(rank.first_loss)}")
    return None


def _memory(model: ReportModel) -> Figure | None:
    peaks = [max(n.usage.memory_bytes, default=0.0) for n in model.nodes]
    most = max(peaks, default=0.0)
    return Figure("Most memory", size(most), "of one node") if most else None


def _figure(name: str, value: float | None, told: object, more: str) -> Figure | None:
    return Figure(name, told(value), more) if value is not None and callable(told) else None


# -- findings ---------------------------------------------------------------------


class Alike(Struct, frozen=True):
    """Ranks or nodes in which a check found the same: `where` names them."""

    where: str
    expected: str
    found: str


def alike(findings: Sequence[Finding]) -> tuple[Alike, ...]:
    """The findings of a check, those that say the same as one, in the order of the first."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for each in findings:
        kind, number = ("node", each.node_rank) if each.rank is None else ("rank", each.rank)
        groups.setdefault((kind, each.expected, each.found), []).append(number)
    return tuple(
        Alike(f"{kind}{'s' if len(numbers) > 1 else ''} {ranges(numbers)}", expected, found)
        for (kind, expected, found), numbers in groups.items()
    )


def ranges(numbers: Iterable[int]) -> str:
    """Whole numbers in brief: `0 to 3, 5, 7 to 9`."""
    runs: list[list[int]] = []
    for number in sorted(set(numbers)):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(
        f"{run[0]} to {run[-1]}" if len(run) > 2 else ", ".join(map(str, run)) for run in runs
    )


# -- numbers ----------------------------------------------------------------------


def known(column: Iterable[float]) -> list[float]:
    """The numbers of a column that are known."""
    return [value for value in column if not math.isnan(value)]


def _all(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _median(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def _percentile(values: Sequence[float], share: float) -> float | None:
    """The least value that so large a share of all is not above."""
    return sorted(values)[math.ceil(share * len(values)) - 1] if values else None


# -- words ------------------------------------------------------------------------


def seconds(value: float | None) -> str:
    """A duration for people."""
    if value is None:
        return "-"
    if abs(value) < 1:
        return f"{value * 1000:.0f} ms" if abs(value) >= 0.01 else f"{value * 1000:.2g} ms"
    if abs(value) < 120:
        return f"{value:.1f} s"
    minutes, left = divmod(round(value), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {left:02d} s"


def number(value: float | None) -> str:
    """A number of no unit."""
    return "-" if value is None else f"{value:.4g}"


def amount(value: float | None) -> str:
    """A count, in groups of three digits."""
    return "-" if value is None else f"{value:,.0f}"


def size(value: float | None) -> str:
    """A number of bytes."""
    if value is None:
        return "-"
    left = float(value)
    for unit in ("B", "KiB", "MiB"):
        if abs(left) < 1024:
            return f"{left:.0f} {unit}"
        left /= 1024
    return f"{left:.2f} GiB"
