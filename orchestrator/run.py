"""The whole story of apply, plan, verify and destroy, on one screen. Read this first.

playbook.yaml -> Playbook -> DesiredState + ObservedState -> Plan -> Engine
                    node logs -> Records -> CheckResults -> Outcome -> exit code
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from orchestrator.archive import run_folder
from orchestrator.devices import refuse_collisions, with_gpus
from orchestrator.engines.base import Engine, Query
from orchestrator.errors import ExitCode, NoSuchProject, OrchestrateError
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    PlanMade,
    Sink,
)
from orchestrator.executor import Execution, execute
from orchestrator.follow import Course, Followed, follow
from orchestrator.gpus.inventory import Inventory, read_inventory
from orchestrator.images.recipe import inputs_digest
from orchestrator.lock import project_lock
from orchestrator.plan import Plan, PullImage
from orchestrator.planner import make_plan
from orchestrator.playbook.loader import LoadedPlaybook
from orchestrator.resolve import build_recipe, resolve
from orchestrator.restarts import Restart
from orchestrator.state import COMMAND_CODES, DesiredState, ObservedNode, ObservedState, RunIdentity
from orchestrator.watch import Judgement, Watched, judge_kept_logs


def new_run_id() -> str:
    """An id that sorts by time and that no earlier run can have had."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}"


