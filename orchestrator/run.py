"""The whole story of apply, plan, verify and destroy, on one screen. Read this first.

playbook.yaml -> Playbook -> DesiredState + ObservedState -> Plan -> Engine
                    node logs -> Records -> CheckResults -> Outcome -> exit code
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.archive import run_folder, sweep_runs
from orchestrator.deciding import (
    Decision,
    Request,
    decide,
    desired_state,
    new_run_id,
    query_for,
    reference_request,
    refuse_a_namesake,
    watched,
)
from orchestrator.doctor.preflight import (
    preflight,
    refuse_problems,
    this_machine,
    usual_engine,
)
from orchestrator.engines.base import Query
from orchestrator.errors import (
    ExitCode,
    Interrupted,
    NameTaken,
    OrchestrateError,
    StillDifferent,
)
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    Event,
    MachineWarned,
    PlanMade,
    ReferenceRan,
    ReferenceStarted,
    Sink,
    StillWaiting,
)
from orchestrator.executor import FAILED_GRACE_S, Execution, execute, stop_gang
from orchestrator.kept.asked import asked_of
from orchestrator.kept.keeper import RunKeeper
from orchestrator.lock import project_lock
from orchestrator.plans.difference import BUILD_INPUTS
from orchestrator.plans.drift import remaining_differences
from orchestrator.plans.plan import BuildImage, Plan, PullImage
from orchestrator.resolve import probe_orders
from orchestrator.state.desired import DesiredState, RunIdentity
from orchestrator.state.observed import COMMAND_CODES

if TYPE_CHECKING:
    from orchestrator.follow import Followed
    from orchestrator.restarts import Restart
    from orchestrator.watch import Judgement

__all__ = [
    "Decision",
    "Outcome",
    "Request",
    "apply",
    "desired_state",
    "new_run_id",
    "plan",
    "query_for",
    "verify",
]


LATE_CALLS = 9
"""As many calls of a killed run may be under way: a network and eight nodes at once."""

PROJECT_CHANGED = "nothing else may change the project meanwhile; if nothing does, please report it"
CONTEXT_CHANGED = (
    "a file of its build context changed while it was built: keep logs and the like out of it,"
    " or list them in .dockerignore"
)


class Outcome(Struct, frozen=True):
    """How an apply ended. `judgement` is None where nothing was waited for.

    It is that of the last attempt; `restarts` says what became of those before it, `run_id` and
    `run_dir` which run it was and where it is kept.
    """

    plan: Plan
    judgement: Judgement | None
    took_s: float
    restarts: tuple[Restart, ...] = ()
    run_id: str = ""
    run_dir: str = ""

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
    keeper = RunKeeper(sink)
    with project_lock(request.lock_folder, engine.traits.lock_name, project, doing="apply"):
        sweep_runs(project)
        try:
            plan, followed = _apply(request, keeper)
        except (OrchestrateError, Interrupted) as exc:
            keeper.end(error=str(exc), took_s=time.monotonic() - began_s)
            raise
        outcome = Outcome(
            plan,
            followed.judgement if followed else None,
            time.monotonic() - began_s,
            followed.restarts if followed else (),
            keeper.run_id,
            str(keeper.folder or ""),
        )
        keeper.end(
            exit_code=int(outcome.exit_code), took_s=outcome.took_s, restarts=outcome.restarts
        )
        return outcome


def _apply(request: Request, keeper: RunKeeper) -> tuple[Plan, Followed | None]:
    desired = desired_state(request)
    _refresh_image(request, desired, keeper.tell)
    decision = decide(request, desired)
    if _run_reference(request, decision, keeper.tell):
        # The image may have been made for it: looked at anew, and no plan kept knows of that.
        decision = decide(replace(request, expected=None), desired)
    _look_at_machine(request, decision, keeper.tell)
    decision = _carry_out_in_the_end(request, decision, keeper)
    if not decision.plan.is_empty:
        _require_arrival(request, decision.desired)
    if decision.judgement is not None:
        from orchestrator.follow import Followed, judged

        keeper.tell(judged(decision.judgement))
        return decision.plan, Followed(decision.judgement, ())
    if request.detach:
        return decision.plan, None
    return decision.plan, _follow(request, decision.desired, keeper)


def _carry_out_in_the_end(request: Request, decision: Decision, keeper: RunKeeper) -> Decision:
    """Carry out the plan, or what becomes of it while calls of a killed run still arrive.

    What such a call makes appears after we looked, and bears a name that we need. Where it is
    not ours, deciding says so.

    Raises:
        NameTaken: what is in the way cannot be seen, or there is no end of it.
    """
    for late in range(LATE_CALLS + 1):
        try:
            _carry_out(request, decision, keeper)
            break
        except NameTaken:
            seen, decision = decision.observed, decide(request, decision.desired)
            if late == LATE_CALLS or (late and decision.observed == seen):
                raise
    return decision


def plan(request: Request) -> Decision:
    """The first half of apply: decide, and do nothing. Raises what `decide` does."""
    return decide(request, desired_state(request))


def verify(request: Request, run_id: str | None = None) -> Judgement | None:
    """Judge the run that is there by what its nodes have written so far.

    None where no node is there, or they are of another run than the one that is meant. What was
    kept of that is judged by `recall`.
    """
    from orchestrator.watch import judge_kept_logs

    desired = desired_state(request)
    nodes = request.engine.observe_nodes(desired.project)
    if not nodes or run_id not in {None, nodes[0].run_id}:
        return None
    return judge_kept_logs(watched(request, desired), nodes)


def _carry_out(request: Request, decision: Decision, keeper: RunKeeper) -> None:
    keeper.tell(PlanMade(decision.plan))
    identity = _identity(request, decision.desired)
    if decision.plan.start_nodes:
        keeper.begin(identity, asked_of(request.loaded, request.engine, decision.desired))
    else:
        keeper.take_up(decision.observed.nodes)
    execute(decision.plan, Execution(request.engine, identity, keeper.tell))


def _look_at_machine(request: Request, decision: Decision, sink: Sink) -> None:
    """The doctor's part of it: warn of what may not do, stop for what surely fails."""
    engine = usual_engine(request.engine)
    if engine is None:
        return
    findings = preflight(decision.desired, decision.plan, engine, this_machine())
    refuse_problems(findings)
    for each in findings:
        sink(MachineWarned(each.id, each.found, each.why, each.mend))


