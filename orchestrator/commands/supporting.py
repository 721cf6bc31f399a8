"""The verb support-bundle: find what is meant, pack it, say what is in it and what is not."""

from __future__ import annotations

import re
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.archive import kept_projects, run_folders
from orchestrator.choose import EngineName, engines_for
from orchestrator.display.console import Console, print_json
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, InvalidPlaybook, NoSuchProject, OrchestrateError
from orchestrator.playbook.given import NOTHING, Given
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.loader import load
from orchestrator.recall import find_run, read_run
from orchestrator.state.reference import is_reference
from orchestrator.support.bundle import Bundle
from orchestrator.support.collecting import Subject, collect
from orchestrator.teardown import is_path


class BundleOptions(Struct, frozen=True):
    """The options of support-bundle."""

    engine: EngineName = EngineName.AUTO
    given: Given = NOTHING
    run_id: str | None = None
    out: Path | None = None
    as_json: bool = False


def bundle_verb(target: str | None, options: BundleOptions) -> ExitCode:
    """Write a support bundle and print what is in it."""
    console = Console(quiet=options.as_json)
    began_at_s = time.time()
    with tempfile.TemporaryDirectory(prefix="orchestrate-") as scratch:
        bundle = Bundle(Path(scratch), {})
        subject = _subject(console, target, options, bundle)
        run_id = subject.folder.name if subject.folder else ""
        bundle.about |= {"project": subject.project, "run_id": run_id}
        bundle.about["made_at_s"] = round(began_at_s, 3)
        collect(subject, bundle)
        name = "-".join(filter(None, ("orchestrate-support", subject.project, run_id)))
        path = options.out or Path(f"{name}.tar.gz")
        bundle.write(path)
        _say(console, bundle, path)
        if options.as_json:
            print_json({"path": str(path.absolute()), **bundle.manifest})
    return ExitCode.CONVERGED


def _say(console: Console, bundle: Bundle, path: Path) -> None:
    console.heading(f"{path}  ({path.stat().st_size} bytes)")
    for name, each in sorted(bundle.packed.items()):
        cut = f", cut from {each.of_bytes}" if each.of_bytes is not None else ""
        console.show_lines([f"  {name}  {each.num_bytes} bytes{cut}"])
    console.show_lines(
        f"  left out: {name}: {why}" for name, why in sorted(bundle.left_out.items())
    )


def _subject(
    console: Console, target: str | None, options: BundleOptions, bundle: Bundle
) -> Subject:
    engines = engines_for(options.engine, console.say_error)
    project, playbook = _named(target, options.given, engines, bundle)
    folder = _folder(project, options.run_id)
    if playbook is None and folder is not None:
        playbook = _playbook_of(folder, options.given)
    engine = _engine_of(project, engines)
    if engine is None and folder is None and playbook is None:
        raise NoSuchProject(f"there is nothing of project {project} here", fix="see `status`")
    return Subject(project, playbook, folder, engine or engines[0])


def _named(
    target: str | None, given: Given, engines: tuple[Engine, ...], bundle: Bundle
) -> tuple[str, LoadedPlaybook | None]:
    """The project that is meant, and its playbook where that was named and holds."""
    if target is None:
        return _only_one(engines), None
    path = Path(target)
    if not is_path(target) and not path.is_file():
        return target, None
    try:
        loaded = load(path, given)
    except InvalidPlaybook as exc:
        project = _name_in(path)
        if project is None:
            raise
        bundle.leave_out("playbook as it is now", exc.what)
        return project, None
    return loaded.playbook.name, loaded


def _name_in(path: Path) -> str | None:
    """The name in a playbook that has faults, if it can be told."""
    with suppress(OSError):
        text = path.read_bytes()[: 256 * 1024].decode("utf-8", "replace")
        if match := re.search(r"^name:[ ]*[\"']?([a-z0-9][a-z0-9-]*)", text, re.MULTILINE):
            return match[1]
    return None


def _only_one(engines: tuple[Engine, ...]) -> str:
    """The only project there is: with nodes, else with runs that were kept."""
    names: set[str] = set()
    for engine in engines:
        with suppress(OrchestrateError):
            mine = (each for each in engine.projects() if each.is_mine)
            names |= {each.name for each in mine if not is_reference(each.playbook)}
    names = names or set(kept_projects())
    if len(names) == 1:
        return names.pop()
    listed = ", ".join(sorted(names)) or "none"
    raise NoSuchProject("it is not clear which project is meant", fix=f"name one: {listed}")


def _folder(project: str, run_id: str | None) -> Path | None:
    """The run that is named, or the newest: also one that never got as far as a node."""
    if run_id is not None:
        return find_run(project, run_id)
    return next(iter(run_folders(project)), None)


def _playbook_of(folder: Path, given: Given) -> LoadedPlaybook | None:
    """The playbook that a run was made from, if it is there still and holds."""
    with suppress(OrchestrateError):
        return load(Path(read_run(folder).playbook), given)
    return None


def _engine_of(project: str, engines: tuple[Engine, ...]) -> Engine | None:
    """The engine that the project's nodes are on."""
    for engine in engines:
        with suppress(OrchestrateError):
            if engine.observe_nodes(project):
                return engine
    return None