@dataclass(frozen=True, slots=True)
class Request:
    """One playbook on one engine, and what is asked of them."""

    loaded: LoadedPlaybook
    engine: Engine
    lock_folder: Path
    rerun: bool = False
    detach: bool = False
    run_id: Callable[[], str] = new_run_id
    pause: Callable[[float], None] = time.sleep
    inventory: Inventory = read_inventory


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an apply ended. `judgement` is None where nothing was waited for.

    It is that of the last attempt; `restarts` says what became of those before it.
    """

    plan: Plan
    judgement: Judgement | None
    took_s: float
    restarts: tuple[Restart, ...] = ()

    @property
    def exit_code(self) -> ExitCode:
        """0 only if every check held."""
        if self.judgement is None or self.judgement.holds:
            return ExitCode.CONVERGED
        if any(node.exit_code in COMMAND_CODES for node in self.judgement.run.nodes):
            return ExitCode.NODE_NOT_STARTED
        return ExitCode.NOT_CONVERGED


def apply(request: Request, sink: Sink) -> Outcome:
    """Bring the world to what the playbook declares, and prove that it holds.

    Raises:
        OrchestrateError: the engine refused something; what was done until then stays, and
            the next apply or destroy goes on from there.
    """
    began_s = time.monotonic()
    engine, project = request.engine, request.loaded.playbook.name
    with project_lock(request.lock_folder, engine.traits.lock_name, project, doing="apply"):
        desired = desired_state(request)
        _refresh_image(request, desired, sink)
        decision = _decide(request, desired)
        desired, plan, judgement = decision.desired, decision.plan, decision.judgement
        sink(PlanMade(plan))
        execute(plan, Execution(engine, _identity(request, desired), sink))
        restarts: tuple[Restart, ...] = ()
        if judgement is None and not request.detach:
            followed = _follow(request, desired, sink)
            judgement, restarts = followed.judgement, followed.restarts
        return Outcome(plan, judgement, time.monotonic() - began_s, restarts)


def plan(request: Request) -> Plan:
    """The first half of apply: decide, and do nothing."""
    return _decide(request, desired_state(request)).plan


def verify(request: Request) -> Judgement:
    """Judge the run that is there by what its nodes have written so far."""
    desired = desired_state(request)
    nodes = request.engine.observe_nodes(desired.project)
    if not nodes:
        raise NoSuchProject(
            f"project {desired.project} has no nodes on the {request.engine.traits.name} engine",
            fix=f"run `orchestrate apply {request.loaded.path}` first",
        )
    return judge_kept_logs(_watched(request, desired), nodes)


def desired_state(request: Request) -> DesiredState:
    """Resolve the playbook for the engine; reads the files that its image is built from."""
    traits = request.engine.traits
    recipe = build_recipe(request.loaded) if traits.has_images else None
    return resolve(
        request.loaded,
        traits,
        build_inputs=inputs_digest(recipe) if recipe else None,
        writer=f"{os.getuid()}:{os.getgid()}",
    )


@dataclass(frozen=True, slots=True)
class _Decision:
    """A plan, what it leads to, and, where nothing is to be done, how the run was judged."""

    desired: DesiredState
    plan: Plan
    judgement: Judgement | None = None


def _decide(request: Request, desired: DesiredState) -> _Decision:
    """Observe and plan. A gang that has ended is judged too: a run that failed is repeated."""
    observed = request.engine.observe(query_for(desired))
    if desired.gpus is None:
        return _decide_for(request, desired, observed)
    others = _other_nodes(request.engine, desired.project)
    desired = with_gpus(desired, request.inventory(), observed.nodes, others)
    decision = _decide_for(request, desired, observed)
    refuse_collisions(desired, (action.node for action in decision.plan.start_nodes), others)
    return decision


def _other_nodes(engine: Engine, project: str) -> tuple[ObservedNode, ...]:
    """The nodes of all other projects, which may use GPUs of this machine."""
    names = (summary.name for summary in engine.projects())
    return tuple(node for name in names if name != project for node in engine.observe_nodes(name))


def _decide_for(request: Request, desired: DesiredState, observed: ObservedState) -> _Decision:
    in_place = request.engine.traits.in_place
    plan = make_plan(desired, observed, rerun=request.rerun, in_place=in_place)
    if plan.start_nodes or any(node.is_active for node in observed.nodes):
        return _Decision(desired, plan)
    judgement = judge_kept_logs(_watched(request, desired), observed.nodes)
    if judgement.holds:
        return _Decision(desired, plan, judgement)
    failed = make_plan(desired, observed, failure=judgement.failure, in_place=in_place)
    return _Decision(desired, failed)


def query_for(desired: DesiredState) -> Query:
    """What must be looked at to plan for `desired`."""
    network = desired.network
    return Query(
        project=desired.project,
        image_tag=desired.image.tag if desired.image else None,
        network=network.name if network else None,
        network_is_external=bool(network and network.external),
        node_names=tuple(node.name for node in desired.nodes),
    )


def _refresh_image(request: Request, desired: DesiredState, sink: Sink) -> None:
    """`pull: always` comes before looking, so that the plan knows what the tag means now.

    It is told as done only where the tag moved: a pull that brought nothing changed nothing.
    """
    image = desired.image
    if image is None or image.recipe is not None or image.pull != "always":
        return
    action, began_s = PullImage(image, "pull: always"), time.monotonic()
    query = Query(desired.project, image_tag=image.tag)
    before = request.engine.observe(query).image
    sink(ActionStarted(action))
    try:
        request.engine.pull_image(image, lambda text: sink(ActionProgressed(action, text)))
    except OrchestrateError as exc:
        sink(ActionFailed(action, exc.what))
        raise
    if request.engine.observe(query).image != before:
        sink(ActionDone(action, time.monotonic() - began_s))


def _identity(request: Request, desired: DesiredState, restart_count: int = 0) -> RunIdentity:
    run_id = request.run_id()
    return RunIdentity(
        project=desired.project,
        run_id=run_id,
        run_dir=str(run_folder(desired.project, run_id)),
        playbook=desired.playbook,
        playbook_digest=desired.playbook_digest,
        restart_count=restart_count,
    )


def _watched(request: Request, desired: DesiredState, sink: Sink = lambda _: None) -> Watched:
    return Watched(request.engine, desired, request.loaded.playbook.health_checks, sink)


def _follow(request: Request, desired: DesiredState, sink: Sink) -> Followed:
    playbook = request.loaded.playbook
    return follow(
        Course(
            _watched(request, desired, sink),
            playbook.restarts,
            playbook.on_failure,
            identity=lambda restart_count: _identity(request, desired, restart_count),
            pause=request.pause,
        )
    )
