"""The verb report: find the run that is meant, draw it, say what was written."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from orchestrator.archive import kept_projects
from orchestrator.display.console import Console, print_json
from orchestrator.errors import ExitCode, FolderUnusable, NoSuchProject, OrchestrateError
from orchestrator.kept.files import write_text
from orchestrator.playbook.loader import load
from orchestrator.recall import find_run, read_run
from orchestrator.report.model import ReportModel
from orchestrator.report.page import report_html
from orchestrator.report.reading import read_report
from orchestrator.report.summary import size
from orchestrator.report.verdict import Quotable
from orchestrator.support.hiding import Known, learn_of_playbook, unknown_of
from orchestrator.teardown import is_path


class ReportOptions(Struct, frozen=True):
    """The options of report."""

    out: Path
    run_id: str | None = None
    compare: str | None = None
    trace: Path | None = None
    tensorboard: Path | None = None
    csv: Path | None = None
    as_json: bool = False


def report_verb(target: str | None, options: ReportOptions) -> ExitCode:
    """Write the report of a run and what else is asked for, and print where it is."""
    console = Console(quiet=options.as_json)
    project = _project(target)
    model = _read(find_run(project, options.run_id))
    other = _read(_compared(project, options.compare)) if options.compare else None
    _write(options.out, report_html(model, other), "--out")
    written = [options.out, *_write_others(model, options)]
    console.heading(f"run {model.run_id} of {model.project}: {model.verdict}")
    console.show_lines(f"missing: {each}" for each in model.missing)
    console.show_lines(f"  {path}  {_size(path)}".rstrip() for path in written)
    if options.as_json:
        files = [str(path.absolute()) for path in written]
        found = {"project": model.project, "run_id": model.run_id, "verdict": model.verdict}
        print_json({**found, "files": files})
    return ExitCode.CONVERGED


def _project(target: str | None) -> str:
    """The project of a name or a playbook; without one, the only project that is kept."""
    if target is not None:
        is_file = is_path(target) or Path(target).is_file()
        return load(Path(target)).playbook.name if is_file else target
    projects = kept_projects()
    if len(projects) == 1:
        return projects[0]
    listed = ", ".join(projects) or "none"
    raise NoSuchProject("it is not clear which project is meant", fix=f"name one: {listed}")


def _compared(project: str, named: str) -> Path:
    """The folder of RUN_ID, or of PROJECT/RUN_ID."""
    other, slash, run_id = named.rpartition("/")
    return find_run(other if slash else project, run_id)


def _read(folder: Path) -> ReportModel:
    """The run; without words of its nodes where they may hold a secret that is not known."""
    kept, known = read_run(folder), Known()
    with suppress(OrchestrateError):  # the playbook may be gone, or have faults by now
        known = learn_of_playbook(load(Path(kept.playbook)))
    unknown = unknown_of(kept.nodes, known)
    quotable = Quotable(logs=not unknown.secrets | unknown.variables, kept=not unknown.variables)
    return read_report(folder, quotable)


def _write_others(model: ReportModel, options: ReportOptions) -> list[Path]:
    # Each is imported by who asks for it.
    written: list[Path] = []
    if options.trace:
        from orchestrator.report.trace import trace_text

        _write(options.trace, trace_text(model), "--trace")
        written.append(options.trace)
    if options.csv:
        from orchestrator.report.tables import write_csv

        written += write_csv(options.csv, model)
    if options.tensorboard:
        from orchestrator.report.tensorboard import write_tensorboard

        written += write_tensorboard(options.tensorboard, model)
    return written


def _write(path: Path, text: str, option: str) -> None:
    try:
        write_text(path, text)
    except OSError as exc:
        raise FolderUnusable(
            f"{path} cannot be written: {exc.strerror}", fix=f"choose another {option}"
        ) from exc


def _size(path: Path) -> str:
    return size(path.stat().st_size) if path.is_file() else ""
