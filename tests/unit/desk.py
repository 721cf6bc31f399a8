"""A user at the command line of this very process, with an engine that is a dictionary."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from orchestrator import cli
from orchestrator.choose import EngineName, Notice
from orchestrator.commands import judging, listening, looking, planning, supporting, verbs, watching
from orchestrator.engines.base import Engine
from tests.unit.fake_engine import FakeEngine, join_and_end
from tests.unit.workbench import PLAYBOOK


@dataclass(frozen=True, slots=True)
class Said:
    """What one command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document of the output."""
        found: dict[str, Any] = json.loads(self.out)
        return found


@dataclass
class Desk:
    """A working folder with the playbook `pair.yaml`, and the engines that commands find."""

    folder: Path
    engines: list[FakeEngine]
    capsys: pytest.CaptureFixture[str]

    @property
    def engine(self) -> FakeEngine:
        """The engine that playbooks are applied to."""
        return self.engines[0]

    def run(self, *argv: str) -> Said:
        """Run one command line."""
        self.capsys.readouterr()
        code = cli.run(argv)
        said = self.capsys.readouterr()
        return Said(code, said.out, said.err)

    def write(self, text: str, name: str = "pair.yaml") -> None:
        """Write a playbook."""
        (self.folder / name).write_text(text)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    """A desk with one engine, on which every node joins and ends with 0 at once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = Desk(tmp_path, [FakeEngine(scripts=join_and_end())], capsys)
    made.write(PLAYBOOK)

    def engine_for(name: EngineName, notice: Notice) -> Engine:
        if name is EngineName.AUTO:
            notice("a notice")
        return made.engine

    def engines_for(_name: EngineName, _notice: Notice) -> tuple[Engine, ...]:
        return tuple(made.engines)

    monkeypatch.setattr(verbs, "engine_for", engine_for)
    monkeypatch.setattr(planning, "engine_for", engine_for)
    monkeypatch.setattr(judging, "engine_for", engine_for)
    monkeypatch.setattr(judging, "engines_for", engines_for)
    monkeypatch.setattr(supporting, "engines_for", engines_for)
    monkeypatch.setattr(looking, "engines_for", engines_for)
    monkeypatch.setattr(watching, "engines_for", engines_for)
    monkeypatch.setattr(listening, "engines_for", engines_for)
    return made
