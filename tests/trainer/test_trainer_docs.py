"""docs/trainer.md says what the program does: the same flags, the same fields."""

from __future__ import annotations

import argparse
import re
import signal
from pathlib import Path

import pytest

from tests.trainer.trainer_runs import REPOSITORY, SMALL, Finished, run, run_alone, start
from trainer.config import build_parser

pytestmark = pytest.mark.torch

PAGE = (REPOSITORY / "docs" / "trainer.md").read_text()


def flags_table() -> str:
    """The table of the page, made from the parser."""
    rows = ["| flag | default | meaning |", "| --- | --- | --- |"]
    for action in build_parser({})._actions:
        if not isinstance(action, argparse._HelpAction):
            choices = f" ({', '.join(action.choices)})" if action.choices else ""
            plain = action.default is None or action.default is False
            default = "" if plain else f"`{action.default}`"
            rows.append(f"| `{action.option_strings[0]}`{choices} | {default} | {action.help} |")
    return "\n".join(rows)


def test_the_page_has_the_parsers_flags() -> None:
    written = PAGE.split("<!-- flags -->\n")[1].split("\n<!-- end of flags -->")[0]
    assert written == flags_table()
    assert "`--learning-rate`" in written


def documented_fields() -> dict[str, set[str]]:
    """Event -> its fields, from the sections of the page; the envelope under the empty name."""
    part = PAGE.split("## Records\n")[1].split("\n## ")[0]
    sections = [("", part.split("\n### ")[0])]
    sections += [(text.split("`")[1], text) for text in part.split("\n### ")[1:]]
    return {
        event: {
            field
            for row in re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE)
            for field in re.findall(r"`(\w+)`", row)
        }
        for event, text in sections
    }


def written_fields(*runs: Finished) -> dict[str, set[str]]:
    fields: dict[str, set[str]] = {}
    for records in (rank for done in runs for rank in done.records):
        for record in records:
            assert fields.setdefault(record["event"], set(record)) == set(record)
    return fields


def test_the_page_has_the_fields_of_every_record(tmp_path: Path) -> None:
    flags = ("--checkpoint-dir", str(tmp_path / "c"), "--export-dir", str(tmp_path / "e"), *SMALL)
    endless = start(1, "--max-steps", "100000", "--sequence-length", "16")
    endless.wait_for(0, lambda record: record["event"] == "step")
    endless.processes[0].send_signal(signal.SIGINT)
    interrupted = endless.finish()
    assert interrupted.exit_codes == [130]
    written = written_fields(
        run(2, *flags), run(2, "--resume", *flags), run_alone("--data", "absent"), interrupted
    )
    documented = documented_fields()
    envelope = documented.pop("")
    assert {event: envelope | fields for event, fields in documented.items()} == written
