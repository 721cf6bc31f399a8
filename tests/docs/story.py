"""Runs a page from top to bottom, in one shell, as a reader would type it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import Block

DEADLINE_S = 400
_END = "\x1e"


@dataclass(frozen=True, slots=True)
class Typed:
    """One command of a page: what it printed, and how it ended; None: it was never reached."""

    block: Block
    command: str
    shown: list[str]
    out: str
    code: int | None

    def faults(self) -> Iterator[str]:
        """What is not as the page has it."""
        wanted = int(self.block.said) if self.block.mark == "exit code" else 0
        if self.code != wanted:
            yield f"{self.block}: `{self.command}` ended with {self.code}:\n{self.out}"
        said = self.out.splitlines()
        for line in self.shown:
            if not any(_pattern(line).fullmatch(each) for each in said):
                yield f"{self.block}: nothing like `{line}` in\n{self.out}"


def _pattern(shown: str) -> re.Pattern[str]:
    """What a line of a page stands for: numbers and blanks may be others, `…` is anything."""
    pieces = (re.escape(piece) for piece in shown.split("…"))
    text = ".*".join(pieces)
    text = re.sub(r"\d+(\\\.\d+)?", lambda _: r"[\d.e-]+", text)
    return re.compile(re.sub(r"(\\ )+", lambda _: r"\\s+".replace("\\\\", "\\"), text))


def run(blocks: list[Block], folder: Path, environment: Mapping[str, str]) -> list[Typed]:
    """Run the blocks of a page in a folder."""
    planned = [(block, *typed) for block in blocks for typed in _typed(block)]
    script = "\n".join(
        f"{{ {command}\n}} 2>&1\nprintf '\\036%d\\036' $?" for _, command, _ in planned
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env={**os.environ, "PATH": path, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
        check=False,
    )
    parts = done.stdout.split(_END)
    outs, codes = parts[0::2], [int(code) for code in parts[1::2]]
    assert len(codes) == len(planned), done.stdout + done.stderr
    return [
        Typed(block, command, shown, out, code)
        for (block, command, shown), out, code in zip(planned, outs, codes, strict=False)
    ]


def _typed(block: Block) -> Iterator[tuple[str, list[str]]]:
    """The commands that a block comes to, each with what is shown of its output."""
    end = "END_OF_BLOCK"
    if block.mark == "file":
        yield f"cat > '{block.said}' <<'{end}'\n{block.text}{end}", []
    elif block.mark in {"not run", "shows"}:
        return
    elif block.language == "python":
        yield f"python - <<'{end}'\n{block.text}{end}", []
    elif block.language in {"sh", "console"}:
        yield from block.commands
