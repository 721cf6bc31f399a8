"""What there is of a run: its folder, its nodes while they are there, the machine."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from orchestrator.engines.base import Engine, Query
from orchestrator.errors import OrchestrateError, RunUnreadable
from orchestrator.kept.files import (
    EVENTS_FILE,
    PLAN_FILE,
    PLAYBOOK_FILE,
    RUN_FILE,
    USAGE_FILE,
    VERDICT_FILE,
    rank_of_file,
)
from orchestrator.kept.values import document
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.show import resolved, resolved_yaml
from orchestrator.recall import read_run
from orchestrator.state.observed import ObservedNode
from orchestrator.support.bundle import Bundle, chunks_of
from orchestrator.support.hiding import Known, learn_of_nodes, learn_of_playbook, unknown_of
from orchestrator.versions import told_by, versions

_OF_A_RUN: Final = (PLAYBOOK_FILE, RUN_FILE, PLAN_FILE, EVENTS_FILE, VERDICT_FILE)
_WORDS_OF_NODES: Final = (EVENTS_FILE, VERDICT_FILE)
"""Files in which checks and events quote what nodes wrote; apply hid its secrets there."""


class Subject(Struct, frozen=True):
    """What a bundle is about, as far as each part could be found.

    Attributes:
        project: its name.
        loaded: the playbook as it is now.
        folder: of the run that was kept.
        engine: where its nodes are, or were.
    """

    project: str
    loaded: LoadedPlaybook | None
    folder: Path | None
    engine: Engine | None


def collect(subject: Subject, bundle: Bundle) -> None:
    """Take in all that there is; what cannot be had is left out, and said."""
    known = learn_of_playbook(subject.loaded) if subject.loaded else Known()
    nodes = _nodes(subject, bundle)
    known |= learn_of_nodes(node.spec for node in nodes)
    hidden = _unknown(subject, nodes, known)
    _add_machine(subject, bundle)
    if subject.folder is not None:
        _add_folder(subject.folder, bundle, hidden)
    elif subject.loaded is not None:
        shown = resolved(subject.loaded.playbook, subject.loaded.secret)
        bundle.add(PLAYBOOK_FILE, [resolved_yaml(shown).encode()])
    for node in nodes:
        _add_node(node, subject, bundle, hidden)


class _Unknown(Struct, frozen=True):
    """Why what nodes wrote, and why what quotes it, must stay out; empty where it need not."""

    logs: str = ""
    quotes: str = ""


def _unknown(subject: Subject, nodes: Sequence[ObservedNode], known: Known) -> _Unknown:
    specs = [node.spec for node in nodes]
    if subject.folder is not None:
        try:
            specs += read_run(subject.folder).nodes
        except RunUnreadable as exc:
            why = f"nobody can tell which secrets the nodes had: {exc.what}"
            return _Unknown(why, why)
    unknown = unknown_of(specs, known)
    names = ", ".join(sorted(unknown.secrets | unknown.variables))
    if not names:
        return _Unknown()
    why = f"it may hold the values of {names}, which cannot be read here and so not be hidden"
    return _Unknown(why, why if unknown.variables else "")


def _nodes(subject: Subject, bundle: Bundle) -> tuple[ObservedNode, ...]:
    """The project's own nodes that are there, of the run that is meant."""
    if subject.engine is None:
        return ()
    try:
        observed = subject.engine.observe(Query(subject.project))
    except OrchestrateError as exc:
        bundle.leave_out("nodes", exc.what)
        return ()
    nodes = observed.nodes
    if subject.folder is not None:
        others = {node.run_id for node in nodes} - {subject.folder.name}
        if others:
            bundle.leave_out("nodes", f"those that are there are of run {', '.join(others)}")
        nodes = tuple(node for node in nodes if node.run_id not in others)
    if nodes:
        networks = [each for each in observed.networks if each.project == subject.project]
        bundle.add_json("nodes/networks.json", document(networks))
    return nodes


def _add_machine(subject: Subject, bundle: Bundle) -> None:
    found: dict[str, Any] = {"versions": versions(subject.engine), "machine": _machine()}
    try:
        found["engine"] = told_by(subject.engine)
    except OrchestrateError as exc:
        bundle.leave_out("machine.json: engine", exc.what)
    bundle.add_json("machine.json", found)


def _machine() -> dict[str, int | float | None]:
    pages, page_bytes = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    shm = Path("/dev/shm")  # noqa: S108  (how large it is, not a file in it)
    return {
        "cpus": os.cpu_count(),
        "load_1_min": round(os.getloadavg()[0], 2),
        "memory_bytes": pages * page_bytes,
        "disk_free_bytes": shutil.disk_usage(Path.cwd()).free,
        "shm_bytes": shutil.disk_usage(shm).total if shm.exists() else None,
    }


def _add_folder(folder: Path, bundle: Bundle, hidden: _Unknown) -> None:
    """Take in the files of a run, and no others that may lie beside them."""
    for name in sorted(os.listdir(folder)):
        if name not in {*_OF_A_RUN, USAGE_FILE} and rank_of_file(name) is None:
            continue
        why = hidden.logs if name.endswith(".log") else ""
        if name in _WORDS_OF_NODES or name.endswith(".records.jsonl"):
            why = hidden.quotes
        _add_file(folder / name, bundle, why)
    for name in _OF_A_RUN:
        if name not in bundle.packed and name not in bundle.left_out:
            bundle.leave_out(name, "it is not in the folder of the run")


def _add_file(path: Path, bundle: Bundle, why_not: str, name: str = "") -> None:
    name = name or path.name
    if why_not:
        bundle.leave_out(name, why_not)
        return
    try:
        bundle.add(name, chunks_of(path))
    except OSError as exc:
        bundle.leave_out(name, exc.strerror or "it cannot be read")


def _add_node(node: ObservedNode, subject: Subject, bundle: Bundle, hidden: _Unknown) -> None:
    """Take in a node as it is now, and its log where that was not kept yet."""
    bundle.add_json(f"nodes/node-{node.node_rank}.json", document(node))
    name = f"node-{node.node_rank}.log"
    if name in bundle.packed or subject.engine is None:
        return
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / name
        try:
            if not hidden.logs:
                subject.engine.save_log(node, path)
        except OrchestrateError as exc:
            bundle.leave_out(name, exc.what)
            return
        _add_file(path, bundle, hidden.logs, name)
        if not hidden.logs:
            bundle.left_out.pop(name, None)
