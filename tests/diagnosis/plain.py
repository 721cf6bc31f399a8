"""The same run without orchestrate's eyes: what `docker logs` says of it, and when.

The containers are the very same; nobody follows them, and nobody stops them.
"""

from __future__ import annotations

import time
from pathlib import Path

from orchestrator.choose import docker_engine
from orchestrator.engines.base import Engine
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.playbook.loader import load
from orchestrator.run import Request, apply
from orchestrator.state.observed import ObservedNode
from tests.diagnosis.cases import Case
from tests.diagnosis.live import Ear, lay_out, take_away
from tests.diagnosis.measured import Plain

WATCHED_S = 60.0
"""How long the containers are left alone at most."""

POLL_S = 0.5


def run_plain(case: Case, project: str, folder: Path) -> Plain:
    """Start the case's nodes without the probe and look at them until all have ended."""
    engine, ear = docker_engine(), Ear(case, project)
    path = lay_out(case, project, folder)
    path.write_text(path.read_text() + "probe: off\n")
    request = Request(load(path), engine, folder / "locks", detach=True)
    try:
        apply(request, ear.hear)
        nodes = _left_alone(engine, ear, project)
        return _seen(engine, nodes)
    finally:
        take_away(engine, project, folder)


def _left_alone(engine: Engine, ear: Ear, project: str) -> tuple[ObservedNode, ...]:
    deadline_s = time.monotonic() + WATCHED_S
    while True:
        nodes = engine.observe_nodes(project)
        if not any(node.is_active for node in nodes) or time.monotonic() > deadline_s:
            return nodes
        if ear.waits_to_pause:
            engine.read_logs(nodes, ear.listen)
        time.sleep(POLL_S)


def _seen(engine: Engine, nodes: tuple[ObservedNode, ...]) -> Plain:
    failed = [node for node in nodes if node.exit_code not in {None, 0}]
    first = min(failed, key=lambda node: node.finished_at_s or 0.0, default=nodes[0])
    lines: list[str] = []

    def keep(item: LogLine | LogEnd) -> None:
        if isinstance(item, LogLine) and (text := item.text.decode(errors="replace").strip()):
            lines.append(text)

    engine.read_logs((first,), keep)
    started_s = max(node.started_at_s or 0.0 for node in nodes)
    # One that fails at once may have ended before the last one has started.
    after_s = round(max((first.finished_at_s or 0.0) - started_s, 0.0), 1) if failed else None
    return Plain(first.node_rank, after_s, lines[-1] if lines else "")
