"""The verbs that read a playbook: apply, plan, verify, validate, schema. They print."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.choose import EngineName, engine_for, state_folder
from orchestrator.commands.planning import open_source
from orchestrator.display.console import Console, print_json
from orchestrator.display.recap import recap
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, Interrupted, InvalidPlaybook, OrchestrateError
from orchestrator.plans.document import plan_document
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.redaction import redacted
from orchestrator.run import Outcome, Request, apply, verify

if TYPE_CHECKING:
    from orchestrator.verify.results import CheckResult
    from orchestrator.watch import Judgement


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The options of apply."""

    engine: EngineName = EngineName.AUTO
    detach: bool = False
    rerun: bool = False
    as_json: bool = False
    given: Given = NOTHING


def apply_verb(path: Path, options: ApplyOptions) -> ExitCode:
    """Apply a playbook and print how it went."""
    console = Console(quiet=options.as_json, logs_since_s=time.time())
    source = open_source(path, options.engine, options.given, rerun=options.rerun)
    loaded = source.loaded
    engine = engine_for(source.engine, console.say_error)
    request = Request(
        loaded,
        engine,
        state_folder() / "locks",
        rerun=source.rerun,
        detach=options.detach,
        expected=source.expected,
        plan_key=source.plan_key,
    )
    _introduce(console, loaded, engine, path)
    if loaded.playbook.probe == "on" and not engine.traits.places_probe:
        console.say_error(
            "orchestrate: this engine does not see folders of this machine: nodes run without the"
            " probe, and the checks rest on what the script itself reports"
        )
    if options.detach and loaded.playbook.restarts.max:
        console.say_error("orchestrate: with --detach nobody follows the run: it is not restarted")
    try:
        outcome = apply(request, console.tell)
    except OrchestrateError:
        _say_recap(console, loaded, engine, None)
        raise
    except Interrupted as exc:
        from orchestrator.teardown import left_in_place

        exc.left = left_in_place(engine, loaded.playbook.name)
        raise
    _conclude(console, loaded, engine, outcome)
    if options.as_json:
        print_json(_outcome_document(console, loaded, engine, outcome))
    return outcome.exit_code


def _introduce(console: Console, loaded: LoadedPlaybook, engine: Engine, path: Path) -> None:
    ranks = loaded.playbook.ranks
    console.num_ranks = ranks.nproc_per_node
    console.heading(
        f"PLAYBOOK {path}: {loaded.playbook.name} on {engine.traits.name},"
        f" {ranks.nodes} nodes, world size {ranks.nodes * ranks.nproc_per_node}"
    )


def _conclude(console: Console, loaded: LoadedPlaybook, engine: Engine, outcome: Outcome) -> None:
    judgement = outcome.judgement
    if judgement is not None:
        console.heading("CHECKS")
        for result in judgement.results:
            console.show_check(result)
        if not judgement.holds:
            console.show_failure(judgement)
        console.show_attempts(outcome.restarts, _cause(outcome))
    _say_recap(console, loaded, engine, outcome)


def _cause(outcome: Outcome) -> str:
    """What failed in the last attempt, in brief; empty when nothing did."""
    diagnosis = outcome.judgement.diagnosis if outcome.judgement else None
    return diagnosis.brief if diagnosis else ""


def _say_recap(
    console: Console, loaded: LoadedPlaybook, engine: Engine, outcome: Outcome | None
) -> None:
    if console.plan is None:
        return
    results = outcome.judgement.results if outcome and outcome.judgement else ()
    counts = recap(console.plan, results, done=console.done, failed=console.failed)
    restarts = f" restarts={len(outcome.restarts)}" if outcome and outcome.restarts else ""
    took = f"  ({outcome.took_s:.1f} s)" if outcome else ""
    console.heading(
        f"RECAP {loaded.playbook.name} on {engine.traits.name}: {counts}{restarts}{took}"
    )


def verify_verb(path: Path, engine_name: EngineName, given: Given, *, as_json: bool) -> ExitCode:
    """Print what the checks say of the run that is there."""
    console = Console(quiet=as_json)
    loaded = load(path, given)
    engine = engine_for(engine_name, console.say_error)
    console.num_ranks = loaded.playbook.ranks.nproc_per_node
    judgement = verify(Request(loaded, engine, state_folder() / "locks"))
    if judgement.diagnosis is not None:
        console.show_diagnosis(judgement.diagnosis)
    for result in judgement.results:
        console.show_check(result)
    if not judgement.holds:
        console.show_failure(judgement)
    if as_json:
        checks = [_check_document(each) for each in judgement.results]
        print_json(
            {
                "checks": checks,
                "join": _join_document(judgement),
                "diagnosis": _diagnosis_document(judgement),
            }
        )
    return ExitCode.CONVERGED if judgement.holds else ExitCode.NOT_CONVERGED


def validate_verb(path: Path, given: Given, *, show: bool, as_json: bool) -> ExitCode:
    """Print every fault of a playbook, or that there is none; or the playbook, resolved."""
    try:
        loaded = load(path, given)
    except InvalidPlaybook as exc:
        if not as_json:
            raise
        print_json({"valid": False, "faults": [fault.document() for fault in exc.faults]})
        return exc.exit_code
    if show:
        from orchestrator.playbook.show import resolved, resolved_yaml

        document = resolved(loaded.playbook, loaded.secret)
        print_json(document) if as_json else print(redacted(resolved_yaml(document)), end="")  # noqa: T201
    elif as_json:
        print_json({"valid": True, "faults": [], "digest": loaded.digest})
    else:
        Console().say(f"{path}: valid ({loaded.playbook.name})")
    return ExitCode.CONVERGED


def schema_verb() -> ExitCode:
    """Print the JSON Schema."""
    from orchestrator.playbook.schema import json_schema

    print_json(json_schema())
    return ExitCode.CONVERGED


def _outcome_document(
    console: Console, loaded: LoadedPlaybook, engine: Engine, outcome: Outcome
) -> dict[str, Any]:
    results = outcome.judgement.results if outcome.judgement else ()
    counts = recap(outcome.plan, results, done=console.done, failed=console.failed)
    return {
        "project": loaded.playbook.name,
        "engine": engine.traits.name,
        "plan": plan_document(outcome.plan, engine.traits.name),
        "checks": [_check_document(each) for each in results],
        "join": _join_document(outcome.judgement),
        "restarts": [asdict(each) for each in outcome.restarts],
        "cause": _cause(outcome),
        "diagnosis": _diagnosis_document(outcome.judgement),
        "recap": asdict(counts),
        "took_s": round(outcome.took_s, 3),
        "exit_code": int(outcome.exit_code),
    }


def _join_document(judgement: Judgement | None) -> list[dict[str, Any]]:
    """When each rank reached each phase of its way into the group."""
    if judgement is None:
        return []
    from orchestrator.verify.phases import ways

    return [way.document() for way in ways(judgement.run)]


def _diagnosis_document(judgement: Judgement | None) -> dict[str, Any] | None:
    return judgement.diagnosis.document() if judgement and judgement.diagnosis else None


def _check_document(result: CheckResult) -> dict[str, Any]:
    return asdict(result)
