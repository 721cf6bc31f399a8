"""The verb `status --watch`: a run as apply shows it, whoever started it. It changes nothing.

It reads what the engine has, from the start of the nodes' logs, and what was kept of the run:
which checks it was asked to pass and, once it was judged, what came of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct

from orchestrator.choose import EngineName, engines_for, state_folder
from orchestrator.commands.looking import unknown
from orchestrator.display.console import Console
from orchestrator.display.recap import gang
from orchestrator.errors import ExitCode, NoSuchProject, RunUnreadable
from orchestrator.follow import judged
from orchestrator.lock import is_worked_on
from orchestrator.playbook.health import Check
from orchestrator.recall import checks_of, read_run, recall, was_judged
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode
from orchestrator.teardown import Placed, find_projects, select
from orchestrator.watch import Judgement, Watched, watch

WAIT_S = 0.2
"""How often to look whether an apply that still works goes on with another attempt."""


def watch_verb(project: str | None, engine_name: EngineName, *, plain: bool) -> ExitCode:
    """Show a run until it is over; 0 if every check held."""
    console = Console(logs_since_s=time.time())
    placed = _one_project(console, project, engine_name)
    nodes = placed.engine.observe_nodes(placed.summary.name)
    if not nodes:
        raise NoSuchProject(f"{placed} has no nodes", fix="watch it once it is being applied")
    console.num_ranks = nodes[0].spec.num_ranks
    title = gang(placed.summary.name, placed.engine.traits.name, len(nodes))
    console.heading(f"WATCHING {title}, run {nodes[0].run_id}")
    with nullcontext() if plain else console.board(title):
        judgement = _Watch(console, placed).to_the_end(nodes)
    console.show_judgement(judgement)
    return ExitCode.CONVERGED if judgement.holds else ExitCode.NOT_CONVERGED


def _one_project(console: Console, project: str | None, engine_name: EngineName) -> Placed:
    """The project that is meant. Raises NoSuchProject."""
    found = find_projects(engines_for(engine_name, console.say_error))
    chosen = [placed for placed in select(found, project) if placed.summary.is_mine]
    if not chosen:
        raise unknown(project or "at all", found)
    if len(chosen) > 1:
        listed = ", ".join(map(str, chosen))
        raise NoSuchProject(f"there are several: {listed}", fix="say which with --engine")
    return chosen[0]


class _Watch(Struct, frozen=True):
    """How a project is watched."""

    console: Console
    placed: Placed
    pause: Callable[[float], None] = time.sleep

    def to_the_end(self, nodes: tuple[ObservedNode, ...]) -> Judgement:
        """Follow the run of these nodes, and those that an apply starts after it."""
        while True:
            judgement = watch(self._watched(nodes), nodes)
            again = self._next_attempt(nodes[0].run_id)
            judgement = _as_kept(nodes[0], judgement)
            self.console.tell(judged(judgement))
            if judgement.diagnosis is not None:
                self.console.show_diagnosis(judgement.diagnosis)
            if not again:
                return judgement
            nodes = again
            self.console.heading(f"WATCHING the next attempt, run {nodes[0].run_id}")

    def _watched(self, nodes: tuple[ObservedNode, ...]) -> Watched:
        desired, checks = _asked(self.placed, nodes)
        return Watched(
            self.placed.engine,
            desired,
            checks,
            self.console.tell,
            on_look=self.console.look,
            to_the_end=True,
        )

    def _next_attempt(self, run_id: str) -> tuple[ObservedNode, ...]:
        """The nodes of a run that follows; none once whoever follows this one has ended."""
        engine, name = self.placed.engine, self.placed.summary.name
        while True:
            is_followed = is_worked_on(state_folder() / "locks", engine.traits.lock_name, name)
            nodes = engine.observe_nodes(name)
            if nodes and all(node.run_id != run_id for node in nodes):
                return nodes
            if not is_followed:
                return ()
            self.pause(WAIT_S)


def _asked(
    placed: Placed, nodes: tuple[ObservedNode, ...]
) -> tuple[DesiredState, tuple[Check, ...]]:
    """What the run was asked for; where that was not kept, the nodes as they are."""
    folder = Path(nodes[0].run_dir)
    try:
        kept = read_run(folder)
        return kept.desired, checks_of(kept, folder)
    except RunUnreadable:
        specs = tuple(node.spec for node in nodes)
        return DesiredState(placed.summary.name, image=None, network=None, nodes=specs), ()


def _as_kept(node: ObservedNode, judgement: Judgement) -> Judgement:
    """The judgement of whoever followed the run, where it was kept: it knows what no log says."""
    folder = Path(node.run_dir)
    if not node.run_dir or not was_judged(folder):
        return judgement
    try:
        return recall(folder).judgement
    except RunUnreadable:
        return judgement
