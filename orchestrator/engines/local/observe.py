"""A node's folder in, observed state out. Looking changes nothing.

What damage means, decided here once:
- an empty folder, or one with an unfinished record: its creation was cut short; CREATED.
- a folder with other content and no record: not ours; a `ForeignObject`.
- a record that cannot be read, or that tells of another place: DEAD, and `error` says why.
- an exit that cannot be read: DEAD likewise.
- no lock holder and no exit: its supervisor was killed, and the node with it; EXITED, 137.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from msgspec.structs import replace

from orchestrator.engines import secret_files
from orchestrator.engines.base import Query
from orchestrator.engines.local.folders import SECRETS, NodeFolder
from orchestrator.engines.local.liveness import is_live, is_stopped
from orchestrator.engines.local.record import (
    Damaged,
    ExitRecord,
    NodeRecord,
    ProcessRecord,
    read_exit,
    read_node,
    read_process,
)
from orchestrator.state.observed import ForeignObject, NodeStatus, ObservedNode
from orchestrator.state.spec import NodeSpec

SUPERVISOR_KILLED = "its supervisor was killed, and the node with it"


def observe_nodes(folders: Iterable[NodeFolder]) -> tuple[ObservedNode, ...]:
    """The nodes among the folders; foreign ones and ones that vanish meanwhile are left out."""
    found = (_observe_node(folder) for folder in folders)
    return tuple(node for node in found if node is not None)


def observe_foreign(folders: Iterable[NodeFolder], query: Query) -> tuple[ForeignObject, ...]:
    """What stands where a node that the query names would be, and is not ours."""
    return tuple(
        ForeignObject("node", folder.node_name, str(folder.path))
        for folder in folders
        if folder.node_name in query.node_names and is_foreign(folder)
    )


def is_foreign(folder: NodeFolder) -> bool:
    """True when something is there that this engine did not make."""
    if not folder.is_real:
        return True
    try:
        return not folder.has_record and not folder.is_unborn
    except FileNotFoundError:
        return False


def birth_of(folder: NodeFolder) -> str:
    """The birth in the folder's record; empty when there is none that can be read."""
    record = read_node(folder.path)
    return record.birth if isinstance(record, NodeRecord) else ""


def node_id(folder: NodeFolder, birth: str) -> str:
    """`<project>/node-<rank>@<birth>`; the birth is empty for a node without a readable record."""
    return f"{folder.project}/node-{folder.node_rank}@{birth}"


def parse_node_id(root: Path, text: str) -> tuple[NodeFolder, str]:
    """The place and the birth that an id of `node_id` names."""
    place, _, birth = text.rpartition("@")
    project, _, rank = place.rpartition("/node-")
    return NodeFolder(root, project, int(rank)), birth


def _observe_node(folder: NodeFolder) -> ObservedNode | None:
    if is_foreign(folder):
        return None
    match read_node(folder.path):
        case NodeRecord() as record if _is_of(record, folder):
            return _observe_recorded(folder, record)
        case NodeRecord():
            why = "its record tells of another node"
            return _without_record(folder, NodeStatus.DEAD, why)
        case Damaged(why):
            return _without_record(folder, NodeStatus.DEAD, why)
        case None if folder.is_real:
            return _without_record(folder, NodeStatus.CREATED, "its creation was cut short")
        case None:
            return None


def _is_of(record: NodeRecord, folder: NodeFolder) -> bool:
    told = (record.identity.project, record.spec.node_rank)
    return told == (folder.project, folder.node_rank)


def _observe_recorded(folder: NodeFolder, record: NodeRecord) -> ObservedNode:
    # In this order: once the lock is free, whatever exit there is is final.
    live = is_live(folder.path)
    end = read_exit(folder.path)
    main = read_process(folder.path)
    started = main if isinstance(main, ProcessRecord) else None
    status = _status(end, started, live=live)
    exited = end if isinstance(end, ExitRecord) else None
    return ObservedNode(
        id=node_id(folder, record.birth),
        spec=_with_secrets(record.spec, folder),
        run_id=record.identity.run_id,
        spec_hash=record.spec_hash,
        status=status,
        exit_code=_exit_code(status, exited),
        started_at_s=started.started_at_s if started else None,
        finished_at_s=exited.finished_at_s if exited else None,
        error=_error(status, end),
        run_dir=record.identity.run_dir,
        restart_count=record.identity.restart_count,
        address="127.0.0.1",
    )


def _with_secrets(spec: NodeSpec, folder: NodeFolder) -> NodeSpec:
    if not spec.secrets:
        return spec
    names = [secret.name for secret in spec.secrets]
    return replace(spec, secrets=secret_files.found(folder.path / SECRETS, names))


def _status(
    end: ExitRecord | Damaged | None, started: ProcessRecord | None, *, live: bool
) -> NodeStatus:
    if isinstance(end, Damaged):
        return NodeStatus.DEAD
    if end is not None:
        return NodeStatus.EXITED
    if started is None:
        return NodeStatus.CREATED
    if not live:
        return NodeStatus.EXITED
    return NodeStatus.PAUSED if is_stopped(started.pid) else NodeStatus.RUNNING


def _exit_code(status: NodeStatus, exited: ExitRecord | None) -> int | None:
    if exited is not None:
        return exited.exit_code
    return 137 if status is NodeStatus.EXITED else None


def _error(status: NodeStatus, end: ExitRecord | Damaged | None) -> str:
    match end:
        case Damaged(why):
            return why
        case ExitRecord():
            return end.error
        case None:
            return SUPERVISOR_KILLED if status is NodeStatus.EXITED else ""


def _without_record(folder: NodeFolder, status: NodeStatus, why: str) -> ObservedNode:
    """A node of which only the place is known. Its spec is a blank: no playbook asks for that."""
    spec = NodeSpec(
        node_rank=folder.node_rank,
        num_ranks=1,
        name=folder.node_name,
        command=(),
        confinement=None,
    )
    return ObservedNode(
        id=node_id(folder, ""), spec=spec, run_id="", spec_hash="", status=status, error=why
    )
