"""The examples of docs/variables.md: its files are written, its commands are run."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from orchestrator import cli

PAGE = Path(__file__).resolve().parents[3] / "docs" / "variables.md"
ELLIPSIS = "…"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def commands() -> list[tuple[str, str]]:
    parts = [
        part for block in blocks("console") for part in re.split(r"^\$ ", block, flags=re.MULTILINE)
    ]
    pairs = [part.split("\n", 1) for part in parts if part]
    return [(command, output) for command, output in pairs]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the playbooks of the page."""
    for text in blocks("yaml"):
        (tmp_path / text.split("\n", 1)[0].removeprefix("# ")).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_page_has_examples() -> None:
    assert (len(blocks("yaml")), len(commands())) == (3, 4)


@pytest.mark.parametrize(("command", "output"), commands())
def test_a_command_prints_what_the_page_says(
    command: str, output: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program, *argv = shlex.split(command)
    assert (program, cli.run(argv)) == ("orchestrate", 0)
    pieces = [re.escape(piece) for piece in output.split(f"{ELLIPSIS}\n")]
    printed = capsys.readouterr().out
    assert re.fullmatch(r"(?:.*\n)+?".join(pieces), printed), printed
