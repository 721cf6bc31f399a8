"""What a report shows of a run, as values. Times are seconds since the run began.

A number that nobody knows is NaN in a column and None elsewhere.
"""

from __future__ import annotations

from array import array
from typing import Literal

from msgspec import Struct, field

from orchestrator.verify.diagnose import Diagnosis
from orchestrator.verify.results import CheckResult

MarkKind = Literal["checkpoint", "stalled", "failed", "finished", "ended", "died"]
Tone = Literal["plain", "good", "bad", "quiet"]


class Span(Struct, frozen=True):
    """What a rank was at for some time: a key of `PHASES` in `lanes.py`, and more in words."""

    phase: str
    begin_s: float
    end_s: float
    text: str = ""


class Mark(Struct, frozen=True):
    """Something that happened to a rank at a moment."""

    kind: MarkKind
    at_s: float
    text: str


class Steps(Struct, frozen=True):
    """The steps of a rank, column by column, in their order.

    Attributes:
        number: counted from 1 by who measured them.
        end_s: when it was done.
        took_s: how long it took.
        busy_s: how much of that the rank was at work.
    """

    number: array[int] = field(default_factory=lambda: array("I"))
    end_s: array[float] = field(default_factory=lambda: array("d"))
    took_s: array[float] = field(default_factory=lambda: array("f"))
    busy_s: array[float] = field(default_factory=lambda: array("f"))

    def __len__(self) -> int:
        return len(self.number)


class Told(Struct, frozen=True):
    """What a script says of its steps, by its own count."""

    number: array[int] = field(default_factory=lambda: array("I"))
    at_s: array[float] = field(default_factory=lambda: array("d"))
    loss: array[float] = field(default_factory=lambda: array("f"))
    tokens_per_s: array[float] = field(default_factory=lambda: array("f"))

    def __len__(self) -> int:
        return len(self.number)


class Lane(Struct, frozen=True):
    """One rank: how it came into the group, its steps, and what happened to it.

    `reached_s` has when each phase was reached, after its node's start, as `verify --json` has it.
    """

    rank: int
    node_rank: int
    spans: tuple[Span, ...] = ()
    marks: tuple[Mark, ...] = ()
    steps: Steps = field(default_factory=Steps)
    told: Told = field(default_factory=Told)
    reached_s: tuple[tuple[str, float | None], ...] = ()


class UsageSeries(Struct, frozen=True):
    """What a node used, look by look: processors since the look before, memory at the look."""

    at_s: array[float] = field(default_factory=lambda: array("d"))
    processors: array[float] = field(default_factory=lambda: array("f"))
    memory_bytes: array[float] = field(default_factory=lambda: array("d"))
    received_bytes: int | None = None
    sent_bytes: int | None = None


class NodeView(Struct, frozen=True):
    """One node: what it was given, how it ended, what it used."""

    node_rank: int
    name: str
    ranks: tuple[int, ...]
    ending: str
    tone: Tone
    address: str = ""
    image: str = ""
    network: str = ""
    command: str = ""
    cpus: float | None = None
    memory_bytes: int | None = None
    gpus: tuple[str, ...] = ()
    usage: UsageSeries = field(default_factory=UsageSeries)


class Happening(Struct, frozen=True):
    """A line of what was done."""

    at_s: float
    text: str
    tone: Tone = "plain"


class PlannedObject(Struct, frozen=True):
    """An object, what was to become of it, and why."""

    action: str
    kind: str
    name: str
    cause: str


class LastWords(Struct, frozen=True):
    """The end of what a node that ended badly has to say: a rank's traceback, or its last lines."""

    who: str
    lines: tuple[str, ...]


class Attempt(Struct, frozen=True):
    """An attempt before this one, that failed."""

    number: int
    cause: str
    run_id: str


class ReportModel(Struct, frozen=True):
    """All that a report shows.

    Attributes:
        began_at_s: when the run began, in seconds since the epoch: the zero of all times here.
        until_s: when the last thing happened.
        holds: True when every check holds.
        missing: what was kept no more, each in a few words.
        playbook: as it was resolved, without secrets.
        rendezvous: address and port that ranks were told to meet at.
    """

    project: str
    run_id: str
    engine: str
    began_at_s: float
    until_s: float
    holds: bool
    checks: tuple[CheckResult, ...]
    diagnosis: Diagnosis | None
    missing: tuple[str, ...] = ()
    last_words: tuple[LastWords, ...] = ()
    attempts: tuple[Attempt, ...] = ()
    plan: tuple[PlannedObject, ...] = ()
    happenings: tuple[Happening, ...] = ()
    lanes: tuple[Lane, ...] = ()
    nodes: tuple[NodeView, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    playbook: str = ""
    rendezvous: str = ""

    @property
    def verdict(self) -> str:
        """One word for how it went: what was not reached is no success either."""
        if self.holds:
            return "passed"
        return "failed" if self.diagnosis is not None else "unfinished"
