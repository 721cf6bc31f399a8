"""The verbs that read a playbook: apply, validate, schema. They print."""

from __future__ import annotations

import time
from contextlib import nullcontext
from pathlib import Path

from msgspec import Struct

from orchestrator.choose import EngineName, engine_for, state_folder
from orchestrator.commands.planning import Source, open_source
from orchestrator.commands.reporting import (
    Judged,
    Tally,
    apply_result,
    cause_of,
    report,
    reporting_errors,
)
from orchestrator.display.console import Console, print_json
from orchestrator.display.recap import gang, recap
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, Interrupted, InvalidPlaybook, OrchestrateError
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.redaction import redacted
from orchestrator.run import Outcome, Request, apply
from orchestrator.versions import versions


class ApplyOptions(Struct, frozen=True):
    """The options of apply."""

    engine: EngineName = EngineName.AUTO
    detach: bool = False
    rerun: bool = False
    as_json: bool = False
    given: Given = NOTHING
    junit: Path | None = None
    plain: bool = False
    follow: bool = True


def apply_verb(path: Path, options: ApplyOptions) -> ExitCode:
    """Apply a playbook and print how it went."""
    with reporting_errors(options.junit, path.stem):
        source = open_source(path, options.engine, options.given, rerun=options.rerun)
    with reporting_errors(options.junit, source.loaded.playbook.name):
        return _apply(path, source, options)


def _apply(path: Path, source: Source, options: ApplyOptions) -> ExitCode:
    console = Console(quiet=options.as_json, logs_since_s=time.time())
    console.shows_logs = options.follow
    loaded, tally = source.loaded, Tally(console.tell)
    engine = engine_for(source.engine, console.say_error)
    request = Request(
        loaded,
        engine,
        state_folder() / "locks",
        rerun=source.rerun,
        detach=options.detach,
        expected=source.expected,
        plan_key=source.plan_key,
        on_look=None if options.as_json or options.plain else console.look,
    )
    _introduce(console, loaded, engine, path)
    if loaded.playbook.probe == "on" and not engine.traits.places_probe:
        console.say_error(
            "orchestrate: this engine does not see folders of this machine: nodes run without the"
            " probe, and the checks rest on what the script itself reports"
        )
    if options.detach and loaded.playbook.restarts.max:
        console.say_error("orchestrate: with --detach nobody follows the run: it is not restarted")
    title = gang(loaded.playbook.name, engine.traits.name, loaded.playbook.ranks.nodes)
    try:
        with nullcontext() if options.plain else console.board(title):
            outcome = apply(request, tally.tell)
    except OrchestrateError:
        _say_recap(console, loaded, engine, None)
        raise
    except Interrupted as exc:
        from orchestrator.teardown import left_in_place

        exc.left = left_in_place(engine, loaded.playbook.name)
        raise
    _conclude(console, loaded, engine, outcome)
    if options.as_json or options.junit is not None:
        result = apply_result(outcome, engine, console, tally)
        judged = Judged(outcome.judgement, versions(engine), tally.began_at_s, tally.settled_s)
        report(result, judged, options.junit, as_json=options.as_json)
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
        console.show_judgement(judgement)
        console.show_attempts(outcome.restarts, cause_of(judgement))
    _say_recap(console, loaded, engine, outcome)


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
