"""A run that is gone, judged again from what was kept of it.

The lines go through the same facts and checks as those of nodes that are there, up to the
moment that the run was judged at: what came later, while it was being stopped, proved nothing
then. Files may have been lost, cut or edited since: what is missing is said, and what cannot
be understood at all is a typed error.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct

from orchestrator.archive import run_folders
from orchestrator.errors import NoSuchProject, RunUnreadable
from orchestrator.gpus.demand import GpuDemand
from orchestrator.kept.files import (
    FORMAT,
    RUN_FILE,
    VERDICT_FILE,
    is_complete,
    log_file,
    rank_of_file,
    records_file,
    sidecar_file,
    state_file,
)
from orchestrator.kept.stamped import KeptNode
from orchestrator.loglines import LogEnd
from orchestrator.playbook.health import Check, HealthCheck
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode, ObservedSidecar
from orchestrator.state.spec import NodeSpec, SidecarSpec
from orchestrator.verify.answers import Answer
from orchestrator.verify.checks import Run
from orchestrator.verify.facts import RunFacts
from orchestrator.watch import Judgement, judge, milestone_of

MAX_DOCUMENT_BYTES: Final = 64 * 1024 * 1024
MAX_RANKS: Final = 100_000

Kept = TypeVar("Kept")


class KeptRun(Struct, frozen=True):
    """What a run was asked for, as `run.json` has it."""

    format: int
    project: str
    run_id: str
    engine: str
    nodes: tuple[NodeSpec, ...]
    health_checks: list[Any]
    playbook: str = ""
    playbook_digest: str = ""
    gpus: GpuDemand | None = None
    sidecar: SidecarSpec | None = None

    @property
    def desired(self) -> DesiredState:
        """As much of what was wanted as the checks look at."""
        return DesiredState(
            project=self.project,
            image=None,
            network=None,
            nodes=self.nodes,
            playbook=self.playbook,
            playbook_digest=self.playbook_digest,
            gpus=self.gpus,
            sidecar=self.sidecar,
        )


class KeptVerdict(Struct, frozen=True):
    """The moment that a run was judged at, its nodes then, and what no log has.

    That is the losses it was held against, and what nodes answered at their ports.
    """

    judged_at_s: float
    nodes: tuple[ObservedNode, ...]
    reference: dict[int, float] | None = None
    answers: tuple[Answer, ...] = ()
    sidecar: ObservedSidecar | None = None


class Recalled(Struct, frozen=True):
    """A run judged from its folder.

    Attributes:
        folder: where it is kept.
        kept: what it was asked for.
        judgement: what the checks say.
        missing: what is not there or not whole, each in a few words.
    """

    folder: Path
    kept: KeptRun
    judgement: Judgement
    missing: tuple[str, ...]


def find_run(project: str, run_id: str | None = None) -> Path:
    """The folder of a kept run: the one that is named, or the newest that nodes have run in.

    Raises:
        NoSuchProject: there is none.
    """
    folders = run_folders(project)
    for folder in folders:
        if folder.name == run_id if run_id else _has_run(folder):
            return folder
    listed = ", ".join(folder.name for folder in folders[:10]) or "none"
    which = f"no run {run_id} of project {project}" if run_id else f"no run of project {project}"
    raise NoSuchProject(f"{which} is kept in .orchestrate/runs", fix=f"kept here: {listed}")


def _has_run(folder: Path) -> bool:
    """False for a run of which no node was ever started."""
    names = [path.name for path in folder.iterdir()]
    return any(rank_of_file(name) is not None for name in names) or _verdict(folder) is not None


def recall(folder: Path, checks: tuple[Check, ...] | None = None) -> Recalled:
    """Judge a kept run.

    Args:
        folder: of the run.
        checks: what to judge it by; None: what it was judged by.

    Raises:
        RunUnreadable: what it was asked for is missing or damaged.
    """
    kept = read_run(folder)
    by = checks_of(kept, folder) if checks is None else checks
    verdict = _verdict(folder)
    nodes = verdict.nodes if verdict else tuple(last_states(folder, kept))
    until_s = verdict.judged_at_s if verdict else None
    facts = RunFacts(kept.desired, kept.run_id, milestone=milestone_of(by))
    folded = {
        node.node_rank: _fold(folder, facts, node, until_s)
        for node in nodes
        if node.node_rank in facts.nodes
    }
    for answer in verdict.answers if verdict else ():
        facts.add_answer(answer)
    now_s = until_s or max((last_s for last_s, _ in folded.values()), default=0.0)
    cut = [rank for rank, (_, is_cut) in folded.items() if is_cut]
    missing = (
        *_missing(folder, kept, folded.keys(), is_judged=verdict is not None),
        *(
            f"{log_file(folder, rank).name}: lines of node {rank}, but for its records"
            for rank in cut
        ),
    )
    beside = verdict.sidecar if verdict else _sidecar(folder)
    run = Run(facts, nodes, now_s, verdict.reference if verdict else None, beside)
    return Recalled(folder, kept, judge(by, run), missing)


def was_judged(folder: Path) -> bool:
    """True when whoever followed the run has judged it, and that can be read."""
    return _verdict(folder) is not None


def read_run(folder: Path) -> KeptRun:
    """What a run was asked for. Raises RunUnreadable."""
    path = folder / RUN_FILE
    try:
        kept = read_document(path, KeptRun)
    except FileNotFoundError as exc:
        raise RunUnreadable(
            f"run {folder.name} cannot be judged: {path} is missing",
            fix="an older version kept logs alone; `orchestrate logs` shows them",
        ) from exc
    except (OSError, ValueError) as exc:
        raise _damaged(path) from exc
    ranks = [node.node_rank for node in kept.nodes]
    sizes = {node.num_ranks for node in kept.nodes}
    is_sound = ranks == list(range(len(ranks))) and len(sizes) == 1 and min(sizes) >= 1
    if kept.format != FORMAT or not is_sound or len(ranks) * max(sizes) > MAX_RANKS:
        raise _damaged(path)
    return kept


def checks_of(kept: KeptRun, folder: Path) -> tuple[Check, ...]:
    """The checks that a run was asked to pass. Raises RunUnreadable."""
    from pydantic import TypeAdapter, ValidationError

    adapter: TypeAdapter[tuple[Check, ...]] = TypeAdapter(tuple[HealthCheck, ...])
    try:
        return adapter.validate_python(_as_tuples(kept.health_checks))
    except ValidationError as exc:
        raise RunUnreadable(
            f"the health checks in {folder / RUN_FILE} are hidden, damaged or of another version",
            fix="name the playbook whose checks are meant",
        ) from exc


def _as_tuples(value: Any) -> Any:
    """JSON data with its lists as the tuples that they were; the playbook's types are strict."""
    match value:
        case list():
            return tuple(map(_as_tuples, value))
        case dict():
            return {key: _as_tuples(item) for key, item in value.items()}
        case _:
            return value


