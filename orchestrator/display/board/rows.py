"""The nodes of a board -> rows of text: one for each, or one for all that are alike. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from statistics import median

from msgspec import Struct

from orchestrator.display.board.model import DONE, TRAINING, NodeView
from orchestrator.printable import log_text
from orchestrator.redaction import redacted

BARS = "▁▂▃▄▅▆▇"
"""Without the full block, which would touch the row above."""

SPARK_CELLS = 8

STEPS_APART = 1
"""Ranks report a step at slightly different times: so far apart they are still in step."""

SLOW_RATIO = 1.5
SLOW_SHARE = 0.25
"""A node is slow that works so many times as long in a step as the others, by no less than this
share of a step."""


class Row(Struct, frozen=True):
    """One line of the table, cell by cell. `kind` is normal, bad, slow, done or rest."""

    node: str
    rank: str = ""
    state: str = ""
    phase: str = ""
    step: str = ""
    loss: str = ""
    tokens: str = ""
    time: str = ""
    spark: str = ""
    cpu: str = ""
    memory: str = ""
    last_line: str = ""
    kind: str = "normal"
    node_rank: int = -1  # of a row of one node


def rows_of(nodes: Sequence[NodeView], max_rows: int) -> tuple[Row, ...]:
    """The table of these nodes, in rank order, in no more than so many rows.

    Where there are more nodes than rows, those that are alike share one; of those that differ
    the ones that have failed or are behind come before the others.
    """
    usual = _usual_step(nodes)
    slow = _slow(nodes)
    if len(nodes) <= max_rows:
        return tuple(_row([node], is_slow=_is_behind(node, usual, slow)) for node in nodes)
    groups: dict[object, list[NodeView]] = {}
    for node in nodes:
        groups.setdefault(_likeness(node, usual, slow), []).append(node)
    told = sorted(groups.values(), key=lambda group: _importance(group, usual, slow))
    shown, rest = (
        (told, []) if len(told) <= max_rows else (told[: max_rows - 1], told[max_rows - 1 :])
    )
    rows = [
        _row(group, is_slow=_is_behind(group[0], usual, slow))
        for group in sorted(shown, key=lambda group: group[0].node_rank)
    ]
    return (*rows, *_rest(rest))


def spans(numbers: Iterable[int]) -> str:
    """Numbers in rising order, briefly: `0-61, 63`."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def sparkline(values: Sequence[float], cells: int = SPARK_CELLS) -> str:
    """The latest values as bars from zero to the highest of them."""
    latest = values[-cells:]
    top = max(latest, default=0.0)
    if top <= 0:
        return ""
    return "".join(BARS[min(int(value / top * len(BARS)), len(BARS) - 1)] for value in latest)


def seconds(value: float) -> str:
    """How long something took, in three digits."""
    if value < 0.9995:
        return f"{value * 1000:.0f} ms"
    return f"{value:.2f} s" if value < 9.995 else f"{value:.1f} s"


def amount(value: float) -> str:
    """A large number, in three digits."""
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= factor * 0.9995:
            return f"{value / factor:#.3g}".rstrip(".") + unit
    return f"{value:.3g}"


def _loss(value: float) -> str:
    return f"{value:.4f}" if abs(value) < 100 else f"{value:.4g}"


def size(num_bytes: float) -> str:
    """Bytes, in three digits at most."""
    for factor, unit in ((2**40, "T"), (2**30, "G"), (2**20, "M"), (2**10, "k")):
        if num_bytes >= factor * 0.9995:
            value = num_bytes / factor
            return (
                f"{value:.1f}{unit}" if value < 9.95 and factor >= 2**30 else f"{value:.0f}{unit}"
            )
    return f"{num_bytes:.0f}"


def _usual_step(nodes: Sequence[NodeView]) -> float | None:
    """The step that most of those that train have done."""
    steps = [node.step for node in nodes if node.phase == TRAINING]
    return median(steps) if steps else None


def _slow(nodes: Sequence[NodeView]) -> frozenset[int]:
    """The nodes that work so much longer in a step that the others wait for them."""
    busy = {node.node_rank: node.busy_s for node in nodes if node.phase == TRAINING and node.busy_s}
    if len(busy) < 2:
        return frozenset()
    step_s = median(node.step_times_s[-1] for node in nodes if node.step_times_s)
    return frozenset(
        rank
        for rank, busy_s in busy.items()
        if busy_s > SLOW_RATIO * (others := median(v for r, v in busy.items() if r != rank))
        and busy_s - others > SLOW_SHARE * step_s
    )


def _is_behind(node: NodeView, usual: float | None, slow: frozenset[int]) -> bool:
    is_late = usual is not None and node.phase == TRAINING and node.step < usual - STEPS_APART
    return is_late or node.node_rank in slow


def _likeness(node: NodeView, usual: float | None, slow: frozenset[int]) -> object:
    """What nodes that share a row have in common."""
    step = node.step if node.phase != TRAINING or usual is None else None
    if step is None and usual is not None and abs(node.step - usual) > STEPS_APART:
        step = node.step
    return node.state, node.phase, step, node.node_rank in slow


def _importance(
    group: Sequence[NodeView], usual: float | None, slow: frozenset[int]
) -> tuple[int, int, int]:
    """Failed before behind before all others, of which the largest come first."""
    first = group[0]
    urgency = 0 if first.is_bad else 1 if _is_behind(first, usual, slow) else 2
    return urgency, -len(group), first.node_rank


def _row(group: Sequence[NodeView], *, is_slow: bool) -> Row:
    first = group[0]
    ranks = [rank for node in group for rank in node.ranks]
    ahead = max(node.step for node in group)
    # Their steps take equally long, so the times of any of them are those of all.
    times = max((node.step_times_s for node in group), key=len)
    return Row(
        node=spans(node.node_rank for node in group),
        rank=spans(ranks),
        state=first.state,
        phase=first.phase,
        step=_range((node.step or None for node in group), "{:.0f}".format),
        # Of those that are a step ahead, or the range would be that of two steps.
        loss=_range((node.loss for node in group if node.step == ahead), _loss),
        tokens=_range((node.tokens_per_s for node in group[:1]), amount),
        time=seconds(times[-1]) if times else "",
        spark=sparkline(times),
        cpu=_range((node.processors for node in group), "{:.1f}".format),
        memory=_range((node.memory_bytes for node in group), size),
        last_line=_shown(first.last_line) if len(group) == 1 else "",
        kind=_kind(first, is_slow=is_slow),
        node_rank=first.node_rank if len(group) == 1 else -1,
    )


def _kind(node: NodeView, *, is_slow: bool) -> str:
    if node.is_bad:
        return "bad"
    if is_slow:
        return "slow"
    return "done" if node.phase == DONE else "normal"


def _range(values: Iterable[float | None], told: Callable[[float], str]) -> str:
    """One number, or the lowest and the highest where they differ as shown."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    low, high = told(min(known)), told(max(known))
    return low if low == high else f"{low}-{high}"


def _rest(groups: Sequence[Sequence[NodeView]]) -> tuple[Row, ...]:
    nodes = sorted(node.node_rank for group in groups for node in group)
    if not nodes:
        return ()
    return (Row(node=spans(nodes), phase="…", kind="rest"),)


def _shown(line: str) -> str:
    """What a script wrote, fit for a terminal."""
    return redacted(log_text(line.encode("utf-8", "replace")))
