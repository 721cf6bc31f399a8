"""What a live board shows, as values: nodes, checks, and what is under way. Pure.

Two things change it: an event (`after`), and a look at the run that is followed (`seen`).
"""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median
from typing import TYPE_CHECKING

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.display.board.progress import Progress, advanced
from orchestrator.display.recap import doing
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    AttemptBegan,
    Event,
    FailureDiagnosed,
    GangRestarted,
    GangStopped,
    NodesSampled,
    PlanMade,
    ReferenceRan,
    ReferenceStarted,
    RestartDecided,
)
from orchestrator.plans.plan import ChangeNode, RemoveNode, StartNode
from orchestrator.state.observed import ObservedNode
from orchestrator.state.usage import Usage, processors_used

if TYPE_CHECKING:
    from orchestrator.verify.checks.run import Run
    from orchestrator.verify.facts import RunFacts
    from orchestrator.verify.rank_facts import RankFacts
    from orchestrator.verify.results import CheckResult
    from orchestrator.watch import Look

MAX_TIMES = 16
"""Step times that are kept of a node, for its sparkline."""

PLANNED, STARTING, STARTED, STOPPED = "planned", "starting", "started", "stopped"
TRAINING, DONE, FAILED = "training", "done", "failed"
WAY = (
    *(FAILED, STARTED, "interpreter", "torch", "rendezvous", "resolved", "reached", "store"),
    *("joined", TRAINING, DONE),
)
"""What a phase may be of a node that has started; of several ranks the first of these counts."""


class NodeView(Struct, frozen=True):
    """One node. Where it has several ranks, numbers are those of the rank that is behind.

    Attributes:
        state: of its container, in a word or two.
        phase: how far it has come on its way into the group and through its job.
        step: the optimizer steps that it has done.
        tokens_per_s: of the whole group, as the script says.
        step_times_s: of its latest steps.
        busy_s: how long it works in a step, where the probe can tell that from waiting.
        last_line: what its script wrote last, as it wrote it.
        processors: how many it keeps busy.
    """

    node_rank: int
    ranks: range
    state: str = PLANNED
    phase: str = ""
    step: int = 0
    loss: float | None = None
    tokens_per_s: float | None = None
    step_times_s: tuple[float, ...] = ()
    busy_s: float | None = None
    last_line: str = ""
    processors: float | None = None
    memory_bytes: int | None = None

    @property
    def is_bad(self) -> bool:
        """True when it has failed."""
        return self.phase == FAILED


class CheckView(Struct, frozen=True):
    """One check; `deadline_s` is when it fails if it does not hold by then."""

    result: CheckResult
    deadline_s: float | None = None


class TaskView(Struct, frozen=True):
    """Something that takes long and is under way."""

    text: str
    began_at_s: float
    progress: Progress = field(default_factory=Progress)


class Load(Struct, frozen=True):
    """What a node uses of the machine: how many processors, and the counts that this is from."""

    usage: Usage
    processors: float | None = None


class Board(Struct, frozen=True):
    """All that is shown. Times are seconds since the epoch."""

    title: str
    began_at_s: float
    run_id: str = ""
    nodes: tuple[NodeView, ...] = ()
    checks: tuple[CheckView, ...] = ()
    tasks: tuple[TaskView, ...] = ()
    loads: tuple[Load, ...] = ()


def after(board: Board, event: Event, now_s: float) -> Board:
    """The board once something has happened."""
    match event:
        case PlanMade(plan):
            nodes = tuple(_node_to_come(start, PLANNED) for start in plan.start_nodes)
            return replace(board, nodes=nodes)
        case ActionStarted() | ActionProgressed() | ActionDone() | ActionFailed():
            return _after_action(board, event, now_s)
        case AttemptBegan(nodes):
            return replace(board, nodes=tuple(map(_observed, nodes)), checks=(), tasks=(), loads=())
        case NodesSampled(usages):
            return replace(board, loads=_loads(board.loads, usages))
        case _:
            return _after_failure(board, event, now_s)


def _after_action(
    board: Board,
    event: ActionStarted | ActionProgressed | ActionDone | ActionFailed,
    now_s: float,
) -> Board:
    """Nodes are shown in their rows; what else takes time is a task of its own."""
    action = event.action
    if isinstance(action, StartNode):
        state, phase = _STARTS[type(event)]
        return _with_node(board, _node_to_come(action, state, phase))
    if isinstance(action, RemoveNode | ChangeNode):
        return board
    match event:
        case ActionStarted():
            return _with_task(board, doing(action), now_s)
        case ActionProgressed(_, text):
            return _progressed(board, doing(action), text)
        case _:
            return _without_task(board, doing(action))


_STARTS = {
    ActionStarted: (STARTING, ""),
    ActionProgressed: (STARTING, ""),
    ActionDone: ("running", STARTED),
    ActionFailed: ("not started", FAILED),
}
"""What the start of a node has come to: the state of its container, and its phase."""


