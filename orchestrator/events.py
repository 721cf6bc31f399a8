"""What happened, as typed facts in the past tense. The console prints them; nothing reads text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.loglines import LogLine
from orchestrator.plans.plan import Action, Plan
from orchestrator.state.observed import ObservedNode, ObservedSidecar
from orchestrator.state.usage import Usage

if TYPE_CHECKING:  # destroy tells events too, and does without the playbook's models
    from orchestrator.restarts import Restart
    from orchestrator.verify.answers import Answer
    from orchestrator.verify.diagnose import Diagnosis
    from orchestrator.verify.results import CheckResult


class PlanMade(Struct, frozen=True):
    """The plan is known; nothing has been done yet."""

    plan: Plan


class MachineWarned(Struct, frozen=True):
    """Something of this machine may not do for what is about to be started; docs/doctor.md."""

    about: str
    found: str
    why: str
    mend: str


class ActionStarted(Struct, frozen=True):
    """An engine began to perform an action."""

    action: Action


class ActionProgressed(Struct, frozen=True):
    """An action that takes long has something to say."""

    action: Action
    text: str


class ActionDone(Struct, frozen=True):
    """An action was performed."""

    action: Action
    took_s: float


class ActionFailed(Struct, frozen=True):
    """An action was refused by the engine; those after it are not tried."""

    action: Action
    reason: str


class AttemptBegan(Struct, frozen=True):
    """All nodes of an attempt were started; from now on they are followed."""

    nodes: tuple[ObservedNode, ...]


class LogEnded(Struct, frozen=True):
    """A node has ended and every line of it was told."""

    node_rank: int


class NodeSpoke(Struct, frozen=True):
    """A node wrote a line."""

    node_name: str
    line: LogLine


class NodesSampled(Struct, frozen=True):
    """The engine has counted what the nodes that run use of the machine."""

    usages: tuple[Usage, ...]


class NodeEnded(Struct, frozen=True):
    """A node's main process has exited."""

    node: ObservedNode


class CheckChanged(Struct, frozen=True):
    """A check has a status that it had not before."""

    result: CheckResult


class StillWaiting(Struct, frozen=True):
    """Nothing has been told for a while; these are the checks that are waited for."""

    pending: tuple[CheckResult, ...]
    waited_s: float


class FailureDiagnosed(Struct, frozen=True):
    """The run has failed, and this is why; what still runs is about to be stopped or kept."""

    diagnosis: Diagnosis


class AttemptJudged(Struct, frozen=True):
    """The checks of an attempt are settled: the results, and the moment that they hold for."""

    results: tuple[CheckResult, ...]
    nodes: tuple[ObservedNode, ...]
    at_s: float
    diagnosis: Diagnosis | None = None
    reference: Mapping[int, float] | None = None  # `{step: loss}` that losses were held against
    answers: tuple[Answer, ...] = ()  # what nodes answered at their ports, and when first
    sidecar: ObservedSidecar | None = None  # what the nodes leaned on, as it was found last


class GangStopped(Struct, frozen=True):
    """The nodes that still ran were stopped, because of a failure."""

    node_names: tuple[str, ...]
    took_s: float


class RestartDecided(Struct, frozen=True):
    """The attempt has failed, and the gang will be started again after a delay."""

    restart: Restart
    delay_s: float


class GangRestarted(Struct, frozen=True):
    """Every node of the gang was replaced by a new one, as a new run."""

    restart: Restart
    run_id: str
    took_s: float


class ReferenceStarted(Struct, frozen=True):
    """The command is run once in a single process, as what losses are compared with."""

    project: str


class ReferenceRan(Struct, frozen=True):
    """The run in a single process is there; `failure` says why it is of no use, if so."""

    project: str
    was_kept: bool
    failure: str
    took_s: float


Event = (
    PlanMade
    | MachineWarned
    | ActionStarted
    | ActionProgressed
    | ActionDone
    | ActionFailed
    | AttemptBegan
    | LogEnded
    | NodeSpoke
    | NodesSampled
    | NodeEnded
    | CheckChanged
    | StillWaiting
    | FailureDiagnosed
    | AttemptJudged
    | GangStopped
    | RestartDecided
    | GangRestarted
    | ReferenceStarted
    | ReferenceRan
)

Sink = Callable[[Event], None]
"""Takes events; called from one thread at a time."""
