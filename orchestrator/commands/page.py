"""The page of the command line, made of the verbs themselves when the site is built."""

from __future__ import annotations

from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click

from orchestrator.commands.examples import EXAMPLES

PAGE_FILE = "cli.md"

_HEAD = """\
# The command line

`orchestrate VERB --help` says the same. What each [exit code](exit-codes.md) means is on a page of
its own; what verbs print with `--json` is in [results for machines](results.md).

| variable | meaning |
| --- | --- |
| `NO_COLOR` | plain text |
| `DOCKER_HOST`, `DOCKER_CONTEXT` | another Docker engine |
| `ORCHESTRATE_DEADLINE_S` | how long the engine is waited for, in place of 30 seconds |
| `ORCHESTRATE_DOCS` | where errors say that more is to be read: the site's address, or a folder |
| `ORCHESTRATE_OFFLINE` | builds without a network |
| `ORCHESTRATE_OWNER` | accounts that share projects |
"""


def page(app: click.Group) -> str:
    """Write the page."""
    return "\n".join([_HEAD, *(_verb(name, of) for name, of in sorted(app.commands.items()))])


def _verb(name: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=f"orchestrate {name}", help_option_names=["-h", "--help"]
    )
    usage = " ".join(command.collect_usage_pieces(context))
    text = cleandoc(command.help or "").replace("\f", "")
    examples = [f"{of}  # {why}" if why else of for of, why in EXAMPLES[name]]
    lines = [
        f"## {name}",
        "",
        *_paragraphs(text),
        "```text",
        f"orchestrate {name} {usage}",
        "```",
        "",
        "| option | meaning |",
        "| --- | --- |",
        *_options(command, context),
        "",
        "```sh",
        *examples,
        "```",
        "",
    ]
    return "\n".join(lines)


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs; those that click leaves as they are become a block."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            yield f"```text\n{paragraph.removeprefix(chr(8)).strip(chr(10))}\n```\n"
        else:
            yield f"{paragraph}\n"


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context) or ("", "")
        name, meaning = (part.replace("|", "\\|") for part in record)
        if meaning:
            yield f"| `{name}` | {meaning} |"


def write_page(app: click.Group, folder: Path) -> None:
    """Write the page into a folder, unless it is there and the same."""
    path, text = folder / PAGE_FILE, page(app)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
