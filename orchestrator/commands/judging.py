"""The verb verify: judge a run by its nodes, or by what was kept of it once they are gone."""

from __future__ import annotations

import time
from pathlib import Path

from msgspec import Struct

from orchestrator.archive import kept_projects
from orchestrator.choose import EngineName, engine_for, engines_for, state_folder
from orchestrator.commands.reporting import (
    Judged,
    cause_of,
    check_entries,
    diagnosis_of,
    join_of,
    report,
    reporting_errors,
)
from orchestrator.display.console import Console
from orchestrator.errors import ExitCode, NoSuchProject
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.health import Check
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.recall import Recalled, find_run, recall
from orchestrator.report.result import VerifyResult
from orchestrator.run import Request, verify
from orchestrator.teardown import find_projects, is_path, select
from orchestrator.versions import versions
from orchestrator.watch import Judgement


class VerifyOptions(Struct, frozen=True):
    """The options of verify."""

    engine: EngineName = EngineName.AUTO
    given: Given = NOTHING
    run_id: str | None = None
    as_json: bool = False
    junit: Path | None = None


class _Target(Struct, frozen=True):
    """Whose run is meant: a project, and the playbook to judge it by where there is one."""

    project: str
    loaded: LoadedPlaybook | None


class _Verified(Struct, frozen=True):
    """How a run was judged; `recalled` where that was by what was kept of it."""

    judgement: Judgement
    engine: str
    versions: dict[str, str]
    recalled: Recalled | None = None


def verify_verb(target: str | None, options: VerifyOptions) -> ExitCode:
    """Print what the checks say of a run."""
    console = Console(quiet=options.as_json)
    with reporting_errors(options.junit, Path(target or "orchestrate").stem, "verify"):
        return _verify(console, _target(console, target, options), options)


def _target(console: Console, target: str | None, options: VerifyOptions) -> _Target:
    """What is meant by a playbook, a project's name, or nothing where there is one project."""
    if target is not None and (is_path(target) or Path(target).is_file()):
        loaded = load(Path(target), options.given)
        return _Target(loaded.playbook.name, loaded)
    found = select(find_projects(engines_for(options.engine, console.say_error)), target)
    mine = [placed.summary for placed in found if placed.summary.is_mine]
    if not mine:
        return _Target(target or _only_kept(), None)
    path = Path(mine[0].playbook)
    return _Target(mine[0].name, load(path, options.given) if path.is_file() else None)


def _only_kept() -> str:
    projects = kept_projects()
    if len(projects) == 1:
        return projects[0]
    listed = ", ".join(projects) or "none"
    raise NoSuchProject(
        "no project is here", fix=f"name a playbook, or one of those kept: {listed}"
    )


def judged_run(console: Console, target: str | None, options: VerifyOptions) -> VerifyResult:
    """Judge a run, for a program. Raises NoSuchProject, InvalidPlaybook, RunUnreadable."""
    began_s = time.monotonic()
    meant = _target(console, target, options)
    return _result(_judge(console, meant, options), meant, time.monotonic() - began_s)


def _judge(console: Console, target: _Target, options: VerifyOptions) -> _Verified:
    return _by_nodes(console, target, options) or _by_what_was_kept(console, target, options)


def _verify(console: Console, target: _Target, options: VerifyOptions) -> ExitCode:
    began_s, began_at_s = time.monotonic(), time.time()
    judged = _judge(console, target, options)
    judgement = judged.judgement
    console.num_ranks = judgement.run.facts.desired.nodes[0].num_ranks
    if judgement.diagnosis is not None:
        console.show_diagnosis(judgement.diagnosis)
    for check in judgement.results:
        console.show_check(check)
    if not judgement.holds:
        console.show_failure(judgement)
    result = _result(judged, target, time.monotonic() - began_s)
    said = Judged(judgement, judged.versions, began_at_s)
    report(result, said, options.junit, as_json=options.as_json)
    return ExitCode(result.exit_code)


def _by_nodes(console: Console, target: _Target, options: VerifyOptions) -> _Verified | None:
    """Judge the nodes that are there; None where they are not, or are of another run."""
    if target.loaded is None:
        return None
    engine = engine_for(options.engine, console.say_error)
    request = Request(target.loaded, engine, state_folder() / "locks")
    judgement = verify(request, options.run_id)
    if judgement is None:
        return None
    return _Verified(judgement, engine.traits.name, versions(engine))


def _by_what_was_kept(console: Console, target: _Target, options: VerifyOptions) -> _Verified:
    """Judge what was kept, by the checks of the playbook if one was given, else by its own."""
    recalled = recall(_folder(target, options), _checks(target))
    run_id, kept = recalled.kept.run_id, recalled.kept
    console.heading(f"from the kept records of run {run_id} in {recalled.folder}")
    if target.loaded is not None and target.loaded.digest != kept.playbook_digest:
        console.say("the playbook is not as it was then: its checks as they are now are judged")
    console.show_lines(f"missing: {each}" for each in recalled.missing)
    return _Verified(recalled.judgement, kept.engine, {}, recalled)


def _folder(target: _Target, options: VerifyOptions) -> Path:
    try:
        return find_run(target.project, options.run_id)
    except NoSuchProject as exc:
        if options.run_id is not None or target.loaded is None:
            raise
        raise NoSuchProject(
            f"project {target.project} has no nodes here, and no run of it is kept",
            fix=f"run `orchestrate apply {target.loaded.path}` first",
        ) from exc


def _checks(target: _Target) -> tuple[Check, ...] | None:
    return target.loaded.playbook.health_checks if target.loaded is not None else None


def _result(judged: _Verified, target: _Target, took_s: float) -> VerifyResult:
    judgement, recalled = judged.judgement, judged.recalled
    nodes = judgement.run.nodes
    code = ExitCode.CONVERGED if judgement.holds else ExitCode.NOT_CONVERGED
    return VerifyResult(
        project=target.project,
        engine=judged.engine,
        run_id=judgement.run.facts.run_id,
        run_dir=str(recalled.folder) if recalled else nodes[0].run_dir,
        source="kept" if recalled else "nodes",
        missing=recalled.missing if recalled else (),
        checks=check_entries(judgement.results),
        join=join_of(judgement),
        cause=cause_of(judgement),
        diagnosis=diagnosis_of(judgement),
        judged_at_s=round(judgement.run.now_s, 3),
        took_s=round(took_s, 3),
        exit_code=int(code),
    )
