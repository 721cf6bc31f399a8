"""The folder of a kept run -> what a report shows of it. Needs no engine and no container.

Judged is by `recall`, as `verify` does it. Beside that every record is read once more, those
too that came while the run was being stopped: they prove nothing, but they happened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

from msgspec import Struct, convert, field
from msgspec.structs import replace

from orchestrator.kept.files import (
    EVENTS_FILE,
    PLAN_FILE,
    PLAYBOOK_FILE,
    RUN_FILE,
    USAGE_FILE,
    VERDICT_FILE,
    records_file,
)
from orchestrator.kept.stamped import read_entries
from orchestrator.recall import (
    MAX_DOCUMENT_BYTES,
    Recalled,
    last_states,
    read_document,
    recall,
)
from orchestrator.records import Step, record_of
from orchestrator.report.columns import (
    StepColumns,
    stride_for,
    thinned_steps,
    thinned_told,
    usage_series,
)
from orchestrator.report.happenings import happenings, planned
from orchestrator.report.lanes import MAX_MARKS, Passage, end_mark, ending_of, mark_of, spans_of
from orchestrator.report.model import (
    Attempt,
    Happening,
    Lane,
    LastWords,
    Mark,
    NodeView,
    PlannedObject,
    ReportModel,
    Tone,
    UsageSeries,
)
from orchestrator.report.verdict import Quotable, verdict_of
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.state.usage import Usage
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.phases import how_far, ways

EVERYTHING = Quotable()
MAX_LAST_WORDS = 4
"""Nodes whose last words are shown: where one fails, others fail of that."""

WORDLESS = frozenset({"plan_made", "action_done", "attempt_began", "node_ended", "attempt_judged"})
"""Events that quote no node."""


class _Circumstances(Struct, frozen=True):
    """What else `run.json` has of a run."""

    began_at_s: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)


class _RankLog(Struct):
    """What was read of one rank."""

    columns: StepColumns
    marks: list[Mark] = field(default_factory=list)


def read_report(folder: Path, quotable: Quotable = EVERYTHING) -> ReportModel:
    """Read what a report shows of a run, and of nodes' words what may be shown.

    Raises:
        RunUnreadable: what the run was asked for is missing or damaged.
    """
    recalled = recall(folder)
    around = _circumstances(folder)
    nodes = _last_nodes(folder, recalled)
    zero_s = around.began_at_s or min(_moments(nodes), default=recalled.judgement.run.now_s)
    logs = _read_ranks(folder, recalled.judgement.run.facts, zero_s)
    if not quotable.kept:
        _mute(logs)
    until_s = _until_s(recalled, nodes)
    verdict, kept = verdict_of(folder, recalled.judgement, quotable), recalled.kept
    return ReportModel(
        project=kept.project,
        run_id=kept.run_id,
        engine=kept.engine,
        began_at_s=zero_s,
        until_s=until_s - zero_s,
        holds=verdict.holds,
        checks=verdict.checks,
        diagnosis=verdict.diagnosis,
        missing=recalled.missing,
        last_words=_last_words(recalled, nodes) if quotable.logs else (),
        attempts=_attempts(folder),
        plan=tuple(PlannedObject(*each) for each in planned(_json(folder / PLAN_FILE))),
        happenings=_happenings(folder, zero_s, quotable),
        lanes=_lanes(recalled, nodes, logs, (zero_s, until_s), quotes=quotable.logs),
        nodes=_node_views(folder, recalled, nodes, zero_s),
        versions=_versions(around, recalled),
        playbook=_text(folder / PLAYBOOK_FILE),
        rendezvous=_rendezvous(kept.nodes[0]),
    )


# -- files ------------------------------------------------------------------------


def _circumstances(folder: Path) -> _Circumstances:
    try:
        return read_document(folder / RUN_FILE, _Circumstances)
    except (OSError, ValueError):
        return _Circumstances()


def _happenings(folder: Path, zero_s: float, quotable: Quotable) -> tuple[Happening, ...]:
    events = read_entries(folder / EVENTS_FILE)
    if not quotable.kept:
        events = (event for event in events if event.get("event") in WORDLESS)
    return happenings(events, zero_s)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_DOCUMENT_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _json(path: Path) -> object:
    try:
        found: object = json.loads(_text(path))
    except (ValueError, RecursionError):
        return None
    return found


def _attempts(folder: Path) -> tuple[Attempt, ...]:
    verdict = _json(folder / VERDICT_FILE)
    ending = verdict.get("apply") if isinstance(verdict, dict) else None
    restarts = ending.get("restarts") if isinstance(ending, dict) else None
    found = []
    for each in restarts if isinstance(restarts, list) else ():
        match each:
            case {"number": int(number), "cause": str(cause), "failed_run_id": str(run_id)}:
                found.append(Attempt(number, cause, run_id))
            case _:
                pass
    return tuple(found)


def _last_nodes(folder: Path, recalled: Recalled) -> dict[int, ObservedNode]:
    """The nodes as they were found last: after the run was judged, if they were kept then."""
    found = {node.node_rank: node for node in recalled.judgement.run.nodes}
    return found | {node.node_rank: node for node in last_states(folder, recalled.kept)}


def _last_words(recalled: Recalled, nodes: dict[int, ObservedNode]) -> tuple[LastWords, ...]:
    """Of the nodes that ended badly by themselves, those that ended first."""
    facts = recalled.judgement.run.facts
    ended = [
        node
        for node in nodes.values()
        if _ending(recalled, node)[1] == "bad" and node.node_rank in facts.nodes
    ]
    ended.sort(key=lambda node: (node.finished_at_s or 0.0, node.node_rank))
    return tuple(
        words for node in ended[:MAX_LAST_WORDS] for words in _words_of(facts, node) if words.lines
    )


def _words_of(facts: RunFacts, node: ObservedNode) -> list[LastWords]:
    tracebacks = [
        LastWords(f"Traceback of rank {rank}", tuple(facts.ranks[rank].traceback.splitlines()))
        for rank in node.spec.ranks
        if facts.ranks[rank].traceback
    ]
    lines = tuple(facts.nodes[node.node_rank].tail)
    return tracebacks or [LastWords(f"Last lines of {node.name}", lines)]


# -- times ------------------------------------------------------------------------


def _moments(nodes: dict[int, ObservedNode]) -> Iterable[float]:
    for node in nodes.values():
        yield from (at_s for at_s in (node.created_at_s, node.started_at_s) if at_s is not None)


def _until_s(recalled: Recalled, nodes: dict[int, ObservedNode]) -> float:
    ends = [node.finished_at_s for node in nodes.values() if node.finished_at_s is not None]
    return max([recalled.judgement.run.now_s, *ends])


# -- ranks ------------------------------------------------------------------------


def _read_ranks(folder: Path, facts: RunFacts, zero_s: float) -> dict[int, _RankLog]:
    """Read the records of every node; those that are not believed are left out."""
    logs = {rank: _RankLog(StepColumns(zero_s)) for rank in facts.ranks}
    for node_rank in facts.nodes:
        for entry in read_entries(records_file(folder, node_rank)):
            _take(entry, node_rank, facts, logs, zero_s)
    return logs


def _mute(logs: dict[int, _RankLog]) -> None:
    for log in logs.values():
        log.marks = [replace(mark, text="") for mark in log.marks]


def _take(
    entry: dict[str, Any],
    node_rank: int,
    facts: RunFacts,
    logs: dict[int, _RankLog],
    zero_s: float,
) -> None:
    at_s, record = entry.get("at_s"), record_of(entry.get("record"))
    if record is None or not isinstance(at_s, int | float) or not isfinite(at_s):
        return
    rank = facts.believed_rank(node_rank, record)
    if rank is None:
        return
    log = logs[rank]
    if isinstance(record, Step):
        log.columns.add(float(at_s), record)
    elif (mark := mark_of(record, at_s - zero_s)) and len(log.marks) < MAX_MARKS:
        log.marks.append(mark)


def _lanes(
    recalled: Recalled,
    nodes: dict[int, ObservedNode],
    logs: dict[int, _RankLog],
    between_s: tuple[float, float],
    *,
    quotes: bool,
) -> tuple[Lane, ...]:
    run = recalled.judgement.run
    zero_s, until_s = between_s
    stride = stride_for(
        sum(max(len(log.columns.steps), len(log.columns.told)) for log in logs.values())
    )
    reached = {way.rank: way.times_s for way in ways(run)}
    found = []
    for rank, log in logs.items():
        node = nodes.get(run.node_of(rank))
        if node is None:
            found.append(Lane(rank, run.node_of(rank)))
            continue
        phases = dict(run.facts.ranks[rank].phases)
        end_s = node.finished_at_s if node.finished_at_s is not None else until_s
        passage = Passage(node, phases, how_far(run, rank) if quotes else "", end_s)
        ended = end_mark(node, zero_s, was_stopped=_was_stopped(recalled, node))
        found.append(
            Lane(
                rank,
                node.node_rank,
                spans_of(passage, log.columns.steps, zero_s),
                (*log.marks, *([ended] if ended else ())),
                thinned_steps(log.columns.steps, stride),
                thinned_told(log.columns.told, stride),
                reached.get(rank, ()),
            )
        )
    return tuple(found)


# -- nodes ------------------------------------------------------------------------


def _node_views(
    folder: Path, recalled: Recalled, nodes: dict[int, ObservedNode], zero_s: float
) -> tuple[NodeView, ...]:
    usages = _usages(folder)
    return tuple(
        _node_view(
            spec,
            node := nodes.get(spec.node_rank),
            usage_series(
                usages.get(spec.node_rank, []), zero_s, node.started_at_s if node else None
            ),
            _ending(recalled, node),
        )
        for spec in recalled.kept.nodes
    )


def _usages(folder: Path) -> dict[int, list[Usage]]:
    found: dict[int, list[Usage]] = {}
    for entry in read_entries(folder / USAGE_FILE):
        try:
            usage = convert(entry, Usage)
        except ValueError:
            continue
        found.setdefault(usage.node_rank, []).append(usage)
    return {rank: sorted(each, key=lambda usage: usage.at_s) for rank, each in found.items()}


def _node_view(
    spec: NodeSpec, node: ObservedNode | None, usage: UsageSeries, ending: tuple[str, Tone]
) -> NodeView:
    return NodeView(
        node_rank=spec.node_rank,
        name=spec.name,
        ranks=tuple(spec.ranks),
        ending=ending[0],
        tone=ending[1],
        address=node.address if node else "",
        image=spec.image or "",
        network=spec.network or "",
        command=" ".join(spec.command),
        cpus=spec.limits.cpus,
        memory_bytes=spec.limits.memory_bytes,
        gpus=spec.gpus,
        usage=usage,
    )


def _rendezvous(spec: NodeSpec) -> str:
    env = dict(spec.env)
    return ":".join(filter(None, (env.get("MASTER_ADDR"), env.get("MASTER_PORT"))))


def _ending(recalled: Recalled, node: ObservedNode | None) -> tuple[str, Tone]:
    if node is None:
        return "nothing is known of it", "bad"
    if node.is_active or node.exit_code is None:
        return str(node.status), "plain"
    was_stopped = _was_stopped(recalled, node)
    tone: Tone = "plain" if was_stopped else "good" if node.has_finished_well else "bad"
    return ending_of(node, was_stopped), tone


def _was_stopped(recalled: Recalled, node: ObservedNode) -> bool:
    """True for a node that still ran when the run was judged, so that we ended it."""
    judged = {each.node_rank: each for each in recalled.judgement.run.nodes}
    before = judged.get(node.node_rank)
    return before is not None and before.is_active and not node.is_active


def _versions(around: _Circumstances, recalled: Recalled) -> tuple[tuple[str, str], ...]:
    """Of what took part: this program's and the engine's, and those that ranks reported."""
    found = dict(around.versions)
    for facts in recalled.judgement.run.facts.ranks.values():
        if facts.interpreter is not None:
            found.setdefault("python in nodes", facts.interpreter.python)
        if facts.torch is not None:
            found.setdefault("torch", facts.torch.torch)
            found.setdefault("cuda", facts.torch.cuda)
            found.setdefault("nccl", facts.torch.nccl)
    return tuple((name, version) for name, version in found.items() if version)
