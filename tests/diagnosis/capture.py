"""What a run that failed left behind, as a file, and the run again from that file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.engines.docker.traits import TRAITS
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.playbook.loader import load
from orchestrator.resolve import resolve
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.checks import Run
from orchestrator.verify.facts import RunFacts

CAPTURES = Path(__file__).with_name("captures")


@dataclass(frozen=True, slots=True)
class Standing:
    """How the engine found a node when the run was judged."""

    node_rank: int
    status: str
    exit_code: int | None
    oom_killed: bool
    started_at_s: float | None
    finished_at_s: float | None
    error: str

    @classmethod
    def of(cls, node: ObservedNode) -> Standing:
        """What is kept of a node."""
        return cls(
            node.node_rank,
            node.status.value,
            node.exit_code,
            node.oom_killed,
            node.started_at_s,
            node.finished_at_s,
            node.error,
        )


@dataclass(frozen=True, slots=True)
class Capture:
    """One run: every line with the engine's stamp in the order it came, and how it was judged."""

    command: str
    made_with: str
    run_id: str
    playbook: str
    judged_at_s: float
    nodes: tuple[Standing, ...]
    ended_logs: tuple[int, ...]
    lines: tuple[LogLine, ...]

    def write(self, path: Path) -> None:
        """Keep it, a line of log a line of the file."""
        head = {
            "command": self.command,
            "made_with": self.made_with,
            "run_id": self.run_id,
            "playbook": self.playbook,
            "judged_at_s": self.judged_at_s,
            "nodes": [asdict(node) for node in self.nodes],
            "ended_logs": list(self.ended_logs),
        }
        rows = [json.dumps(_row(line), ensure_ascii=False) for line in self.lines]
        path.write_text("\n".join([json.dumps(head, ensure_ascii=False), *rows, ""]))


def _row(line: LogLine) -> list[object]:
    continued = [True] if line.continued else []
    return [line.node_rank, line.at_s, line.text.decode(), *continued]


def read_capture(path: Path) -> Capture:
    """Read what `Capture.write` wrote."""
    head, *rows = path.read_text().split("\n")[:-1]
    fields = json.loads(head)
    fields["nodes"] = tuple(Standing(**node) for node in fields["nodes"])
    fields["ended_logs"] = tuple(fields["ended_logs"])
    parsed = [json.loads(row) for row in rows]
    lines = tuple(LogLine(row[0], row[1], row[2].encode(), len(row) > 3) for row in parsed)
    return Capture(**fields, lines=lines)


def replay(capture: Capture, folder: Path, *, without: Sequence[bytes] = ()) -> Run:
    """The run as it was judged, made again from what was kept of it.

    Args:
        capture: what was kept.
        folder: where the playbook is written to be read.
        without: lines that hold any of these are left out.
    """
    desired = _desired(capture, folder)
    facts = RunFacts(desired, capture.run_id)
    for line in capture.lines:
        if not any(mark in line.text for mark in without):
            facts.add(line)
    for node_rank in capture.ended_logs:
        facts.add(LogEnd(node_rank))
    nodes = tuple(_node(desired, capture.run_id, standing) for standing in capture.nodes)
    return Run(facts, nodes, capture.judged_at_s)


def _desired(capture: Capture, folder: Path) -> DesiredState:
    (folder / "scripts").mkdir()
    path = folder / "playbook.yaml"
    path.write_text(capture.playbook)
    return resolve(load(path), TRAITS)


def _node(desired: DesiredState, run_id: str, standing: Standing) -> ObservedNode:
    fields = asdict(standing) | {"status": NodeStatus(standing.status)}
    spec = desired.nodes[fields.pop("node_rank")]
    return ObservedNode(f"id-{spec.node_rank}", spec, run_id, "hash", **fields)
