"""Runs a case on the real engine, and notes what came of it and when."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.choose import docker_engine
from orchestrator.engines.base import Engine
from orchestrator.events import Event, NodeSpoke
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.playbook.loader import load, load_text
from orchestrator.run import Outcome, Request, apply, desired_state, query_for
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
    has_paused: bool = False

    def hear(self, event: Event) -> None:
        """A `Sink`."""
        match event:
            case NodeSpoke(_, line):
                self.lines.append(line)
                self.listen(line)
            case _:
                pass

    @property
    def waits_to_pause(self) -> bool:
        """True as long as a node is still to be paused."""
        return self.case.pause is not None and not self.has_paused

    def listen(self, item: LogLine | LogEnd) -> None:
        """Pause a node once one says that it trains, if the case wants that."""
        if self.waits_to_pause and isinstance(item, LogLine) and PAUSE_AT in item.text:
            self.has_paused = True
            name = f"{self.project}-node-{self.case.pause}"
            subprocess.run(["docker", "pause", name], check=True, capture_output=True, timeout=30)


def make_image(repository: Path, lock_folder: Path) -> None:
    """Build the image of the cases, where it is not there."""
    folder = repository / "playbooks"
    text = (folder / "two-rank.yaml").read_bytes().replace(b"name: two-rank", b"name: diag-image")
    loaded = load_text(text, name="two-rank.yaml", folder=folder)
    engine = docker_engine()
    request = Request(loaded, engine, lock_folder)
    desired = desired_state(request)
    if desired.image is not None and engine.observe(query_for(desired)).image is None:
        engine.build_image(desired.image, lambda _: None)


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
        take_away(engine, project, folder)
    judgement = _judgement(outcome)
    return judgement, _capture(case, request, ear, judgement)


def _judgement(outcome: Outcome) -> Judgement:
    if outcome.judgement is None or outcome.judgement.holds:
        raise AssertionError("a run that should fail has not")
    return outcome.judgement


def take_away(engine: Engine, project: str, folder: Path) -> None:
    """Leave nothing of a project."""
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
