"""Apply over a playbook in a folder and an engine that is a dictionary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from orchestrator.errors import OrchestrateError
from orchestrator.events import Event
from orchestrator.gpus.inventory import Gpu
from orchestrator.playbook.loader import load
from orchestrator.run import Outcome, Request, apply
from tests.unit.fake_engine import FakeEngine, join_and_end

PLAYBOOK = """\
version: 1
name: pair
image: {tag: "app:1"}
ranks: {nodes: 2, command: [python, train.py]}
health_checks: [{joined: {within: 20s}}, {completed: {within: 20s}}]
"""


@dataclass
class Bench:
    """A playbook in a folder, an engine, and what was told."""

    folder: Path
    engine: FakeEngine = field(default_factory=FakeEngine)
    events: list[Event] = field(default_factory=list)
    pause: Callable[[float], None] = lambda _: None
    runs: Iterator[int] = field(default_factory=lambda: count(1))
    gpus: tuple[Gpu, ...] | None = None

    def __post_init__(self) -> None:
        self.write(PLAYBOOK)

    def write(self, text: str) -> None:
        (self.folder / "pair.yaml").write_text(text)

    def request(self, *, rerun: bool = False, detach: bool = False) -> Request:
        return Request(
            load(self.folder / "pair.yaml"),
            self.engine,
            self.folder / "locks",
            rerun=rerun,
            detach=detach,
            run_id=lambda: f"run-{next(self.runs)}",
            pause=self.pause,
            inventory=self.inventory,
        )

    def inventory(self) -> tuple[Gpu, ...]:
        assert self.gpus is not None, "nobody had to ask for GPUs"
        return self.gpus

    def apply(self, *, rerun: bool = False, detach: bool = False) -> Outcome:
        self.events.clear()
        self.engine.journal.clear()
        return apply(self.request(rerun=rerun, detach=detach), self.events.append)

    def apply_telling(self, told: Callable[[Event], None]) -> Outcome:
        """Apply, and hand over each event as it happens."""
        self.events.clear()

        def sink(event: Event) -> None:
            self.events.append(event)
            told(event)

        return apply(self.request(), sink)

    def apply_refused(self, kind: type[OrchestrateError]) -> OrchestrateError:
        with pytest.raises(kind) as caught:
            self.apply()
        return caught.value

    @property
    def kept(self) -> dict[str, str]:
        """`{path below the runs of the project: text}` of every log that was kept."""
        root = self.folder / ".orchestrate/runs/pair"
        return {str(path.relative_to(root)): path.read_text() for path in root.glob("*/*.log")}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.chdir(tmp_path)
    bench = Bench(tmp_path)
    bench.engine.scripts = join_and_end()
    return bench


def results(outcome: Outcome) -> list[tuple[str, str]]:
    assert outcome.judgement is not None
    return [(result.name, result.status.value) for result in outcome.judgement.results]
