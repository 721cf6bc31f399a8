"""Shows a fault where it stands: the line of the file, and a caret below it. Pure."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from itertools import accumulate

from orchestrator.errors import Fault, Snippet
from orchestrator.printable import printable

MAX_CELLS = 100
"""How much of a line is shown; terminals are rarely wider."""

_CELLS_BEFORE = 60
_TAB = "    "


def excerpt(fault: Fault) -> Iterator[str]:
    """Give the lines that show a fault's places, each line of a file followed by its caret."""
    gutter = max((len(str(snippet.line)) for snippet in fault.snippets), default=0)
    for snippet in fault.snippets:
        if snippet.file != fault.file:
            yield f"  {printable(snippet.file)}:"
        text, before, width = _shown(snippet)
        caret = f"{' ' * before}^{'~' * (width - 1)} {snippet.note}".rstrip()
        yield f"  {snippet.line:{gutter}} | {text}".rstrip()
        yield f"  {'':{gutter}} | {caret}"


def summary(faults: Sequence[Fault]) -> str:
    """Count faults and name their files: `3 faults in p.yaml`."""
    files = list(dict.fromkeys(fault.file for fault in faults))
    noun = "fault" if len(faults) == 1 else "faults"
    return f"{len(faults)} {noun} in {' and '.join(files) if len(files) < 3 else 'several files'}"


def _shown(snippet: Snippet) -> tuple[str, int, int]:
    """Give what is shown of a line, the cells before the caret, and those that it spans."""
    begin = snippet.column - 1
    pieces = [_piece(character) for character in snippet.text]
    cells = [0, *accumulate(_cells(piece) for piece in pieces)]
    first = next(index for index, at in enumerate(cells) if cells[begin] - at <= _CELLS_BEFORE)
    last = max(index for index, at in enumerate(cells) if at - cells[first] <= MAX_CELLS)
    text = "".join(pieces[first:last])
    before = cells[begin] - cells[first]
    if first:
        text, before = f"…{text}", before + 1
    if last < len(pieces):
        text = f"{text}…"
    end = min(begin + snippet.width, last)
    return text, before, max(1, cells[end] - cells[begin])


def _piece(character: str) -> str:
    return _TAB if character == "\t" else printable(character)


def _cells(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if character.isascii():
        return 1
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1
