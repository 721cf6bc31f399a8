"""What is known of one rank: its records folded into a few bounded numbers. Pure.

The probe and a script that knows of records may both report a join and steps. They are
kept apart: a rank must have joined once by each writer's count, and what the probe saw comes
first, because it is the same for every script.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import StrEnum

from msgspec import Struct, field

from orchestrator.playbook.health import MAX_MEASURED_STEPS
from orchestrator.records import (
    CheckpointSaved,
    Environment,
    GpuUsed,
    InterpreterStarted,
    MasterReached,
    NameResolved,
    Parameters,
    ProcessEnded,
    ProcessGroupJoined,
    RankFailed,
    Record,
    RendezvousStarted,
    Stacks,
    Step,
    StoreJoined,
    TorchImported,
    TrainingFinished,
)

LOSS_WINDOW = 5
MAX_JOINS = 3
MAX_CHECKSUMS = 64
MAX_VARIABLES = 4096
MAX_LOSSES = 1_000

TimedJoin = tuple[float, ProcessGroupJoined]


class Phase(StrEnum):
    """How far a rank has come on its way into the group, in this order."""

    INTERPRETER = "interpreter started"
    TORCH = "torch imported"
    RENDEZVOUS = "rendezvous started"
    RESOLVED = "name resolved"
    REACHED = "master reached"
    STORE = "store joined"
    JOINED = "group formed"


_PHASES = {
    InterpreterStarted: Phase.INTERPRETER,
    TorchImported: Phase.TORCH,
    RendezvousStarted: Phase.RENDEZVOUS,
    MasterReached: Phase.REACHED,
    StoreJoined: Phase.STORE,
    ProcessGroupJoined: Phase.JOINED,
}


class Joins(Struct):
    """The joins that one writer has reported of a rank: the first few, and how many."""

    first: list[TimedJoin] = field(default_factory=list)
    count: int = 0

    def add(self, at_s: float, record: ProcessGroupJoined) -> None:
        """Note one more."""
        self.count += 1
        if self.count <= MAX_JOINS:
            self.first.append((at_s, record))


class Series(Struct):
    """A sequence of numbers of which only the latest are kept, and how many there were."""

    latest: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_MEASURED_STEPS))
    count: int = 0

    def extend(self, values: Iterable[float]) -> None:
        """Take what comes next."""
        for value in values:
            self.latest.append(value)
            self.count += 1

    def after(self, first: int) -> tuple[float, ...]:
        """What is kept of all but the first so many."""
        forgotten = self.count - len(self.latest)
        return tuple(self.latest)[max(0, first - forgotten) :]


class RankFacts(Struct):
    """What one rank has reported. Times are seconds since the epoch, by the engine's clock.

    Attributes:
        phases: when each phase was first reported.
        name_error: why the master's name did not resolve when it was last tried; empty once it
            did.
        environment: digests of the variables, as far as they have come; `num_variables` says of
            how many, and is None until one came.
        step_times_s: durations of the steps: those that the probe measured, else those that the
            script says.
        busy_s: how much of each step the rank was at work, where the probe could tell.
        tokens_per_s: of the whole group, as the script says.
        checksums: `{step: checksum}` over all parameters, of the latest steps it was taken at.
        losses: `{step: loss}` of the first MAX_LOSSES steps.
        gpu_used: the GPU that a step was made on, where it is not the one of the join.
    """

    probe_joins: Joins = field(default_factory=Joins)
    script_joins: Joins = field(default_factory=Joins)
    phases: dict[Phase, float] = field(default_factory=dict)
    interpreter: InterpreterStarted | None = None
    torch: TorchImported | None = None
    rendezvous: RendezvousStarted | None = None
    name_error: str = ""
    environment: dict[str, str] = field(default_factory=dict)
    num_variables: int | None = None
    last_step: int = 0
    last_step_at_s: float | None = None
    first_step_at_s: float | None = None
    milestone_at_s: float | None = None
    longest_gap_s: float = 0.0
    longest_gap_before: int = 0
    step_times_s: Series = field(default_factory=Series)
    busy_s: Series = field(default_factory=Series)
    tokens_per_s: Series = field(default_factory=Series)
    checksums: dict[int, str] = field(default_factory=dict)
    losses: dict[int, float] = field(default_factory=dict)
    num_losses: int = 0
    first_losses: list[float] = field(default_factory=list)
    last_losses: deque[float] = field(default_factory=lambda: deque(maxlen=LOSS_WINDOW))
    bad_loss_at_step: int | None = None
    num_checkpoints: int = 0
    failure: str = ""
    failed_at_s: float | None = None
    traceback: str = ""
    stacks: Stacks | None = None
    stacks_at_s: float | None = None
    has_finished: bool = False
    gpu_used: str | None = None
    _probe_times: bool = False

    @property
    def joins(self) -> list[TimedJoin]:
        """The joins that count: the probe's, or the script's where the probe has seen none."""
        return (self.probe_joins if self.probe_joins.count else self.script_joins).first

    @property
    def num_joins(self) -> int:
        """How often the rank has joined, by the writer who counted most."""
        return max(self.probe_joins.count, self.script_joins.count)

    @property
    def joined_at_s(self) -> float | None:
        """When the first join was reported, by whomever."""
        times = [
            joins.first[0][0] for joins in (self.probe_joins, self.script_joins) if joins.first
        ]
        return min(times, default=None)

    @property
    def gpu(self) -> str | None:
        """The UUID of the GPU in use, as far as the probe or the script has said."""
        joins = (*self.probe_joins.first[:1], *self.script_joins.first[:1])
        return self.gpu_used or next((join.gpu for _, join in joins if join.gpu), None)

    @property
    def knows_environment(self) -> bool:
        """True when every part of the rank's environment has come."""
        return self.num_variables is not None and len(self.environment) >= self.num_variables

    @property
    def phase(self) -> Phase | None:
        """The furthest phase that was reached; None when nothing was heard."""
        return max(self.phases, key=list(Phase).index, default=None)

    def add(self, at_s: float, record: Record, milestone: int) -> None:
        """Fold one record in."""
        if phase := _PHASES.get(type(record)):
            self.phases.setdefault(phase, at_s)
        match record:
            case ProcessGroupJoined(source=source):
                joins = self.probe_joins if source == "probe" else self.script_joins
                joins.add(at_s, record)
            case Step():
                self._add_step(at_s, record, milestone)
            case RankFailed(thread=""):
                if self.failed_at_s is None:
                    self.failure, self.failed_at_s = _reason(record), at_s
                    self.traceback = record.traceback[-4096:]
            case TrainingFinished():
                self.has_finished = True
            case CheckpointSaved():
                self.num_checkpoints += 1
            case _:
                self._add_of_probe(at_s, record)

    def _add_of_probe(self, at_s: float, record: Record) -> None:
        match record:
            case InterpreterStarted():
                self.interpreter = self.interpreter or record
            case TorchImported():
                self.torch = self.torch or record
            case RendezvousStarted():
                self.rendezvous = record  # the latest: a script may try again elsewhere
            case NameResolved(error=error):
                self.name_error = error
                if not error:
                    self.phases.setdefault(Phase.RESOLVED, at_s)
            case Stacks():
                if self.stacks is None:
                    self.stacks, self.stacks_at_s = record, at_s
            case ProcessEnded(steps=steps) if steps:
                self.has_finished = True
            case _:
                self._add_for_comparison(record)

    def _add_for_comparison(self, record: Record) -> None:
        match record:
            case Environment():
                self._add_environment(record)
            case Parameters():
                self._add_checksum(record)
            case GpuUsed(gpu=gpu):
                self.gpu_used = gpu
            case _:
                pass  # MasterReached, StoreJoined: their phase is all; ProbeFault: the node's

    def _add_environment(self, record: Environment) -> None:
        if len(self.environment) + len(record.digests) <= MAX_VARIABLES:
            self.environment |= record.digests
        self.num_variables = record.num_variables

    def _add_step(self, at_s: float, record: Step, milestone: int) -> None:
        since = self.last_step_at_s or self.joined_at_s
        if since is not None and at_s - since > self.longest_gap_s:
            self.longest_gap_s, self.longest_gap_before = at_s - since, record.step
        if self.first_step_at_s is None:
            self.first_step_at_s = at_s
        self.last_step, self.last_step_at_s = max(record.step, self.last_step), at_s
        self.stacks = self.stacks_at_s = None  # a stall that was got over
        if self.milestone_at_s is None and record.step >= milestone:
            self.milestone_at_s = at_s
        self._add_times(record)
        if record.loss is not None:
            self._add_loss(record.step, record.loss)

    def _add_times(self, record: Step) -> None:
        if record.source == "probe" and not self._probe_times:
            self._probe_times = True
            self.step_times_s = Series()
        if record.source == "probe":
            self.step_times_s.extend(record.took_s)
            self.busy_s.extend(record.worked_s)
        elif not self._probe_times and _is_positive(record.step_time_s):
            self.step_times_s.extend([record.step_time_s or 0.0])
        if _is_positive(record.tokens_per_s):
            self.tokens_per_s.extend([record.tokens_per_s or 0.0])

    def _add_checksum(self, record: Parameters) -> None:
        self.checksums[record.step] = record.checksum
        if len(self.checksums) > MAX_CHECKSUMS:
            del self.checksums[min(self.checksums)]

    def _add_loss(self, step: int, loss: float) -> None:
        if not abs(loss) < float("inf"):
            if self.bad_loss_at_step is None:
                self.bad_loss_at_step = step
            return
        self.num_losses += 1
        if len(self.losses) < MAX_LOSSES:
            self.losses[step] = loss
        if len(self.first_losses) < LOSS_WINDOW:
            self.first_losses.append(loss)
        self.last_losses.append(loss)


def _is_positive(number: float | None) -> bool:
    return number is not None and 0 < number < float("inf")


def _reason(record: RankFailed) -> str:
    kind = f"{record.error_type}: " if record.error_type else ""
    lines = f"{kind}{record.reason}".strip().splitlines() or ["it gave no reason"]
    return lines[0][:500]
