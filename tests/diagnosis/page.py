"""What docs/diagnosis.md has of runs that were measured, and of the table of signatures. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.verify.signatures import read_text, signatures
from tests.diagnosis.capture import CAPTURES, read_capture
from tests.diagnosis.cases import PROJECT
from tests.diagnosis.measured import Plain, Row

LINE_CHARS = 140
"""Of a quoted last line, what a table has room for."""


RUNS = """\
| case | what is wrong | first line | right | after | plain: last line | plain: after |
| --- | --- | --- | --- | --- | --- | --- |
"""

SIGNATURES = """\
| id | role | pattern | what it means | to mend it | captured | source |
| --- | --- | --- | --- | --- | --- | --- |
"""


def fill(page: str, part: str, content: str) -> str:
    """The page with another content between the marks of a part.

    Raises:
        ValueError: the page has no such part.
    """
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    before, rest = page[: page.index(begin)], page[page.index(end) :]
    return before + begin + content + rest


def runs_section(rows: Sequence[Row]) -> str:
    """The runs as they were measured, and what they come to."""
    right = sum(row.is_right for row in rows)
    exits = [row.answered_after_s for row in rows if row.since == "first exit"]
    hangs = [row.answered_after_s for row in rows if row.since == "last step"]
    summary = (
        f"{right} of {len(rows)} right. Slowest answer after a first exit: {max(exits):.1f} s;"
        f" after the last step of a run that hung: {max(hangs):.1f} s."
    )
    return RUNS + "\n".join(_run_line(row) for row in rows) + f"\n\n{summary}\n"


def signature_section() -> str:
    """The part of the page that is made from the table of signatures alone."""
    captured = captured_ids()
    lines = (
        _cells(
            f"`{each.id}`",
            "primary" if each.is_primary else "secondary",
            f"`{each.pattern.pattern}`",
            f"{each.what}{': ' if each.cause else ''}{each.cause}",
            each.mend,
            "yes" if each.id in captured else "no",
            each.source,
        )
        for each in signatures()
    )
    return SIGNATURES + "\n".join(lines) + "\n"


def captured_ids() -> frozenset[str]:
    """The signatures that know a line of some capture."""
    lines = (
        line.text.decode()
        for path in CAPTURES.glob("*.jsonl")
        for line in read_capture(path).lines
        if b"\x1e" not in line.text
    )
    readings = (read_text(line) for line in lines)
    return frozenset(reading.signature.id for reading in readings if reading is not None)


def _run_line(row: Row) -> str:
    return _cells(
        f"`{row.case}`",
        row.wrong,
        row.headline.replace(f"{PROJECT}-node", "node"),
        "yes" if row.is_right else "**no**",
        f"{row.answered_after_s:.1f} s after the {row.since}",
        *_plain_cells(row.plain),
    )


def _plain_cells(plain: Plain | None) -> tuple[str, str]:
    if plain is None:
        return "not measured", ""
    line = plain.last_line[:LINE_CHARS]
    told = f"node {plain.node_rank}: `{line}`" if line else "nothing"
    if plain.ended_after_s is None:
        return told, "—"
    return told, f"{plain.ended_after_s:.1f} s" + (" ⏱" if _is_timeout(plain.last_line) else "")


def _is_timeout(line: str) -> bool:
    text = line.lower()
    return any(word in text for word in ("timed out", "timeout", "clients joined"))


def _cells(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
