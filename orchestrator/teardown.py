"""The story of destroy: find a project by its labels alone, and leave nothing of it.

Playbooks are not needed: the labels say which file a project came from, so destroy works
when that file has been edited, broken or deleted since.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from orchestrator.archive import sweep_runs
from orchestrator.engines.base import Engine, Query
from orchestrator.errors import EngineFailed, NoSuchProject, OrchestrateError
from orchestrator.events import PlanMade, Sink
from orchestrator.executor import Execution, execute
from orchestrator.lock import project_lock
from orchestrator.plans.plan import Plan
from orchestrator.plans.planner import make_destroy_plan, refuse_rivals
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ProjectSummary
from orchestrator.state.reference import MARK, is_reference, reference_name


class Placed(Struct, frozen=True):
    """A project and the engine that it is on."""

    engine: Engine
    summary: ProjectSummary

    def __str__(self) -> str:
        return f"{self.summary.name} ({self.engine.traits.name})"


class Destroyed(Struct, frozen=True):
    """What was removed of one project."""

    placed: Placed
    plan: Plan
    took_s: float


def find_projects(engines: Sequence[Engine]) -> tuple[Placed, ...]:
    """Every project on these engines."""
    return tuple(Placed(engine, each) for engine in engines for each in engine.projects())


def candidates(engines: Sequence[Engine], target: str | None) -> tuple[Placed, ...]:
    """The projects that a user may mean; a name needs no search, each engine is just asked.

    Args:
        engines: where to look.
        target: as for `select`.
    """
    if target is not None and not is_path(target):
        named = tuple(Placed(engine, ProjectSummary(target)) for engine in engines)
        return named + _references_of(engines, target)
    return select(find_projects(engines), target)


def _references_of(engines: Sequence[Engine], project: str) -> tuple[Placed, ...]:
    """The runs in a single process that were made for a project; they go with it."""
    return tuple(
        Placed(engine, summary)
        for engine in engines
        for summary in engine.projects(reference_name(project))
        if is_reference(summary.playbook) and summary.is_mine
    )


def select(found: Sequence[Placed], target: str | None) -> tuple[Placed, ...]:
    """The projects that a user means. Pure but for making a path absolute.

    Args:
        found: what there is.
        target: a project's name, the path of a playbook, or None for the only one there is.

    Raises:
        NoSuchProject: nothing was named and there are several.
    """
    if target is None:
        found = [placed for placed in found if placed.summary.is_mine]
        names = {placed.summary.name for placed in found}
        if len({_with_its_reference(placed.summary) for placed in found}) > 1:
            listed = ", ".join(str(placed) for placed in found)
            raise NoSuchProject(
                f"there are {len(names)} projects here: {listed}",
                fix="name the one you mean, or say --all",
            )
        return tuple(found)
    if is_path(target):
        path = str(Path(target).absolute().resolve())
        return tuple(
            placed for placed in found if placed.summary.playbook.removesuffix(MARK) == path
        )
    return tuple(placed for placed in found if placed.summary.name == target)


def _with_its_reference(summary: ProjectSummary) -> str:
    """The same for a project and for the run in a single process that was made for it."""
    return summary.name if is_reference(summary.playbook) else reference_name(summary.name)


def is_path(target: str) -> bool:
    """True for what is meant as a file: project names hold neither dots nor slashes."""
    return "/" in target or "." in target


def left_in_place(engine: Engine, project: str) -> str:
    """What the engine holds of a project, and of the run in a single process made for it, in words.

    Never raises for an engine that is gone.
    """
    try:
        references = _references_of([engine], project)
        names = (project, *(placed.summary.name for placed in references))
        found = [engine.observe(Query(name)) for name in names]
    except OrchestrateError as exc:
        return f"what was created stays; it could not be looked at ({exc.what})"
    nets = [net.name for each in found for net in each.networks if net.project == each.project]
    beside = [sidecar.name for each in found for sidecar in each.sidecars]
    nodes = [node.name for each in found for node in each.nodes]
    kinds = (("network", nets), ("sidecar", beside), ("node", nodes))
    named = [f"{kind}{'s'[: len(names) > 1]} {', '.join(names)}" for kind, names in kinds if names]
    if not named:
        return f"nothing of {project} is in place"
    return f"left in place: {', '.join(named)}; apply goes on from it, destroy removes it"


def destroy(placed: Placed, lock_folder: Path, sink: Sink, *, grace_s: float) -> Destroyed:
    """Remove everything that the engine holds of a project.

    Raises:
        NotOwner: all that there is of the project is another owner's.
        EngineFailed: something was left all the same.
    """
    began_s = time.monotonic()
    engine, project = placed.engine, placed.summary.name
    with project_lock(lock_folder, engine.traits.lock_name, project, doing="destroy"):
        sweep_runs(project)
        observed = engine.observe(Query(project))
        plan = make_destroy_plan(observed)
        if plan.is_empty:
            refuse_rivals(observed)
            engine.clear(project)
            return Destroyed(placed, plan, time.monotonic() - began_s)
        sink(PlanMade(plan))
        identity = RunIdentity(project, run_id="", run_dir="")
        execution = Execution(engine, identity, sink, grace_s=grace_s)
        execute(plan, execution)
        # A call of a run that was killed may still have been under way when we looked.
        late = make_destroy_plan(engine.observe(Query(project)))
        execute(late, execution)
        if not late.is_empty and engine.observe(Query(project)).exists:
            raise EngineFailed(
                f"something of project {project} was left on the {engine.traits.name} engine",
                fix="run destroy once more",
            )
    return Destroyed(placed, plan, time.monotonic() - began_s)
