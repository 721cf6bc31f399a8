"""The verbs that go by labels alone: status, destroy. They print, and read no playbook."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from orchestrator.beside import sidecars_of
from orchestrator.choose import EngineName, engines_for, state_folder
from orchestrator.display.console import Console, print_json
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, Interrupted, NoSuchProject
from orchestrator.state.observed import ObservedContainer, ObservedNode, ObservedSidecar
from orchestrator.teardown import (
    Destroyed,
    Placed,
    candidates,
    destroy,
    find_projects,
    left_in_place,
    select,
)


class DestroyOptions(Struct, frozen=True):
    """The options of destroy."""

    every: bool = False
    engine: EngineName = EngineName.AUTO
    grace_s: float = 5.0
    as_json: bool = False


def status_verb(project: str | None, engine_name: EngineName, *, as_json: bool) -> ExitCode:
    """Print the nodes of all projects, or of one."""
    console = Console(quiet=as_json)
    found = find_projects(engines_for(engine_name, console.say_error))
    shown = select(found, project) if project else found
    if project and not shown:
        raise unknown(project, found)
    documents = [_show_project(console, placed) for placed in shown]
    if as_json:
        print_json({"projects": documents})
    elif not shown:
        console.say("no projects here")
    return ExitCode.CONVERGED


def unknown(project: str, found: Sequence[Placed]) -> NoSuchProject:
    """The error for a project that is not there."""
    listed = ", ".join(str(placed) for placed in found) or "none"
    return NoSuchProject(f"there is no project {project} here", fix=f"projects here: {listed}")


def _show_project(console: Console, placed: Placed) -> dict[str, Any]:
    summary = placed.summary
    if not summary.is_mine:
        return _show_other(console, placed)
    nodes = placed.engine.observe_nodes(summary.name)
    beside = sidecars_of(placed.engine, summary.name)
    console.heading(f"{placed}  {summary.playbook}")
    console.show_lines(f"  {node.name}  {_state_words(node)}" for node in nodes)
    console.show_lines(
        f"  {each.name}  {_state_words(each)}  ({each.spec.title})" for each in beside
    )
    return {
        "name": summary.name,
        "engine": placed.engine.traits.name,
        "playbook": summary.playbook,
        "owner": None,
        "nodes": [_node_document(node) for node in nodes],
        "sidecars": [_sidecar_document(each) for each in beside],
    }


def _show_other(console: Console, placed: Placed) -> dict[str, Any]:
    """Another owner's project: that it is there, whose it is, and nothing more."""
    summary = placed.summary
    owner = summary.other_owner or "unknown"
    console.heading(f"{placed}  {summary.playbook}  (owner {owner}: not yours)")
    console.show_lines(f"  {name}" for name in summary.node_names)
    return {
        "name": summary.name,
        "engine": placed.engine.traits.name,
        "playbook": summary.playbook,
        "owner": owner,
        "nodes": [{"name": name} for name in summary.node_names],
        "sidecars": [],
    }


def _state_words(node: ObservedContainer) -> str:
    if node.is_active and node.started_at_s is not None:
        return f"{node.status.value} for {max(time.time() - node.started_at_s, 0):.0f} s"
    return node.ending if node.exit_code is not None else node.status.value


def _node_document(node: ObservedNode) -> dict[str, Any]:
    return {
        "name": node.name,
        "node_rank": node.node_rank,
        "ranks": list(node.spec.ranks),
        "status": node.status.value,
        "exit_code": node.exit_code,
        "run_id": node.run_id,
        "started_at_s": node.started_at_s,
        "finished_at_s": node.finished_at_s,
        "id": node.id,
    }


def _sidecar_document(sidecar: ObservedSidecar) -> dict[str, Any]:
    return {
        "name": sidecar.name,
        "role": sidecar.spec.role,
        "gpus": list(sidecar.spec.gpus),
        "status": sidecar.status.value,
        "health": sidecar.health.status if sidecar.health else None,
        "exit_code": sidecar.exit_code,
        "run_id": sidecar.run_id,
        "started_at_s": sidecar.started_at_s,
        "finished_at_s": sidecar.finished_at_s,
        "id": sidecar.id,
    }


def destroy_verb(target: str | None, options: DestroyOptions) -> ExitCode:
    """Remove projects and print what went."""
    console = Console(quiet=options.as_json)
    engines = engines_for(options.engine, console.say_error)
    chosen, others = _chosen(engines, target, every=options.every)
    destroyed = [
        done for placed in chosen if not (done := _destroy(console, placed, options)).plan.is_empty
    ]
    if not destroyed:
        console.say(f"nothing of {target or 'any project'} is here{_others(engines)}")
    if others:
        console.say(f"left alone, as they are other owners': {', '.join(map(str, others))}")
    if options.as_json:
        documents = [_destroyed_document(done) for done in destroyed]
        print_json({"destroyed": documents})
    return ExitCode.CONVERGED


def _chosen(
    engines: Sequence[Engine], target: str | None, *, every: bool
) -> tuple[tuple[Placed, ...], tuple[Placed, ...]]:
    """What to destroy, and what `--all` does not take because it is others'."""
    if not every:
        return candidates(engines, target), ()
    found = find_projects(engines)
    mine = tuple(placed for placed in found if placed.summary.is_mine)
    return mine, tuple(placed for placed in found if not placed.summary.is_mine)


def _destroy(console: Console, placed: Placed, options: DestroyOptions) -> Destroyed:
    folder = state_folder() / "locks"
    try:
        done = destroy(placed, folder, console.tell, grace_s=options.grace_s)
    except Interrupted as exc:
        exc.left = left_in_place(placed.engine, placed.summary.name)
        raise
    if not done.plan.is_empty:
        console.heading(
            f"RECAP {placed.summary.name} on {placed.engine.traits.name}:"
            f" ok=0 changed={len(done.plan.actions)} failed=0 skipped=0  ({done.took_s:.1f} s)"
        )
    return done


def _others(engines: Sequence[Engine]) -> str:
    listed = ", ".join(str(placed) for placed in find_projects(engines))
    return f" (projects here: {listed})" if listed else ""


def _destroyed_document(done: Destroyed) -> dict[str, Any]:
    return {
        "name": done.placed.summary.name,
        "engine": done.placed.engine.traits.name,
        "changed": len(done.plan.actions),
        "took_s": round(done.took_s, 3),
    }
