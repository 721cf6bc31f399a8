"""What is known of a run: log lines and node states, folded into a few numbers per rank.

Identity comes from where a line was read, never from what it says: a record counts for
rank r only if it was read from the node that was given rank r. Memory is bounded by the
number of ranks, whatever the nodes print.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from msgspec import Struct, field

from orchestrator.loglines import LINE_BYTES, LogEnd, LogLine
from orchestrator.records import ProbeFault, Record, RecordReader
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.answers import Answer, Answers
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.torchrun import Summary
from orchestrator.verify.words import Words

TAIL_LINES = 15
TAIL_CHARS = 400
MAX_IMPOSTORS = 5
MAX_PROCESSES = 1024
"""Processes of a node whose rank is remembered by their id; those after them stay unknown."""


class Impostor(Struct, frozen=True):
    """A record that its node had no right to send: for which rank, if it said, and why not."""

    rank: int | None
    event: str
    fault: str

    def __str__(self) -> str:
        return f"{self.event} of {self.fault}"


class NodeFacts(Struct):
    """What was read from one node: last lines, torchrun's summary, records it had no right to.

    `words` are the lines that say of a known trouble; `spoke_at_s` is when it wrote last.
    """

    tail: deque[str] = field(default_factory=lambda: deque(maxlen=TAIL_LINES))
    impostors: list[Impostor] = field(default_factory=list)
    torchrun: Summary = field(default_factory=Summary)
    words: Words = field(default_factory=Words)
    spoke_at_s: float | None = None
    processes: dict[int, int] = field(default_factory=dict)  # process id -> the rank it reported
    probe_fault: ProbeFault | None = None
    has_ended: bool = False
    reader: RecordReader = field(default_factory=RecordReader)


class RunFacts:
    """Folds the logs of one run. `add` takes what an engine's log methods hand over."""

    def __init__(self, desired: DesiredState, run_id: str, *, milestone: int = 1) -> None:
        self.desired = desired
        self.run_id = run_id
        self.ranks = {rank: RankFacts() for node in desired.nodes for rank in node.ranks}
        self.nodes = {node.node_rank: NodeFacts() for node in desired.nodes}
        self.answers: dict[tuple[str, int], Answers] = {}
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
            for record in node.reader.finish():
                self._add_record(LogLine(item.node_rank, node.spoke_at_s or 0.0, b""), node, record)
            return
        is_full = len(item.text) == LINE_BYTES
        reading = node.reader.read(item.text, continued=item.continued, is_full=is_full)
        if reading.own or not reading.records:
            self._add_text(item, node, reading.own)
        for record in reading.records:
            self._add_record(item, node, record)

    def _add_text(self, item: LogLine, node: NodeFacts, own: bytes) -> None:
        """Note what the script itself wrote."""
        text = own[:TAIL_CHARS].decode(errors="replace")
        node.tail.append(text)
        node.spoke_at_s = item.at_s
        node.words.add(item.at_s, text)
        if self._specs[item.node_rank].num_ranks > 1:
            node.torchrun.add(text, self._specs[item.node_rank].ranks)

    def _add_record(self, item: LogLine, node: NodeFacts, record: Record) -> None:
        if impostor := self._impostor(item.node_rank, record):
            if len(node.impostors) < MAX_IMPOSTORS and impostor not in node.impostors:
                node.impostors.append(impostor)
                if record.rank is not None and record.rank not in self._specs[item.node_rank].ranks:
                    self._claimants.setdefault(record.rank, set()).add(item.node_rank)
            return
        if isinstance(record, ProbeFault):
            node.probe_fault = node.probe_fault or record
        rank = self._rank_of(item.node_rank, node, record)
        if rank is not None:
            self.ranks[rank].add(item.at_s, record, self._milestone)

    def believed_rank(self, node_rank: int, record: Record) -> int | None:
        """The rank that a record counts for which was read from this node; None: for none."""
        node = self.nodes.get(node_rank)
        if node is None or self._impostor(node_rank, record):
            return None
        return self._rank_of(node_rank, node, record)

    def _rank_of(self, node_rank: int, node: NodeFacts, record: Record) -> int | None:
        """Whose record it is: as it says, else as its process has said, else the node's only one.

        None for a process of a node of several ranks, torchrun itself among them, that has not
        said yet which one it is.
        """
        if record.rank is not None:
            if record.pid is not None and len(node.processes) < MAX_PROCESSES:
                node.processes.setdefault(record.pid, record.rank)
            return record.rank
        ranks = self._specs[node_rank].ranks
        if len(ranks) == 1:
            return ranks[0]
        return node.processes.get(record.pid) if record.pid is not None else None

    def _impostor(self, node_rank: int, record: Record) -> Impostor | None:
        """Say why a record cannot be from who it says it is; None if it can."""
        if record.rank is not None and record.rank not in self._specs[node_rank].ranks:
            fault = f"rank {record.rank}, which is not this node's"
        elif record.run_id != self.run_id:
            fault = f"run {(record.run_id or '(none)')[:100]}, which is not this one"
        else:
            return None
        return Impostor(record.rank, record.event, fault)

    def claimants(self, rank: int) -> tuple[int, ...]:
        """The nodes that sent records of a rank that they were not given, in rank order."""
        return tuple(sorted(self._claimants.get(rank, ())))

    def add_answer(self, answer: Answer) -> None:
        """Fold in what a node answered at a port."""
        if answer.node_rank in self.nodes:
            key = (answer.kind, answer.node_rank)
            self.answers.setdefault(key, Answers()).add(answer)

    def given_answers(self) -> tuple[Answer, ...]:
        """Each different answer of each node, when it was first given."""
        return tuple(
            Answer(kind, node_rank, at_s, said)
            for (kind, node_rank), answers in self.answers.items()
            for said, at_s in answers.first.items()
        )

    def finish(self) -> None:
        """Say that no more lines will come."""
        for node in self.nodes.values():
            node.has_ended = True


def last_start_s(nodes: Iterable[ObservedNode]) -> float:
    """When the last node started: the moment from which deadlines count."""
    return max((node.started_at_s or 0.0 for node in nodes), default=0.0)