def _run_reference(request: Request, decision: Decision, sink: Sink) -> bool:
    """Bring the run in a single process to what is asked of it; True when that took doing.

    Where that fails the gang is run all the same: the check that needs it says that it is missing.
    """
    reference = reference_request(request)
    if reference is None or request.detach or decision.judgement is not None:
        return False
    refuse_a_namesake(reference)
    outcome = apply(reference, lambda event: _tell_of_reference(reference, event, sink))
    judged = outcome.judgement
    failure = judged.failure if judged else ""
    name = reference.loaded.playbook.name
    sink(ReferenceRan(name, outcome.plan.is_empty, failure, outcome.took_s))
    return not outcome.plan.is_empty


def _tell_of_reference(reference: Request, event: Event, sink: Sink) -> None:
    """Of that run, tell that it began, and what takes long."""
    match event:
        case PlanMade(plan) if not plan.is_empty:
            sink(ReferenceStarted(reference.loaded.playbook.name))
        case ActionStarted(BuildImage() | PullImage()) | ActionProgressed() | StillWaiting():
            sink(event)
        case _:
            pass


def _require_arrival(request: Request, desired: DesiredState) -> None:
    """Look once more: what was applied must be what is there, or the next plan is not empty."""
    observed = request.engine.observe(query_for(desired))
    left = remaining_differences(desired, observed)
    if not left:
        return
    if request.loaded.playbook.on_failure == "stop":
        stop_gang(request.engine, desired.project, grace_s=FAILED_GRACE_S)
    name, change = left[0]
    more = f", and {len(left) - 1} more fields" if len(left) > 1 else ""
    raise StillDifferent(
        f"{name} differs right after it was applied: {change}{more}",
        fix=CONTEXT_CHANGED if change.field == BUILD_INPUTS else PROJECT_CHANGED,
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
        probe=probe_orders(request.loaded.playbook),
    )


def _follow(request: Request, desired: DesiredState, keeper: RunKeeper) -> Followed:
    from orchestrator.follow import Course, follow

    playbook = request.loaded.playbook

    def identity(restart_count: int) -> RunIdentity:
        made = _identity(request, desired, restart_count)
        keeper.begin(made, asked_of(request.loaded, request.engine, desired))
        return made

    watched_run = watched(request, desired, keeper.tell)
    return follow(
        Course(watched_run, playbook.restarts, playbook.on_failure, identity, request.pause)
    )
