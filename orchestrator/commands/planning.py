"""The verb plan, `apply --check`, and plans that are kept in files. They print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.choose import EngineName, engine_for, state_folder
from orchestrator.deciding import Request, kept_plan
from orchestrator.display.console import Console, print_json
from orchestrator.plans.document import plan_document
from orchestrator.plans.key import plan_key
from orchestrator.plans.mark import is_plan_file
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.run import plan

if TYPE_CHECKING:
    from orchestrator.plans.file import PlanFile


class Source(Struct, frozen=True):
    """What a verb is given: a playbook, or a plan and the playbook that it was made from."""

    loaded: LoadedPlaybook
    engine: EngineName
    rerun: bool
    expected: PlanFile | None = None
    plan_key: bytes = b""


class PlanOptions(Struct, frozen=True):
    """The options of plan."""

    engine: EngineName = EngineName.AUTO
    rerun: bool = False
    as_json: bool = False
    out: Path | None = None
    given: Given = NOTHING


def open_source(path: Path, engine: EngineName, given: Given, *, rerun: bool) -> Source:
    """Read a playbook or a plan file, told apart by what is in it.

    Variables are given anew with a plan file: it holds none of their values.

    Raises:
        InvalidPlaybook: the playbook has faults.
        PlanRefused: the plan file is damaged, or of another version.
    """
    if not is_plan_file(path):
        return Source(load(path, given), engine, rerun)
    from orchestrator.plans.file import read_plan_file

    kept = read_plan_file(path)
    # A plan is for one engine: it is not asked anew which one answers.
    named = EngineName(kept.engine) if engine is EngineName.AUTO else engine
    loaded = load(Path(kept.playbook), given)
    return Source(loaded, named, rerun or kept.rerun, kept, plan_key(state_folder()))


def plan_verb(path: Path, options: PlanOptions) -> bool:
    """Print the plan, and keep it where that is asked for; True when it is empty."""
    console = Console(quiet=options.as_json)
    source = open_source(path, options.engine, options.given, rerun=options.rerun)
    engine = engine_for(source.engine, console.say_error)
    request = Request(
        source.loaded,
        engine,
        state_folder() / "locks",
        rerun=source.rerun,
        expected=source.expected,
        plan_key=source.plan_key if options.out is None else plan_key(state_folder()),
    )
    decision = plan(request)
    console.show_plan(decision.plan)
    if options.out is not None:
        from orchestrator.plans.file import write_plan_file

        write_plan_file(kept_plan(request, decision), options.out)
        # Not their values: one may be a secret, and this line ends up in the log of a CI job.
        again = "" if options.given == NOTHING else ", with the same -e and --vars-file,"
        command = f"`orchestrate apply {options.out}`{again}"
        console.say(f"kept in {options.out}: {command} does exactly this")
    if options.as_json:
        print_json(plan_document(decision.plan, engine.traits.name))
    return decision.plan.is_empty
