"""Where a run's logs are kept once its nodes are gone: `.orchestrate/runs/PROJECT/RUN/`."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from orchestrator.engines.base import Engine
from orchestrator.errors import OrchestrateError, OutOfSpace
from orchestrator.state import ObservedNode

FOLDER = ".orchestrate/runs"


def run_folder(project: str, run_id: str) -> Path:
    """The folder of one run, below the current one; absolute, and not created here."""
    return (Path.cwd() / FOLDER / project / run_id).absolute()


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
        raise OrchestrateError(
            f"the log of {node.name} cannot be kept in {path.parent}: {exc.strerror}",
            fix="make that folder writable; the node was not removed",
        ) from exc


def saved_logs(project: str) -> tuple[Path, ...]:
    """The log files of the project's newest run that is kept below the current folder."""
    runs = sorted((Path.cwd() / FOLDER / project).glob("*/"), key=lambda run: run.name)
    return tuple(sorted(runs[-1].glob("node-*.log"))) if runs else ()
