"""Where a run's logs are kept once its nodes are gone: `.orchestrate/runs/PROJECT/RUN/`."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.engines.base import Engine
from orchestrator.errors import FolderUnusable, OutOfSpace
from orchestrator.state.observed import ObservedNode

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
    return Path(node.run_dir) / f"node-{node.node_rank}.log" if node.run_dir else None


def save_logs(engine: Engine, nodes: Iterable[ObservedNode]) -> None:
    """Keep the whole output of each node that has not been kept since it ended.

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


def _is_saved(node: ObservedNode, path: Path) -> bool:
    """True when the file was written after the node had ended, so nothing can have come since."""
    if node.is_active or node.finished_at_s is None or not path.exists():
        return False
    return path.stat().st_mtime > node.finished_at_s


def _save(engine: Engine, node: ObservedNode, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        engine.save_log(node, path)
    except OSError as exc:
        if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutOfSpace(
                f"the log of {node.name} cannot be kept in {path.parent}: the disk is full",
                fix="free some space and try again; the node was not removed",
            ) from exc
        raise FolderUnusable(
            f"the log of {node.name} cannot be kept in {path.parent}: {exc.strerror}",
            fix="make that folder writable; the node was not removed",
        ) from exc


def saved_logs(project: str) -> tuple[Path, ...]:
    """The log files, in rank order, of the project's newest run that has any.

    Looked for below the current folder; none for what is no project's name.
    """
    if not _PROJECT.fullmatch(project):
        return ()
    runs = sorted((_current_folder() / FOLDER / project).glob("*/"), key=lambda run: run.name)
    return next((logs for run in reversed(runs) if (logs := _logs_in(run))), ())


def _logs_in(run: Path) -> tuple[Path, ...]:
    logs = (path for path in run.glob("node-*.log") if _NODE_LOG.fullmatch(path.name))
    return tuple(sorted(logs, key=node_rank_of))


def node_rank_of(log: Path) -> int:
    """The rank of the node whose log a file of `saved_logs` is."""
    return int(log.stem.removeprefix("node-"))
