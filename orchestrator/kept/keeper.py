"""Writes down what happens, while it happens, in the folder of the run that it happens to.

It listens to the same events as the console. What is told before the run has a folder (the
plan, a pull) is held back, bounded, and goes into the folder of the run that comes of it.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from orchestrator.events import (
    AttemptBegan,
    AttemptJudged,
    Event,
    LogEnded,
    NodeSpoke,
    NodesSampled,
    PlanMade,
    Sink,
)
from orchestrator.kept.asked import Asked
from orchestrator.kept.files import (
    EVENTS_FILE,
    FORMAT,
    PLAN_FILE,
    PLAYBOOK_FILE,
    RUN_FILE,
    USAGE_FILE,
    VERDICT_FILE,
    LineFile,
    keeping,
    records_file,
    write_json,
    write_text,
)
from orchestrator.kept.happenings import event_document
from orchestrator.kept.stamped import StampedNode
from orchestrator.kept.values import document, kept_plan_document
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.plans.plan import Plan
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedNode

MAX_EVENTS_BYTES: Final = 16 * 1024 * 1024
MAX_USAGE_BYTES: Final = 16 * 1024 * 1024
MAX_EARLY_EVENTS: Final = 1_000
FLUSH_S: Final = 1.0


class RunKeeper:
    """Keeps one apply. `tell` is a `Sink` that hands every event on.

    Args:
        sink: who is told as well, before.
        clock: seconds since the epoch.
    """

    def __init__(self, sink: Sink, clock: Callable[[], float] = time.time) -> None:
        self.run_id = ""
        """The run that this apply is about; empty as long as there is none."""
        self.folder: Path | None = None
        """Where that run is kept."""
        self._sink = sink
        self._clock = clock
        self._early: deque[dict[str, Any]] = deque(maxlen=MAX_EARLY_EVENTS)
        self._plan: Plan | None = None
        self._events: LineFile | None = None
        self._usage: LineFile | None = None
        self._nodes: dict[int, StampedNode] = {}
        self._verdict: dict[str, Any] = {}
        self._flushed_at_s = 0.0

    def begin(self, identity: RunIdentity, asked: Asked) -> None:
        """Make the folder of a run that is about to be started, with what it was asked for.

        Raises:
            FolderUnusable: it cannot be written; nothing was started.
            OutOfSpace: the disk is full.
        """
        folder = Path(identity.run_dir)
        with keeping("the run", folder, then="nothing was started"):
            write_text(folder / PLAYBOOK_FILE, asked.playbook)
            write_json(folder / RUN_FILE, _run_document(identity, asked, self._clock()))
            if self._plan is not None:
                write_json(folder / PLAN_FILE, kept_plan_document(self._plan, asked.engine))
            self._write_into(folder, identity.run_id)

    def take_up(self, nodes: Sequence[ObservedNode]) -> None:
        """Go on in the folder of a run that is there, by whichever apply it was started."""
        if nodes and nodes[0].run_dir:
            with suppress(OSError):
                self._write_into(Path(nodes[0].run_dir), nodes[0].run_id)

    def tell(self, event: Event) -> None:
        """Hand an event on and write it down.

        A disk that takes no more does not end a run: keeping the logs, at its end, says so.
        """
        self._sink(event)
        with suppress(OSError):
            self._keep(event)

    def end(self, **ending: object) -> None:
        """Say how the apply ended; the last words of this keeper."""
        self._verdict["apply"] = document(ending)
        with suppress(OSError):
            self._flush()
            self._write_verdict()

    def _keep(self, event: Event) -> None:
        match event:
            case NodeSpoke(_, line):
                self._add_line(line)
            case LogEnded(node_rank):
                self._add_line(LogEnd(node_rank))
            case NodesSampled(usages) if self._usage is not None:
                for usage in usages:
                    self._usage.add(document(usage))
            case PlanMade(plan):
                self._plan = plan
            case AttemptBegan(nodes):
                self._follow(nodes)
            case AttemptJudged():
                self._judge(event)
        if (told := event_document(event, self._clock())) is not None:
            self._add(told)
        if isinstance(event, AttemptJudged) or self._clock() - self._flushed_at_s >= FLUSH_S:
            self._flush()

    def _add(self, told: dict[str, Any]) -> None:
        if self._events is None:
            self._early.append(told)
        else:
            self._events.add(told)

    def _add_line(self, item: LogLine | LogEnd) -> None:
        if node := self._nodes.get(item.node_rank):
            node.add(item)

    def _write_into(self, folder: Path, run_id: str) -> None:
        """Write down in this folder from now on, what was held back first."""
        if folder == self.folder:
            return
        self._flush()
        self.folder, self.run_id, self._verdict, self._nodes = folder, run_id, {}, {}
        self._events = LineFile(folder / EVENTS_FILE, max_bytes=MAX_EVENTS_BYTES)
        self._usage = LineFile(folder / USAGE_FILE, max_bytes=MAX_USAGE_BYTES)
        for told in self._early:
            self._events.add(told)
        self._early.clear()
        self._flush()

    def _follow(self, nodes: Sequence[ObservedNode]) -> None:
        if self.folder is None:
            return
        for node in nodes:
            path = records_file(self.folder, node.node_rank)
            path.unlink(missing_ok=True)  # whoever follows a log gets it from its start
            self._nodes[node.node_rank] = StampedNode(path, node.node_rank)

    def _judge(self, event: AttemptJudged) -> None:
        self._verdict = {
            "judged_at_s": event.at_s,
            "diagnosis": document(event.diagnosis.document()) if event.diagnosis else None,
            "checks": document(event.results),
            "nodes": document(event.nodes),
            "reference": document(event.reference),
            "answers": document(event.answers),
            "sidecar": document(event.sidecar),
        }
        self._write_verdict()

    def _write_verdict(self) -> None:
        if self.folder is not None and self._verdict:
            write_json(self.folder / VERDICT_FILE, {"format": FORMAT, **self._verdict})

    def _flush(self) -> None:
        self._flushed_at_s = self._clock()
        for file in (self._events, self._usage):
            if file is not None:
                file.flush()
        for node in self._nodes.values():
            node.flush()


def _run_document(identity: RunIdentity, asked: Asked, now_s: float) -> dict[str, Any]:
    desired = asked.desired
    return {
        "format": FORMAT,
        "project": identity.project,
        "run_id": identity.run_id,
        "restart_count": identity.restart_count,
        "began_at_s": round(now_s, 6),
        "playbook": identity.playbook,
        "playbook_digest": identity.playbook_digest,
        "engine": asked.engine,
        "endpoint": asked.endpoint,
        "versions": asked.versions,
        "health_checks": document(asked.health_checks),
        "gpus": document(desired.gpus),
        "nodes": document(desired.nodes),
        "sidecar": document(desired.sidecar),
    }
