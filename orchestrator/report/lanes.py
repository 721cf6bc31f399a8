"""What one rank went through -> the spans and marks of its lane. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from msgspec import Struct

from orchestrator.records import CheckpointSaved, RankFailed, Record, Stacks, TrainingFinished
from orchestrator.report.model import Mark, MarkKind, Span, Steps
from orchestrator.state.observed import ObservedNode
from orchestrator.verify.rank_facts import Phase

PHASES = {
    "container": "container",
    "interpreter": "Python starts",
    "torch": "import torch",
    "init": "up to init_process_group",
    "resolve": "master's name",
    "reach": "connection to the master",
    "store": "wait for peers",
    "collective": "collective",
    "setup": "joined, up to the first step",
    "training": "training",
    "ending": "after the last step",
    "stuck": "got no further",
}
"""What a span's phase is called, in the order in which a rank goes through them."""

_LEADS_TO = {
    Phase.INTERPRETER: "interpreter",
    Phase.TORCH: "torch",
    Phase.RENDEZVOUS: "init",
    Phase.RESOLVED: "resolve",
    Phase.REACHED: "reach",
    Phase.STORE: "store",
    Phase.JOINED: "collective",
}
_ORDER = list(Phase)
_WAITS_IN = {Phase.REACHED: "store", Phase.STORE: "collective"}
"""Where a rank that came so far waits for others; one that came less far holds them up."""

MAX_MARKS = 1_000


class Passage(Struct, frozen=True):
    """What is known of one rank's way. Times are seconds since the epoch, as engines tell them.

    Attributes:
        node: its node as it was found last.
        phases: when it reached each phase.
        stopped_at: where it stopped, in words, if it never joined.
        until_s: when the lane ends: the node's end, or the last moment that is known.
    """

    node: ObservedNode
    phases: dict[Phase, float]
    stopped_at: str
    until_s: float


def spans_of(passage: Passage, steps: Steps, zero_s: float) -> tuple[Span, ...]:
    """The way of a rank from its container to its end, steps excepted."""
    found = [*_way(passage, zero_s)]
    at_s = found[-1].end_s if found else 0.0
    until_s = passage.until_s - zero_s
    if Phase.JOINED in passage.phases or len(steps):
        found += _around_steps(at_s, until_s, steps)
    elif found and passage.phases:
        phase = _WAITS_IN.get(max(passage.phases, key=_ORDER.index), "stuck")
        found.append(Span(phase, at_s, until_s, passage.stopped_at))
    return tuple(span for span in found if span.end_s > span.begin_s)


def _way(passage: Passage, zero_s: float) -> Iterator[Span]:
    node = passage.node
    if node.started_at_s is None:
        return
    at_s = node.started_at_s - zero_s
    if node.created_at_s is not None:
        yield Span("container", node.created_at_s - zero_s, at_s)
    for phase, reached_s in sorted(passage.phases.items(), key=lambda each: each[1]):
        yield Span(_LEADS_TO[phase], at_s, max(reached_s - zero_s, at_s))
        at_s = max(reached_s - zero_s, at_s)


def _around_steps(at_s: float, until_s: float, steps: Steps) -> Iterator[Span]:
    if not len(steps):
        yield Span("setup", at_s, until_s)
        return
    yield Span("setup", at_s, begin_of(steps, 0))
    yield Span("ending", max(steps.end_s), until_s)


def begin_of(steps: Steps, index: int) -> float:
    """When a step began; where nobody knows how long it took, when it was done."""
    took_s = steps.took_s[index]
    return steps.end_s[index] - (0.0 if math.isnan(took_s) else took_s)


def mark_of(record: Record, at_s: float) -> Mark | None:
    """What a record marks in its rank's lane; None for most."""
    match record:
        case CheckpointSaved(path=path, took_s=took_s):
            took = "" if took_s is None else f" in {took_s:.2f} s"
            return Mark("checkpoint", at_s, f"checkpoint saved{took} {path}".rstrip())
        case RankFailed(thread="", error_type=error_type, reason=reason):
            first = f"{error_type}: {reason}".strip(": ").splitlines() or ["no reason given"]
            return Mark("failed", at_s, f"failed: {first[0][:300]}")
        case Stacks(call=call, waited_s=waited_s):
            where = f" in {call}" if call else ""
            return Mark("stalled", at_s, f"no progress for {waited_s:.0f} s{where}")
        case TrainingFinished():
            return Mark("finished", at_s, "training finished")
        case _:
            return None


def end_mark(node: ObservedNode, zero_s: float, *, was_stopped: bool) -> Mark | None:
    """How the rank's node ended; None while it runs.

    Args:
        node: as it was found last.
        zero_s: when the run began.
        was_stopped: whether it still ran when the run was judged.
    """
    if node.finished_at_s is None or node.exit_code is None:
        return None
    kind: MarkKind = "ended" if node.has_finished_well or was_stopped else "died"
    return Mark(kind, node.finished_at_s - zero_s, f"{node.name} {ending_of(node, was_stopped)}")


def ending_of(node: ObservedNode, was_stopped: bool) -> str:
    """How a node ended, in words."""
    return f"was stopped (exit code {node.exit_code})" if was_stopped else node.ending
