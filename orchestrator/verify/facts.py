"""What is known of a run: log lines and node states, folded into a few numbers per rank.

Identity comes from where a line was read, never from what it says: a record counts for
rank r only if it was read from the node that was given rank r. Memory is bounded by the
number of ranks, whatever the nodes print.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import assert_never

from orchestrator.loglines import LogEnd, LogLine
from orchestrator.records import (
    ProcessGroupJoined,
    RankFailed,
    Record,
    Step,
    TrainingFinished,
    parse_record,
)
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.torchrun import Summary

TAIL_LINES = 15
TAIL_CHARS = 400
LOSS_WINDOW = 5
MAX_JOINS = 3
MAX_IMPOSTORS = 5


@dataclass
class RankFacts:
    """What one rank has reported. Times are seconds since the epoch, by the engine's clock."""

    joins: list[tuple[float, ProcessGroupJoined]] = field(default_factory=list)
    num_joins: int = 0
    last_step: int = 0
    last_step_at_s: float | None = None
    milestone_at_s: float | None = None
    longest_gap_s: float = 0.0
    longest_gap_before: int = 0
    num_losses: int = 0
    first_losses: list[float] = field(default_factory=list)
    last_losses: deque[float] = field(default_factory=lambda: deque(maxlen=LOSS_WINDOW))
    bad_loss_at_step: int | None = None
    failure: str = ""
    failed_at_s: float | None = None
    has_finished: bool = False

    @property
    def joined_at_s(self) -> float | None:
        """When the first join was reported."""
        return self.joins[0][0] if self.joins else None

    def add(self, at_s: float, record: Record, milestone: int) -> None:
        """Fold one record in."""
        match record:
            case ProcessGroupJoined():
                self._add_join(at_s, record)
            case Step():
                self._add_step(at_s, record, milestone)
            case RankFailed():
                if self.failed_at_s is None:
                    self.failure, self.failed_at_s = _reason(record), at_s
            case TrainingFinished():
                self.has_finished = True
            case _:
                assert_never(record)

    def _add_join(self, at_s: float, record: ProcessGroupJoined) -> None:
        self.num_joins += 1
        if self.num_joins <= MAX_JOINS:
            self.joins.append((at_s, record))

    def _add_step(self, at_s: float, record: Step, milestone: int) -> None:
        since = self.last_step_at_s or self.joined_at_s
        if since is not None and at_s - since > self.longest_gap_s:
            self.longest_gap_s, self.longest_gap_before = at_s - since, record.step
        self.last_step, self.last_step_at_s = record.step, at_s
        if self.milestone_at_s is None and record.step >= milestone:
            self.milestone_at_s = at_s
        if record.loss is not None:
            self._add_loss(record.step, record.loss)

    def _add_loss(self, step: int, loss: float) -> None:
        if not abs(loss) < float("inf"):
            if self.bad_loss_at_step is None:
                self.bad_loss_at_step = step
            return
        self.num_losses += 1
        if len(self.first_losses) < LOSS_WINDOW:
            self.first_losses.append(loss)
        self.last_losses.append(loss)


def _reason(record: RankFailed) -> str:
    kind = f"{record.error_type}: " if record.error_type else ""
    lines = f"{kind}{record.reason}".strip().splitlines() or ["it gave no reason"]
    return lines[0][:500]


@dataclass(frozen=True, slots=True)
class Impostor:
    """A record that its node had no right to send: for which rank, and why not."""

    rank: int
    event: str
    fault: str

    def __str__(self) -> str:
        return f"{self.event} of {self.fault}"


@dataclass
class NodeFacts:
    """What was read from one node: last lines, torchrun's summary, records it had no right to."""

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    impostors: list[Impostor] = field(default_factory=list)
    torchrun: Summary = field(default_factory=Summary)
    has_ended: bool = False


class RunFacts:
    """Folds the logs of one run. `add` takes what an engine's log methods hand over."""

    def __init__(self, desired: DesiredState, run_id: str, *, milestone: int = 1) -> None:
        self.desired = desired
        self.run_id = run_id
        self.ranks = {rank: RankFacts() for node in desired.nodes for rank in node.ranks}
        self.nodes = {node.node_rank: NodeFacts() for node in desired.nodes}
        self._specs: dict[int, NodeSpec] = {node.node_rank: node for node in desired.nodes}
        self._milestone = milestone
        self._claimants: dict[int, set[int]] = {}

    def add(self, item: LogLine | LogEnd) -> None:
        """Fold in one line, or the news that a node's log is complete."""
        node = self.nodes.get(item.node_rank)
        if node is None:
            return
        if isinstance(item, LogEnd):
            node.has_ended = True
            return
        text = item.text[:TAIL_CHARS].decode(errors="replace")
        node.tail.append(text)
        if self._specs[item.node_rank].num_ranks > 1:
            node.torchrun.add(text, self._specs[item.node_rank].ranks)
        record = None if item.continued else parse_record(item.text)
        if record is not None:
            self._add_record(item, node, record)

    def _add_record(self, item: LogLine, node: NodeFacts, record: Record) -> None:
        if impostor := self._impostor(item.node_rank, record):
            if len(node.impostors) < MAX_IMPOSTORS and impostor not in node.impostors:
                node.impostors.append(impostor)
                if record.rank not in self._specs[item.node_rank].ranks:
                    self._claimants.setdefault(record.rank, set()).add(item.node_rank)
            return
        self.ranks[record.rank].add(item.at_s, record, self._milestone)

    def _impostor(self, node_rank: int, record: Record) -> Impostor | None:
        """Say why a record cannot be from who it says it is; None if it can."""
        if record.rank not in self._specs[node_rank].ranks:
            fault = f"rank {record.rank}, which is not this node's"
        elif record.run_id != self.run_id:
            fault = f"run {(record.run_id or '(none)')[:100]}, which is not this one"
        else:
            return None
        return Impostor(record.rank, record.event, fault)

    def claimants(self, rank: int) -> tuple[int, ...]:
        """The nodes that sent records of a rank that they were not given, in rank order."""
        return tuple(sorted(self._claimants.get(rank, ())))

    def finish(self) -> None:
        """Say that no more lines will come."""
        for node in self.nodes.values():
            node.has_ended = True


def last_start_s(nodes: Iterable[ObservedNode]) -> float:
    """When the last node started: the moment from which deadlines count."""
    return max((node.started_at_s or 0.0 for node in nodes), default=0.0)
