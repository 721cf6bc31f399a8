"""The fenced blocks of a page, each with the mark above it, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

from orchestrator.starting.shell import commands_of

ROOT = Path(__file__).resolve().parents[2]
# docs/cli.md is made of the verbs when the site is built.
PAGES = (
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "cli.md"),
)

_MARK = re.compile(r"<!-- (not run|file|shows|exit code): (.+?) -->", re.DOTALL)
_CONTINUED = re.compile(r"\\\n")


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced block.

    Attributes:
        page: the file's name.
        line: of its fence, from 1.
        language: of the fence.
        text: what is in it.
        mark: `not run`, `file`, `shows`, `exit code`, or empty.
        said: what the mark says: a reason, a path, a number.
    """

    page: str
    line: int
    language: str
    text: str
    mark: str = ""
    said: str = ""

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """What is typed, each with the lines that are shown below it; a script is one command."""
        if self.language == "sh":
            return [(self.text, [])]
        found: list[tuple[str, list[str]]] = []
        for line in _CONTINUED.sub(" ", self.text).splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found and line:
                found[-1][1].append(line)
        return found

    def orchestrate_lines(self) -> Iterator[tuple[str, ...]]:
        """The arguments of every `orchestrate` that is typed."""
        typed = "\n".join(command for command, _ in self.commands)
        for command in commands_of(typed, str(self)):
            words = [word for word in command.words if "=" not in word.split("/")[0]]
            if words and words[0].rpartition("/")[2] == "orchestrate":
                yield command.words[command.words.index(words[0]) + 1 :]


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a page."""
    mark = ("", "")
    for token in MarkdownIt().parse(page.read_text()):
        if token.type == "html_block" and (found := _MARK.match(token.content)):
            mark = (found[1], found[2])
        elif token.type == "fence" and token.map:
            yield Block(page.name, token.map[0] + 1, token.info, token.content, *mark)
            mark = ("", "")
        elif token.type.endswith("_open"):
            mark = ("", "")


def all_blocks(*languages: str) -> list[Block]:
    """The blocks of all pages in these languages."""
    return [block for page in PAGES for block in blocks_of(page) if block.language in languages]
