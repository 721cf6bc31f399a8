"""What nodes answered when this machine knocked at their ports, folded into a few facts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, field

from orchestrator.playbook.health import Check, Http, Tcp
from orchestrator.state.observed import ObservedNode

OPEN = "open"
"""What is said of a port that takes connections."""

MAX_KINDS = 16
"""Different answers of a node that are remembered."""


class Question(Struct, frozen=True):
    """One port of one node; `kind` is that of the check, and `path` is for http alone.

    `wanted` is the answer that ends the asking.
    """

    kind: str
    node_rank: int
    address: str
    port: int
    path: str
    wanted: str


class Answer(Struct, frozen=True):
    """What came: `open`, the status of an HTTP response, or why nothing did."""

    kind: str
    node_rank: int
    at_s: float
    said: str


class Answers(Struct):
    """All answers of one port: when each was first given, and the last one."""

    first: dict[str, float] = field(default_factory=dict)
    last: str = ""

    def add(self, answer: Answer) -> None:
        """Fold one in."""
        self.last = answer.said
        if len(self.first) < MAX_KINDS:
            self.first.setdefault(answer.said, answer.at_s)


def wanted_answer(check: Http | Tcp) -> str:
    """The answer that a check waits for."""
    return str(check.status) if isinstance(check, Http) else OPEN


def asks_nodes(checks: Sequence[Check]) -> bool:
    """True when a check rests on answers."""
    return any(isinstance(check, Http | Tcp) for check in checks)


def questions(checks: Sequence[Check], nodes: Sequence[ObservedNode]) -> tuple[Question, ...]:
    """What must be asked of these nodes for these checks, of those that run and can be reached."""
    return tuple(
        Question(
            check.kind,
            node.node_rank,
            node.address,
            check.port,
            check.path if isinstance(check, Http) else "",
            wanted_answer(check),
        )
        for check in checks
        if isinstance(check, Http | Tcp)
        for node in nodes
        if node.is_active and node.address and check.node in (None, node.node_rank)
    )