def _damaged(path: Path) -> RunUnreadable:
    return RunUnreadable(
        f"{path} is damaged, or of another version", fix="judge another run, with --run"
    )


def read_document(path: Path, kind: type[Kept]) -> Kept:
    """A document of the folder. Raises OSError, and ValueError for one that is damaged."""
    with path.open("rb") as file:
        content = file.read(MAX_DOCUMENT_BYTES + 1)
    if len(content) > MAX_DOCUMENT_BYTES:
        raise ValueError(f"{path} is too large")
    try:
        return msgspec.json.decode(content, type=kind)
    except RecursionError as exc:
        raise ValueError(f"{path} is nested too deeply") from exc


def _verdict(folder: Path) -> KeptVerdict | None:
    try:
        return read_document(folder / VERDICT_FILE, KeptVerdict)
    except (OSError, ValueError):
        return None


def last_states(folder: Path, kept: KeptRun) -> Iterator[ObservedNode]:
    """How the nodes were found last, as far as that can be read."""
    for spec in kept.nodes:
        try:
            yield read_document(state_file(folder, spec.node_rank), ObservedNode)
        except (OSError, ValueError):
            continue


def _sidecar(folder: Path) -> ObservedSidecar | None:
    try:
        return read_document(sidecar_file(folder), ObservedSidecar)
    except (OSError, ValueError):
        return None


def _fold(
    folder: Path, facts: RunFacts, node: ObservedNode, until_s: float | None
) -> tuple[float, bool]:
    """Fold in what a node wrote until a time; the time of its last line, and if its log is cut."""
    last_s = node.finished_at_s or 0.0
    kept = KeptNode(folder, node.node_rank, started_at_s=node.started_at_s or 0.0)
    for line in kept.lines():
        if until_s is not None and line.at_s > until_s:
            break
        last_s = max(last_s, line.at_s)
        facts.add(line)
    if not node.is_active:
        facts.add(LogEnd(node.node_rank))
    return last_s, kept.is_cut


def _missing(folder: Path, kept: KeptRun, known: Set[int], *, is_judged: bool) -> Iterator[str]:
    if not is_judged:
        yield f"{VERDICT_FILE}: when it was judged; it is judged by all that was kept"
    for spec in kept.nodes:
        rank = spec.node_rank
        if rank not in known:
            yield f"{state_file(folder, rank).name}: how node {rank} ended"
        if not is_judged and not is_complete(records_file(folder, rank)):
            yield f"{records_file(folder, rank).name}: the last records of node {rank}"
