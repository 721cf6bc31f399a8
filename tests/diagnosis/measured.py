"""The runs as they were measured: what they left, and what a plain run of the same case shows."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks import Run
from tests.diagnosis.answers import diagnosed, replayed
from tests.diagnosis.capture import CAPTURES, read_capture
from tests.diagnosis.cases import CASES, Case

PLAIN_RUNS = Path(__file__).with_name("plain.json")


@dataclass(frozen=True, slots=True)
class Plain:
    """What a person who looks sees of a run that nobody follows.

    `ended_after_s` counts from the start of the last node to the end of the first that did not
    end well; None where none had when the run was given up. `last_line` is what that one wrote
    last, or node 0.
    """

    node_rank: int
    ended_after_s: float | None
    last_line: str


@dataclass(frozen=True, slots=True)
class Row:
    """One case: what was said, whether that is right, and how long after which moment.

    `plain` is None where that run has not been made.
    """

    case: str
    wrong: str
    headline: str
    is_right: bool
    since: str
    answered_after_s: float
    plain: Plain | None = None


def measured_rows() -> tuple[Row, ...]:
    """A row for each case that has a capture."""
    plain = read_plain_runs()
    cases = (case for case in CASES if _path(case).exists())
    return tuple(_row(case, plain.get(case.name)) for case in cases)


def _path(case: Case) -> Path:
    return CAPTURES / f"{case.name}.jsonl"


def _row(case: Case, plain: Plain | None) -> Row:
    capture = read_capture(_path(case))
    found, (since, at_s) = diagnosed(capture), moment(replayed(capture))
    is_right = found is not None and found.cause in case.causes and found.rank in case.ranks
    after_s = round(capture.judged_at_s - at_s, 1)
    headline = found.headline if found else ""
    return Row(case.name, case.wrong, headline, is_right, since, after_s, plain)


def moment(run: Run) -> tuple[str, float]:
    """What a user's patience counts from: the first end of a node, the last step, the join.

    An end with 0 counts where no node has ended otherwise.
    """
    ended = [node for node in run.nodes if node.finished_at_s is not None]
    ends = [node.finished_at_s or 0.0 for node in ended if not node.has_finished_well]
    ends = ends or [node.finished_at_s or 0.0 for node in ended]
    if ends:
        return "first exit", min(ends)
    steps = [f.last_step_at_s for f in run.facts.ranks.values() if f.last_step_at_s is not None]
    is_paused = any(node.status is NodeStatus.PAUSED for node in run.nodes)
    if steps and (run.joined_at_s is not None or is_paused):
        return "last step", max(steps)
    if run.joined_at_s is not None:
        return "join", run.joined_at_s
    return "start", run.started_at_s


def read_plain_runs() -> dict[str, Plain]:
    """`{case: what its plain run showed}`."""
    if not PLAIN_RUNS.exists():
        return {}
    kept = json.loads(PLAIN_RUNS.read_text())
    return {name: Plain(**fields) for name, fields in kept.items()}


def write_plain_run(case: Case, plain: Plain) -> None:
    """Keep a plain run in place of an older one of the case."""
    runs = read_plain_runs() | {case.name: plain}
    ordered = {each.name: asdict(runs[each.name]) for each in CASES if each.name in runs}
    PLAIN_RUNS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
