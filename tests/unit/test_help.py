"""The examples that the help of each verb ends with: they are there, and they are no fiction."""

from __future__ import annotations

import shlex

import click
import pytest

from orchestrator import cli
from orchestrator.commands.examples import EXAMPLES

_LEAVE = {">", "|"}


def words_of(command: str) -> list[str]:
    """The arguments that a shell hands to `orchestrate`."""
    inner = command.removeprefix('eval "$(').removesuffix(')"')
    words = shlex.split(inner)
    end = next((at for at, word in enumerate(words) if word in _LEAVE), len(words))
    assert words[0] == "orchestrate"
    return words[1:end]


def test_every_verb_has_examples_and_no_other() -> None:
    assert set(EXAMPLES) == set(cli.app.commands)
    assert [verb for verb, shown in EXAMPLES.items() if not shown] == []


@pytest.mark.parametrize("verb", EXAMPLES)
def test_every_example_parses_and_is_shown(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([verb, "--help"]) == 0
    shown = capsys.readouterr().out
    for command, purpose in EXAMPLES[verb]:
        named, *arguments = words_of(command)
        assert named == verb
        cli.app.commands[verb].make_context(verb, arguments)
        line = f"  {command}  # {purpose}" if purpose else f"  {command}"
        assert line in shown.splitlines()
        assert len(line) <= 110


def test_an_example_that_is_wrong_is_found() -> None:
    with pytest.raises(click.UsageError):
        cli.app.commands["plan"].make_context("plan", words_of("orchestrate plan --jsno p")[1:])