def _after_failure(board: Board, event: Event, now_s: float) -> Board:
    match event:
        case FailureDiagnosed():
            return _with_task(board, "stop what still runs", now_s)
        case RestartDecided(restart):
            text = f"restart {restart.number} of {restart.limit}"
            return _with_task(board, text, now_s)
        case ReferenceStarted(project):
            return _with_task(board, f"single process {project}, for comparison", now_s)
        case GangStopped():
            return replace(board, nodes=tuple(map(_stopped, board.nodes)), tasks=())
        case GangRestarted() | ReferenceRan():
            return replace(board, tasks=())
        case _:
            return board


def seen(board: Board, look: Look) -> Board:
    """The board once the run was looked at."""
    from orchestrator.verify.checks.deadlines import deadline_of

    run, loads = look.run, {load.usage.node_rank: load for load in board.loads}
    deadlines = (None, *(deadline_of(check, run) for check in look.checks))
    return replace(
        board,
        run_id=run.facts.run_id,
        nodes=tuple(
            _loaded(_followed(node, run), loads.get(node.node_rank))
            for node in run.nodes
            if node.run_id == run.facts.run_id
        ),
        checks=tuple(map(CheckView, look.results, deadlines)),
    )


def _loads(known: tuple[Load, ...], usages: Iterable[Usage]) -> tuple[Load, ...]:
    """The loads of nodes after one more look at them; those that have ended use nothing more."""
    before = {load.usage.node_rank: load.usage for load in known}
    return tuple(
        Load(usage, processors_used(before[usage.node_rank], usage))
        if usage.node_rank in before
        else Load(usage)
        for usage in usages
    )


def _node_to_come(start: StartNode, state: str, phase: str = "") -> NodeView:
    return NodeView(start.node.node_rank, start.node.ranks, state, phase)


def _stopped(node: NodeView) -> NodeView:
    """A node once all that still ran were stopped; how far it had come stays."""
    return node if node.phase in {DONE, FAILED} else replace(node, state=STOPPED)


def _with_node(board: Board, node: NodeView) -> Board:
    """The board with one node as it is now."""
    rest = (each for each in board.nodes if each.node_rank != node.node_rank)
    return replace(board, nodes=tuple(sorted((*rest, node), key=lambda each: each.node_rank)))


def _with_task(board: Board, text: str, now_s: float) -> Board:
    return replace(board, tasks=(*board.tasks, TaskView(text, now_s)))


def _without_task(board: Board, text: str) -> Board:
    return replace(board, tasks=tuple(task for task in board.tasks if task.text != text))


def _progressed(board: Board, text: str, line: str) -> Board:
    tasks = (
        replace(task, progress=advanced(task.progress, line)) if task.text == text else task
        for task in board.tasks
    )
    return replace(board, tasks=tuple(tasks))


def _observed(node: ObservedNode) -> NodeView:
    """A node of which nothing was read yet."""
    phase = STARTED if node.is_active else ""
    if node.exit_code is not None:
        phase = DONE if node.has_finished_well else FAILED
    return NodeView(node.node_rank, node.spec.ranks, state_words(node), phase)


def state_words(node: ObservedNode) -> str:
    """What became of a node's container, in few words."""
    code = node.exit_code
    if node.is_active or code is None:
        return node.status.value
    if node.oom_killed:
        return "out of memory"
    return f"killed {code - 128}" if code > 128 else f"exited {code}"


def _loaded(view: NodeView, load: Load | None) -> NodeView:
    if load is None or view.phase in {DONE, FAILED}:
        return view
    return replace(view, processors=load.processors, memory_bytes=load.usage.memory_bytes)


def _followed(node: ObservedNode, run: Run) -> NodeView:
    """A node and what its ranks have reported."""
    view, facts = _observed(node), run.facts
    ranks = [facts.ranks[rank] for rank in view.ranks if rank in facts.ranks]
    if not ranks or node.node_rank not in facts.nodes:
        return view
    ranks.sort(key=lambda each: (WAY.index(_phase_of(each)), each.last_step))
    behind = ranks[0]
    return replace(
        view,
        # What the engine says of a node that has ended counts more than what its ranks last said.
        phase=_phase_of(behind) if view.phase == STARTED else view.phase,
        step=behind.last_step,
        loss=_first(each.last_losses[-1] if each.last_losses else None for each in ranks),
        tokens_per_s=_first(
            each.tokens_per_s.latest[-1] if each.tokens_per_s.latest else None for each in ranks
        ),
        step_times_s=tuple(behind.step_times_s.latest)[-MAX_TIMES:],
        busy_s=_busy_s(behind),
        last_line=_last_line(facts, node.node_rank),
    )


def _phase_of(rank: RankFacts) -> str:
    """How far a rank has come, in a word."""
    from orchestrator.verify.phases import PHASE_KEYS

    if rank.failed_at_s is not None:
        return FAILED
    if rank.has_finished:
        return DONE
    if rank.last_step:
        return TRAINING
    return PHASE_KEYS[rank.phase] if rank.phase else STARTED


def _first(values: Iterable[float | None]) -> float | None:
    return next((value for value in values if value is not None), None)


def _busy_s(rank: RankFacts) -> float | None:
    latest = tuple(rank.busy_s.latest)[-MAX_TIMES:]
    return median(latest) if latest else None


def _last_line(facts: RunFacts, node_rank: int) -> str:
    tail = facts.nodes[node_rank].tail
    return tail[-1] if tail else ""
