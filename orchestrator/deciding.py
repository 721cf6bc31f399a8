"""Playbook and engine in, plan out: the half of apply that changes nothing.

Looking at an engine and deciding what to do is the same for `plan`, for `apply` and for a
plan that was kept in a file. What judges a run is imported when there is one to judge.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.devices import compute_modes, refuse_collisions, with_gpus
from orchestrator.engines.base import Engine, InjectsDevices, Query
from orchestrator.errors import NameTaken
from orchestrator.events import Sink
from orchestrator.plans.plan import Plan
from orchestrator.plans.planner import make_plan
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.outside import take
from orchestrator.reference import reference_of
from orchestrator.resolve import build_recipe, resolve
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode, ObservedState
from orchestrator.state.reference import is_reference

if TYPE_CHECKING:
    from orchestrator.gpus.inventory import Gpu, Inventory
    from orchestrator.images.recipe import BuildRecipe
    from orchestrator.plans.file import PlanFile
    from orchestrator.watch import Judgement, OnLook, Watched


def new_run_id() -> str:
    """An id that sorts by time and that no earlier run can have had."""
    return f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{os.urandom(4).hex()}"


class Request(Struct, frozen=True):
    """One playbook on one engine, and what is asked of them."""

    loaded: LoadedPlaybook
    engine: Engine
    lock_folder: Path
    rerun: bool = False
    detach: bool = False
    expected: PlanFile | None = None  # the plan that was kept; no other is carried out
    plan_key: bytes = b""  # of the digests in a plan that is kept
    run_id: Callable[[], str] = new_run_id
    pause: Callable[[float], None] = time.sleep
    inventory: Inventory | None = None  # None: that of this machine
    on_look: OnLook | None = None  # gets each moment of the run that is judged


class Decision(Struct, frozen=True):
    """A plan, what it was made from, and, where nothing is to be done, how the run was judged."""

    desired: DesiredState
    observed: ObservedState
    plan: Plan
    judgement: Judgement | None = None


def decide(request: Request, desired: DesiredState) -> Decision:
    """Observe and plan. A gang that has ended is judged too: a run that failed is repeated.

    Raises:
        PlanRefused: a plan was kept, and what it was made from has moved.
    """
    decision = _decide(request, desired)
    if request.expected is not None:
        from orchestrator.plans.file import refuse_what_moved

        refuse_what_moved(request.expected, kept_plan(request, decision))
    return decision


def _decide(request: Request, desired: DesiredState) -> Decision:
    desired, observed, others = _look(request, desired)
    decision = _decide_for(request, desired, observed)
    if desired.gpus is not None:
        refuse_collisions(desired, (action.node for action in decision.plan.start_nodes), others)
    return decision


def _look(
    request: Request, desired: DesiredState
) -> tuple[DesiredState, ObservedState, tuple[ObservedNode, ...]]:
    """What is asked for, GPUs chosen; what there is of it; and the nodes of others, for GPUs."""
    observed = request.engine.observe(query_for(desired))
    if desired.gpus is None:
        return desired, observed, ()
    others, gpus = _other_nodes(request.engine, desired.project), _inventory(request)
    if desired.sidecar is not None:
        observed = replace(observed, compute_modes=compute_modes(gpus))
    given = with_gpus(desired, gpus, observed.nodes, others, _offered(request.engine))
    return given, observed, others


def _offered(engine: Engine) -> frozenset[str]:
    return engine.cdi_devices() if isinstance(engine, InjectsDevices) else frozenset()


def _other_nodes(engine: Engine, project: str) -> tuple[ObservedNode, ...]:
    """The nodes of all other projects, which may use GPUs of this machine."""
    names = (summary.name for summary in engine.projects())
    return tuple(node for name in names if name != project for node in engine.observe_nodes(name))


def _decide_for(request: Request, desired: DesiredState, observed: ObservedState) -> Decision:
    in_place = request.engine.traits.in_place
    plan = make_plan(desired, observed, rerun=request.rerun, in_place=in_place)
    if plan.start_nodes or any(node.is_active for node in observed.nodes):
        return Decision(desired, observed, plan)
    from orchestrator.watch import judge_kept_logs

    judgement = judge_kept_logs(watched(request, desired), observed.nodes)
    if judgement.holds:
        return Decision(desired, observed, plan, judgement)
    failed = make_plan(desired, observed, failure=judgement.failure, in_place=in_place)
    return Decision(desired, observed, failed)


def kept_plan(request: Request, decision: Decision) -> PlanFile:
    """What a plan file says of a decision."""
    from orchestrator.plans.file import Basis, plan_file

    playbook, traits = request.loaded.playbook, request.engine.traits
    asked = (playbook.health_checks, playbook.restarts, playbook.on_failure)
    basis = Basis(
        decision.desired,
        decision.observed,
        asked,
        traits.name,
        traits.endpoint,
        request.rerun,
        request.plan_key,
    )
    return plan_file(decision.plan, basis)


def desired_state(request: Request) -> DesiredState:
    """Resolve the playbook for the engine; reads the files that its image is built from."""
    traits = request.engine.traits
    recipe = build_recipe(request.loaded) if traits.has_images else None
    return resolve(
        request.loaded,
        traits,
        build_inputs=_inputs_digest(recipe) if recipe else None,
        writer=f"{os.getuid()}:{os.getgid()}",
        taken=take(request.loaded, os.environ),
    )


def _inventory(request: Request) -> tuple[Gpu, ...]:
    from orchestrator.gpus.nvidia_smi import read_inventory

    return (request.inventory or read_inventory)()


def _inputs_digest(recipe: BuildRecipe) -> str:
    from orchestrator.images.recipe import inputs_digest

    return inputs_digest(recipe)


def query_for(desired: DesiredState) -> Query:
    """What must be looked at to plan for `desired`."""
    network = desired.network
    return Query(
        project=desired.project,
        image_tag=desired.image.tag if desired.image else None,
        network=network.name if network else None,
        network_is_external=bool(network and network.external),
        node_names=tuple(node.name for node in desired.nodes),
        sidecar=desired.sidecar.name if desired.sidecar else None,
    )


def watched(request: Request, desired: DesiredState, sink: Sink = lambda _: None) -> Watched:
    """What of a request the checks need."""
    from orchestrator.watch import Watched

    checks = request.loaded.playbook.health_checks
    reference = kept_reference(request)
    return Watched(
        request.engine, desired, checks, sink, reference=reference, on_look=request.on_look
    )


def reference_request(request: Request) -> Request | None:
    """The run in a single process that losses are compared with; None where no check asks."""
    loaded = reference_of(request.loaded)
    return replace(request, loaded=loaded, expected=None, on_look=None) if loaded else None


def kept_reference(request: Request) -> Mapping[int, float] | None:
    """`{step: loss}` of the reference run, as far as it is there, ended well and is as asked for.

    None where it is not asked for, or has yet to be made.
    """
    reference = reference_request(request)
    if reference is None:
        return None
    refuse_a_namesake(reference)
    desired, observed, _ = _look(reference, desired_state(reference))
    decision = _decide_for(replace(reference, rerun=False), desired, observed)
    return decision.judgement.run.facts.ranks[0].losses if decision.judgement else None


def refuse_a_namesake(reference: Request) -> None:
    """Raise NameTaken where a user's own project is called as the reference run must be."""
    name = reference.loaded.playbook.name
    for summary in reference.engine.projects(name):
        if summary.is_mine and not is_reference(summary.playbook):
            raise NameTaken(
                f"the run in a single process must be project {name}, which is another playbook's",
                fix=f"`orchestrate destroy {name}`, or rename one of the two",
            )
