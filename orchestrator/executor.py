"""Walks a plan: performs its actions on an engine and tells what happened. Decides nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import TypeVar, assert_never

from msgspec import Struct

from orchestrator.archive import save_logs, save_sidecar_log
from orchestrator.engines.base import Engine, RunsSidecars
from orchestrator.errors import EngineFailed, OrchestrateError
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    Sink,
)
from orchestrator.plans.plan import (
    BuildImage,
    ChangeNode,
    CreateNetwork,
    Plan,
    PullImage,
    RemoveNetwork,
    RemoveNode,
    RemoveSidecar,
    SetComputeMode,
    StartNode,
    StartSidecar,
)
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedNode

Batched = TypeVar("Batched", RemoveNode, StartNode)

STOP_GRACE_S = 5.0
"""Between SIGTERM and SIGKILL: a rank has this long to flush its checkpoint."""

FAILED_GRACE_S = 1.0
"""A gang with a dead rank cannot save a common checkpoint any more: it is given little time."""


ComputeModes = Callable[[str, str], None]
"""Sets a GPU, by UUID, to a compute mode. Raises GpuUnavailable."""


class Execution(Struct, frozen=True):
    """Where a plan is carried out, and who is told; `compute_modes` None: on this machine."""

    engine: Engine
    identity: RunIdentity
    sink: Sink
    grace_s: float = STOP_GRACE_S
    compute_modes: ComputeModes | None = None


def execute(plan: Plan, run: Execution) -> None:
    """Carry out the plan, in its order. After a failure nothing more is tried.

    Nodes are removed together and started together; nothing is done twice, so carrying
    out what is left after a failure is a matter of planning again.

    Raises:
        OrchestrateError: what the engine refused, after `ActionFailed` was told.
    """
    if plan.image:
        _perform(plan.image, run)
    _remove_gang(plan.remove_nodes, run)
    for action in _between_gangs(plan):
        _perform(action, run)
    _start_gang(plan.start_nodes, run)
    for change in plan.change_nodes:
        _perform(change, run)


Single = (
    BuildImage
    | PullImage
    | CreateNetwork
    | RemoveNetwork
    | StartSidecar
    | RemoveSidecar
    | SetComputeMode
    | ChangeNode
)
"""What is performed by itself; nodes are removed and started together."""


def _between_gangs(plan: Plan) -> tuple[Single, ...]:
    """What goes with the old nodes, and what has to be there before the new ones."""
    network = (plan.create_network,) if plan.create_network else ()
    sidecar = (plan.start_sidecar,) if plan.start_sidecar else ()
    gone = (*plan.restore_modes, *plan.remove_sidecars, *plan.remove_networks)
    return (*gone, *network, *sidecar, *plan.set_modes)


def _perform(action: Single, run: Execution) -> None:
    run.sink(ActionStarted(action))
    began_s = time.monotonic()
    try:
        _on_engine(action, run)
    except OrchestrateError as exc:
        run.sink(ActionFailed(action, exc.what))
        raise
    run.sink(ActionDone(action, time.monotonic() - began_s))


def _on_engine(action: Single, run: Execution) -> None:
    def on_line(text: str) -> None:
        run.sink(ActionProgressed(action, text))

    match action:
        case BuildImage():
            run.engine.build_image(action.image, on_line)
        case PullImage():
            run.engine.pull_image(action.image, on_line)
        case CreateNetwork():
            run.engine.create_network(action.network, run.identity.project)
        case RemoveNetwork():
            run.engine.remove_network(action.network)
        case StartSidecar():
            _beside(run).start_sidecar(action.sidecar, run.identity, action.restores)
        case RemoveSidecar():
            save_sidecar_log(_beside(run), action.sidecar)
            _beside(run).remove_sidecars([action.sidecar])
        case SetComputeMode():
            _compute_modes(run)(action.uuid, action.mode)
        case ChangeNode():
            run.engine.change_node(action.node, action.wanted)
        case _:
            assert_never(action)


def _beside(run: Execution) -> RunsSidecars:
    if not isinstance(run.engine, RunsSidecars):
        raise EngineFailed(f"the {run.engine.traits.name} engine runs no sidecars")
    return run.engine


def _compute_modes(run: Execution) -> ComputeModes:
    from orchestrator.gpus.compute_mode import set_compute_mode  # few plans change a GPU

    return run.compute_modes or set_compute_mode


def _remove_gang(removals: Sequence[RemoveNode], run: Execution) -> None:
    """Stop all at once, so that the time does not grow with nodes times grace."""

    def remove(told: Callable[[str], None]) -> None:
        nodes = [removal.node for removal in removals]
        run.engine.stop_nodes(nodes, grace_s=run.grace_s)
        save_logs(run.engine, nodes)
        run.engine.remove_nodes(nodes)
        for node in nodes:
            told(node.id)

    _perform_together(removals, lambda removal: removal.node.id, remove, run)


def _start_gang(starts: Sequence[StartNode], run: Execution) -> None:
    """Start every node; after a failure, stop those that started, or they wait for peers."""

    def start(told: Callable[[str], None]) -> None:
        run.engine.start_nodes([action.node for action in starts], run.identity, told)

    try:
        _perform_together(starts, lambda action: action.node.name, start, run)
    except OrchestrateError:
        # An engine that went away cannot stop them either; the first error is the cause.
        with suppress(OrchestrateError):
            stop_gang(run.engine, run.identity.project, grace_s=0.0)
        raise


def stop_gang(engine: Engine, project: str, *, grace_s: float) -> tuple[ObservedNode, ...]:
    """Stop what still runs of a project; return the nodes that did."""
    active = tuple(node for node in engine.observe_nodes(project) if node.is_active)
    engine.stop_nodes(active, grace_s=grace_s)
    return active


def _perform_together(
    actions: Sequence[Batched],
    key: Callable[[Batched], str],
    work: Callable[[Callable[[str], None]], None],
    run: Execution,
) -> None:
    """Perform a batch; the engine tells each one that is done, from whichever thread."""
    if not actions:
        return
    waiting = {key(action): action for action in actions}
    began_s, lock = time.monotonic(), threading.Lock()

    def told(name: str) -> None:
        with lock:
            run.sink(ActionDone(waiting.pop(name), time.monotonic() - began_s))

    for action in actions:
        run.sink(ActionStarted(action))
    try:
        work(told)
    except OrchestrateError as exc:
        broken = waiting if exc.about not in waiting else {exc.about: waiting[exc.about]}
        for action in broken.values():
            run.sink(ActionFailed(action, exc.what))
        raise
