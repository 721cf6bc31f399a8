"""What the docs say of the program, held against the program."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import app
from orchestrator.errors import ExitCode

ROOT = Path(__file__).resolve().parents[2]


def test_every_exit_code_is_in_the_table() -> None:
    text = (ROOT / "docs" / "exit-codes.md").read_text()
    rows = re.findall(r"^\| (\d+) \| (\w+) \|", text, re.MULTILINE)
    assert [(int(code), name) for code, name in rows] == [
        (int(code), code.name.lower()) for code in ExitCode
    ]


def test_every_exit_code_is_in_the_help() -> None:
    said = CliRunner().invoke(app, ["--help"]).output
    table = said.partition("Exit codes:")[2]
    assert sorted(int(code) for code in re.findall(r"(?:^| {2,})(\d+) \w", table)) == list(ExitCode)


def test_the_readme_is_short_and_its_links_lead_somewhere() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) < 200
    links = [link for link in re.findall(r"\]\(([^)]+)\)", text) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


def test_every_verb_of_the_readme_exists_and_the_other_way_round() -> None:
    text = (ROOT / "README.md").read_text()
    table = text.partition("## The verbs")[2].partition("## Two engines")[0]
    cells = [row.split("|")[1] for row in table.splitlines() if row.startswith("| `")]
    named = {word for cell in cells for word in re.findall(r"`([\w-]+)", cell)}
    assert named == set(app.commands)


def test_make_help_lists_every_target_that_has_words() -> None:
    said = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), "help"],
        capture_output=True,
        text=True,
        check=True,
    )
    documented = re.findall(r"^([\w-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[0] for line in said.stdout.splitlines()] == documented
