"""Two runs -> what differs between them: playbook, versions, times, losses. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from statistics import median

from msgspec import Struct

from orchestrator.report.model import Lane, ReportModel
from orchestrator.report.summary import amount, known, number, rank_summaries, seconds


class Difference(Struct, frozen=True):
    """One thing in both runs, in words; `change` says by how much, where that can be told."""

    name: str
    this: str
    other: str
    change: str = ""


class Comparison(Struct, frozen=True):
    """This run against another.

    Attributes:
        playbook: lines of a unified diff, from the other to this; none where they are alike.
        versions: those that differ.
        times: how long each part took, on the median rank.
        losses: where they part, and by how much, in a line.
    """

    run_id: str
    project: str
    verdict: str
    playbook: tuple[str, ...]
    versions: tuple[Difference, ...]
    times: tuple[Difference, ...]
    losses: str


def compare(this: ReportModel, other: ReportModel) -> Comparison:
    """What differs."""
    return Comparison(
        other.run_id,
        other.project,
        other.verdict,
        tuple(_playbook_diff(this, other)),
        tuple(_versions(this, other)),
        tuple(_times(this, other)),
        _losses(this, other),
    )


def _playbook_diff(this: ReportModel, other: ReportModel) -> Iterator[str]:
    before, after = other.playbook.splitlines(), this.playbook.splitlines()
    found = difflib.unified_diff(before, after, lineterm="", n=2)
    # The two lines of file names say nothing here.
    yield from (line for at, line in enumerate(found) if at >= 2)


def _versions(this: ReportModel, other: ReportModel) -> Iterator[Difference]:
    ours, theirs = dict(this.versions), dict(other.versions)
    for name in ours | theirs:
        here, there = ours.get(name, "-"), theirs.get(name, "-")
        if here != there:
            yield Difference(name, here, there)


def _times(this: ReportModel, other: ReportModel) -> Iterator[Difference]:
    ours, theirs = _durations(this), _durations(other)
    for name in ours | theirs:
        yield _difference(name, ours.get(name), theirs.get(name), seconds)
    tokens = [_median([r.tokens_per_s for r in rank_summaries(m)]) for m in (this, other)]
    if tokens != [None, None]:
        yield _difference("tokens per second", tokens[0], tokens[1], amount)


def _difference(
    name: str, here: float | None, there: float | None, told: Callable[[float | None], str]
) -> Difference:
    change = ""
    if here is not None and there:
        change = f"{100 * (here / there - 1):+.0f} %"
    return Difference(name, told(here), told(there), change)


def _durations(model: ReportModel) -> dict[str, float]:
    """Medians over the ranks, in the order in which things happen."""
    found = {"joined after": [dict(lane.reached_s).get("joined") for lane in model.lanes]}
    for key, name in (("torch", "import torch"), ("store", "wait for peers"), ("setup", "set-up")):
        found[name] = [_span(lane, key) for lane in model.lanes]
    ranks = rank_summaries(model)
    found["step, median"] = [rank.step_s for rank in ranks]
    found["step, 95 of 100"] = [rank.slow_step_s for rank in ranks]
    medians = {name: _median(values) for name, values in found.items()}
    known_ones = {name: value for name, value in medians.items() if value is not None}
    return known_ones | {"the whole run": model.until_s}


def _span(lane: Lane, key: str) -> float | None:
    found = [span.end_s - span.begin_s for span in lane.spans if span.phase == key]
    return sum(found) if found else None


def _median(values: list[float | None]) -> float | None:
    found = [value for value in values if value is not None]
    return median(found) if found else None


def _losses(this: ReportModel, other: ReportModel) -> str:
    ours, theirs = _loss_by_step(this), _loss_by_step(other)
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        return "no step has a loss in both runs"
    apart = [step for step in shared if ours[step] != theirs[step]]
    if not apart:
        return f"the losses of all {len(shared)} steps that both have are equal"
    worst = max(apart, key=lambda step: abs(ours[step] - theirs[step]))
    return (
        f"{len(apart)} of {len(shared)} losses differ, from step {apart[0]} on; most at step "
        f"{worst}: {number(ours[worst])} here, {number(theirs[worst])} there"
    )


def _loss_by_step(model: ReportModel) -> dict[int, float]:
    """The losses of the first rank that has any."""
    for lane in model.lanes:
        if known(lane.told.loss):
            pairs = zip(lane.told.number, lane.told.loss, strict=True)
            return {step: loss for step, loss in pairs if loss == loss}  # noqa: PLR0124 (NaN)
    return {}
