"""The live board of a real run, as it stood on a terminal: board.svg, and board-dark.svg."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pyte
from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from tests.terminal import Terminal

ROOT = Path(__file__).resolve().parents[2]
PLAYBOOK = ROOT / "playbooks" / "four-rank.yaml"
PROJECT = "four-rank"
STEP = 8
SIZE = (110, 23)
DEADLINE_S = 900.0
"""It may have to build the image first."""

TITLE = "orchestrate apply playbooks/four-rank.yaml"

_BACK = {"light": (0xFD, 0xFD, 0xFC), "dark": (0x16, 0x1B, 0x22)}
_INK = {"light": (0x1F, 0x23, 0x28), "dark": (0xD6, 0xDC, 0xE3)}
_NORMAL = {
    # black, red, green, yellow, blue, magenta, cyan, white: readable on their ground
    "light": ("1f2328", "c62828", "1a7f37", "9a6700", "0a5fc2", "8250df", "1b7c83", "6e7781"),
    "dark": ("484f58", "ff7b72", "56d364", "e3b341", "79c0ff", "d2a8ff", "4fc4cf", "b1bac4"),
}
# rich's own format fetches a font; a picture in a page may fetch nothing.
_FORMAT = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font: {char_height}px/{line_height}px ui-monospace, 'DejaVu Sans Mono', Menlo, monospace;
}}
.{unique_id}-title {{ font: bold 16px ui-sans-serif, Arial, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def make(folder: Path) -> None:
    """Run the playbook on Docker and draw the screen once every rank is well under way."""
    screen = _screen()
    for name, ground in (("board.svg", "light"), ("board-dark.svg", "dark")):
        (folder / name).write_text(_svg(screen, ground), encoding="utf-8")


def _screen() -> list[Text]:
    # pyte knows no dim characters, and nobody here writes any in italics.
    pyte.graphics.TEXT[2] = "+italics"
    orchestrate = Path(sys.executable).with_name("orchestrate")
    env = {name: value for name, value in os.environ.items() if name not in {"CI", "NO_COLOR"}}
    # A project of that name that somebody has is another owner's, and stays as it is.
    env["ORCHESTRATE_OWNER"] = "screenshots"
    with tempfile.TemporaryDirectory() as folder:
        argv: list[str | Path] = [orchestrate, "apply", "--rerun", "--engine", "docker", PLAYBOOK]
        opened = Terminal(argv, Path(folder), env, SIZE, DEADLINE_S)
        try:
            opened.wait_for(_is_under_way)
            return [_text(line) for line in opened.cells]
        finally:
            opened.finish()
            opened.close()
            destroy: list[str | Path] = [orchestrate, "destroy", "--engine", "docker", PROJECT]
            subprocess.run(destroy, env=env, check=True, capture_output=True, timeout=120)


def _is_under_way(lines: list[str]) -> bool:
    """True when every rank has done enough steps for a picture."""
    rows = [line.split() for line in lines if " training " in line and " running " in line]
    return len(rows) == 4 and all(row[3].isdigit() and int(row[3]) >= STEP for row in rows)


def _text(cells: list[pyte.screens.Char]) -> Text:
    text = Text()
    for cell in cells:
        colour = "" if cell.fg == "default" else cell.fg.replace("brown", "yellow")
        bright = colour.replace("bright", "bright_") if colour.startswith("bright") else colour
        style = [bright, "bold" if cell.bold else "", "dim" if cell.italics else ""]
        text.append(cell.data, style=" ".join(filter(None, style)))
    text.rstrip()
    return text


def _svg(screen: list[Text], ground: str) -> str:
    console = Console(record=True, width=SIZE[0], file=io.StringIO(), force_terminal=True)
    for line in screen:
        console.print(line, no_wrap=True, crop=True)
    colours = [_rgb(each) for each in _NORMAL[ground]]
    theme = TerminalTheme(_BACK[ground], _INK[ground], colours, colours)
    return console.export_svg(title=TITLE, theme=theme, code_format=_FORMAT, unique_id=ground)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue
