"""Where a run's logs are kept once its nodes are gone: `.orchestrate/runs/PROJECT/RUN/`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from orchestrator.engines.base import Engine, RunsSidecars
from orchestrator.errors import FolderUnusable, LogGone
from orchestrator.kept.files import (
    RUN_FILE,
    is_complete,
    keeping,
    log_file,
    part_of,
    records_file,
    sidecar_file,
    sidecar_log_file,
    state_file,
    sweep,
    write_json,
)
from orchestrator.kept.stamped import StampedNode
from orchestrator.kept.values import document
from orchestrator.state.observed import ObservedNode, ObservedSidecar
from orchestrator.state.reference import reference_name

FOLDER = ".orchestrate/runs"

_PROJECT = re.compile(r"[a-z0-9][a-z0-9-]*")
_NODE_LOG = re.compile(r"node-[0-9]{1,9}\.log")


def run_folder(project: str, run_id: str) -> Path:
    """The folder of one run, below the current one; absolute, and not created here.

    Raises:
        FolderUnusable: the current folder was removed.
    """
    return _current_folder() / FOLDER / project / run_id


def _current_folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError as exc:
        raise FolderUnusable("the current folder is gone", fix="cd to another one") from exc


def log_path(node: ObservedNode) -> Path | None:
    """Where a node's log is kept; None for a node whose labels do not say."""
    return log_file(Path(node.run_dir), node.node_rank) if node.run_dir else None


def save_logs(engine: Engine, nodes: Iterable[ObservedNode]) -> None:
    """Keep the output of each node that has not been kept since it ended, and how it was found.

    Raises:
        OutOfSpace: the disk is full; nothing may be removed then.
    """
    unsaved = [
        (node, path)
        for node in nodes
        if node.started_at_s is not None
        and (path := log_path(node)) is not None
        and not _is_saved(node, path)
    ]
    with ThreadPoolExecutor(8) as pool:
        for saved in [pool.submit(_save, engine, node, path) for node, path in unsaved]:
            saved.result()


def save_sidecar_log(engine: RunsSidecars, sidecar: ObservedSidecar) -> None:
    """Keep what a sidecar wrote beside the logs of the nodes that it was for.

    Raises:
        OutOfSpace: the disk is full; the sidecar may not be removed then.
    """
    if not sidecar.run_dir or sidecar.started_at_s is None:
        return
    path = sidecar_log_file(Path(sidecar.run_dir), sidecar.spec.role)
    with keeping(f"the log of {sidecar.name}", path.parent, then="it was not removed"):
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(LogGone):
            engine.save_sidecar_log(sidecar, path)
        write_json(sidecar_file(path.parent), document(sidecar))


def _is_saved(node: ObservedNode, path: Path) -> bool:
    """True when the file was written after the node had ended, so nothing can have come since."""
    if node.is_active or node.finished_at_s is None or not path.exists():
        return False
    if path.stat().st_mtime <= node.finished_at_s:
        return False
    return is_complete(records_file(path.parent, node.node_rank))


def _save(engine: Engine, node: ObservedNode, path: Path) -> None:
    folder = path.parent
    with keeping(f"the log of {node.name}", folder, then="the node was not removed"):
        folder.mkdir(parents=True, exist_ok=True)
        try:
            engine.save_log(node, path)
        except LogGone:
            return  # somebody else took the node away meanwhile: nothing is left to keep
        _save_records(engine, node, records_file(folder, node.node_rank))
        write_json(state_file(folder, node.node_rank), document(node))


def _save_records(engine: Engine, node: ObservedNode, path: Path) -> None:
    """Read the log once more for its records and times, unless it was followed to its end."""
    if is_complete(path):
        return
    part = part_of(path)
    part.unlink(missing_ok=True)
    try:
        stamped = StampedNode(part, node.node_rank)
        engine.read_logs([node], stamped.add)
        stamped.flush()
        if part.exists():
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def saved_logs(project: str, run_id: str | None = None) -> tuple[Path, ...]:
    """The log files, in rank order, of the run that is named, or of the newest that has any.

    Looked for below the current folder; none for what is no project's name.
    """
    runs = (run for run in run_folders(project) if run_id in {None, run.name})
    return next((logs for run in runs if (logs := _logs_in(run))), ())


def sweep_runs(project: str) -> None:
    """Remove what commands that were killed had begun to write into the folders of its runs."""
    with suppress(FolderUnusable):  # without a current folder no runs are kept
        for folder in run_folders(project):
            sweep(folder)


def run_folders(project: str) -> tuple[Path, ...]:
    """The folders of a project's runs below the current one, the newest first."""
    if not _PROJECT.fullmatch(project):
        return ()
    runs = (_current_folder() / FOLDER / project).glob("*/")
    return tuple(sorted(runs, key=_age, reverse=True))


def _age(run: Path) -> tuple[str, int, str]:
    """Run ids tell seconds; of two of one second, as restarts are, their files tell."""
    try:
        began_ns = (run / RUN_FILE).stat().st_mtime_ns
    except OSError:
        began_ns = 0
    return run.name.partition("-")[0], began_ns, run.name


def kept_projects() -> tuple[str, ...]:
    """The projects that runs are kept of below the current folder, by name.

    A reference run is a part of the project that it is for.
    """
    found = {path.name for path in (_current_folder() / FOLDER).glob("*/")}
    names = {name for name in found if _PROJECT.fullmatch(name)}
    return tuple(sorted(names - {reference_name(name) for name in names}))


def _logs_in(run: Path) -> tuple[Path, ...]:
    logs = (path for path in run.glob("node-*.log") if _NODE_LOG.fullmatch(path.name))
    return tuple(sorted(logs, key=node_rank_of))


def node_rank_of(log: Path) -> int:
    """The rank of the node whose log a file of `saved_logs` is."""
    return int(log.stem.removeprefix("node-"))
