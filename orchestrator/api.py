"""The verbs of the command line for programs: `from orchestrator import api`. docs/api.md.

Nothing here prints or exits. What a verb refuses is an `OrchestrateError` with the exit code that
the command would have ended with; what apply and verify return is what they print with `--json`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from orchestrator.choose import EngineName, engine_for, engines_for, state_folder
from orchestrator.commands.judging import VerifyOptions, judged_run
from orchestrator.commands.reporting import Tally, apply_result
from orchestrator.display.console import Console
from orchestrator.errors import ExitCode, InvalidPlaybook, OrchestrateError
from orchestrator.events import Event, Sink
from orchestrator.plans.plan import Plan
from orchestrator.playbook import loader
from orchestrator.playbook.given import Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.report.result import ApplyResult, VerifyResult
from orchestrator.run import Request
from orchestrator.run import apply as apply_request
from orchestrator.run import plan as plan_request
from orchestrator.state.observed import ObservedNode
from orchestrator.teardown import candidates, find_projects, select
from orchestrator.teardown import destroy as destroy_placed

__all__ = [
    "ApplyResult",
    "Event",
    "ExitCode",
    "InvalidPlaybook",
    "LoadedPlaybook",
    "OrchestrateError",
    "Plan",
    "Project",
    "VerifyResult",
    "apply",
    "destroy",
    "load",
    "plan",
    "status",
    "verify",
]

Engine = Literal["auto", "docker", "local"]

_log = logging.getLogger("orchestrator")


class _Silent(Console):
    """Counts what was done, and leaves every word to the log."""

    def __init__(self) -> None:
        super().__init__(quiet=True)

    def say_error(self, text: str) -> None:
        """Log what a command would print."""
        _log.info(text)


class Project(Struct, frozen=True):
    """A project that is there, with its nodes as they are now."""

    name: str
    engine: str
    playbook: str
    nodes: tuple[ObservedNode, ...]


def load(
    path: str | Path,
    variables: Mapping[str, Any] | None = None,
    *,
    vars_files: Iterable[str | Path] = (),
) -> LoadedPlaybook:
    """Read a playbook and check it, as `validate`.

    Args:
        path: the file.
        variables: they win over all others, as `-e`; whatever JSON can hold.
        vars_files: files of variables, as `--vars-file`.

    Raises:
        InvalidPlaybook: with every fault in `faults`.
    """
    extra = (json.dumps(dict(variables), ensure_ascii=False),) if variables else ()
    return loader.load(Path(path), Given(tuple(map(Path, vars_files)), extra))


def plan(playbook: LoadedPlaybook, *, engine: Engine = "auto", rerun: bool = False) -> Plan:
    """Decide what apply would do, and do nothing; `plan.is_empty`, `str(plan)`."""
    return plan_request(_request(playbook, engine, rerun=rerun)).plan


def apply(
    playbook: LoadedPlaybook,
    *,
    engine: Engine = "auto",
    rerun: bool = False,
    detach: bool = False,
    on_event: Sink | None = None,
) -> ApplyResult:
    """Bring the cluster to what the playbook declares, and judge it.

    A check that does not hold is no error: see `exit_code`, `checks` and `diagnosis`.

    Args:
        playbook: as `load` gave it.
        engine: where nodes run; `auto` is Docker if it answers, else local.
        rerun: run again, although the last run finished.
        detach: return once the nodes run, and check nothing.
        on_event: called with each event as it happens, from this thread or another.

    Raises:
        OrchestrateError: the engine refused something; the next apply goes on from there.
    """
    console = _Silent()

    def tell(event: Event) -> None:
        console.tell(event)
        if on_event is not None:
            on_event(event)

    tally = Tally(tell)
    request = _request(playbook, engine, rerun=rerun, detach=detach)
    outcome = apply_request(request, tally.tell)
    return apply_result(outcome, request.engine, console, tally)


def verify(
    target: str | Path | None = None, *, engine: Engine = "auto", run_id: str | None = None
) -> VerifyResult:
    """Judge a run by its nodes, or by what was kept of it once they are gone.

    Args:
        target: a playbook's path, or a project's name; None: the only project there is.
        engine: where to look.
        run_id: of an older run.

    Raises:
        NoSuchProject: there is no such run.
    """
    options = VerifyOptions(EngineName(engine), run_id=run_id)
    named = None if target is None else str(target)
    return judged_run(_Silent(), named, options)


def status(project: str | None = None, *, engine: Engine = "auto") -> tuple[Project, ...]:
    """The projects of this account, or the one that is named, with their nodes."""
    found = find_projects(engines_for(EngineName(engine), _log.info))
    shown = select(found, project) if project else found
    return tuple(
        Project(
            placed.summary.name,
            placed.engine.traits.name,
            placed.summary.playbook,
            tuple(placed.engine.observe_nodes(placed.summary.name)),
        )
        for placed in shown
        if placed.summary.is_mine
    )


def destroy(
    target: str | Path | None = None, *, engine: Engine = "auto", grace_s: float = 5.0
) -> tuple[str, ...]:
    """Remove every object of a project; the names of the projects that were there.

    Args:
        target: a project's name, or a playbook's path; None: the only project there is.
        engine: where to look.
        grace_s: between SIGTERM and SIGKILL, for all nodes at once.

    Raises:
        NoSuchProject: none was named, and there are several.
    """
    named = None if target is None else str(target)
    locks = state_folder() / "locks"
    placed = candidates(engines_for(EngineName(engine), _log.info), named)
    done = [destroy_placed(each, locks, _ignore, grace_s=grace_s) for each in placed]
    return tuple(each.placed.summary.name for each in done if not each.plan.is_empty)


def _ignore(_event: Event) -> None:
    """Take an event that nobody asked for."""


def _request(
    playbook: LoadedPlaybook, engine: Engine, *, rerun: bool = False, detach: bool = False
) -> Request:
    chosen = engine_for(EngineName(engine), _log.info)
    return Request(playbook, chosen, state_folder() / "locks", rerun=rerun, detach=detach)
