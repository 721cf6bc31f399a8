"""Runs a case on the real engine, and notes what came of it and when."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.choose import docker_engine
from orchestrator.engines.base import Engine
from orchestrator.events import Event, NodeSpoke
from orchestrator.loglines import LogLine
from orchestrator.playbook.loader import load
from orchestrator.run import Outcome, Request, apply
from orchestrator.teardown import Placed, destroy
from orchestrator.watch import Judgement
from tests.diagnosis.capture import Capture, Standing
from tests.diagnosis.cases import Case

SCRIPTS = Path(__file__).with_name("scripts")
PAUSE_AT = b"step 4 "
"""What a node says when it is time to pause one."""


@dataclass
class Ear:
    """Hears every event of an apply, and pauses a node when the case says so."""

    case: Case
    project: str
    lines: list[LogLine] = field(default_factory=list)
    paused_at_s: float | None = None

    def hear(self, event: Event) -> None:
        """A `Sink`."""
        match event:
            case NodeSpoke(_, line):
                self.lines.append(line)
                if self.case.pause is not None and self.paused_at_s is None:
                    self._pause(line)
            case _:
                pass

    def _pause(self, line: LogLine) -> None:
        if PAUSE_AT in line.text:
            self.paused_at_s = time.time()
            name = f"{self.project}-node-{self.case.pause}"
            subprocess.run(["docker", "pause", name], check=True, capture_output=True, timeout=30)


def lay_out(case: Case, project: str, folder: Path) -> Path:
    """Put the case's playbook and all scripts into a folder."""
    shutil.copytree(SCRIPTS, folder / "scripts", dirs_exist_ok=True)
    path = folder / "playbook.yaml"
    path.write_text(case.playbook(project))
    return path


def run_case(case: Case, project: str, folder: Path) -> tuple[Judgement, Capture]:
    """Apply the case's playbook, which fails, and take everything away again."""
    engine, ear = docker_engine(), Ear(case, project)
    request = Request(load(lay_out(case, project, folder)), engine, folder / "locks")
    try:
        outcome = apply(request, ear.hear)
    finally:
        _take_away(engine, project, folder)
    judgement = _judgement(outcome)
    return judgement, _capture(case, request, ear, judgement)


def _judgement(outcome: Outcome) -> Judgement:
    if outcome.judgement is None or outcome.judgement.holds:
        raise AssertionError("a run that should fail has not")
    return outcome.judgement


def _take_away(engine: Engine, project: str, folder: Path) -> None:
    for summary in engine.projects():
        if summary.name == project:
            destroy(Placed(engine, summary), folder / "locks", lambda _: None, grace_s=0.5)


def _capture(case: Case, request: Request, ear: Ear, judgement: Judgement) -> Capture:
    run = judgement.run
    return Capture(
        command=f"python -m tests.diagnosis capture {case.name}",
        made_with=_made_with(),
        run_id=run.facts.run_id,
        playbook=case.playbook(request.loaded.playbook.name),
        judged_at_s=run.now_s,
        nodes=tuple(Standing.of(node) for node in run.nodes),
        ended_logs=tuple(rank for rank, node in run.facts.nodes.items() if node.has_ended),
        lines=tuple(ear.lines),
    )


def _made_with() -> str:
    asked = ["docker", "version", "--format", "{{.Server.Version}}"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True, timeout=30)
    return f"Docker Engine {said.stdout.strip()}, docker/requirements.txt"
