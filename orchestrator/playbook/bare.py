"""The classic mistake: a template outside of quotes, which YAML reads as a mapping. Pure."""

from __future__ import annotations

from yaml.events import Event, MappingStartEvent

from orchestrator.playbook.tree import LINE_BREAK, printable


def start_of(event: Event) -> tuple[int, int]:
    """Tell the line and the column where an event begins, both from 0."""
    at = event.start_mark
    return (at.line, at.column) if at else (0, 0)


def begins_with_braces(start: MappingStartEvent, first: Event) -> bool:
    """True for `{{`: a flow mapping whose first key is another one, right behind it."""
    line, column = start_of(start)
    return (
        isinstance(first, MappingStartEvent)
        and bool(start.flow_style and first.flow_style)
        and start_of(first) == (line, column + 1)
    )


def bare_braces(line: str) -> int | None:
    """Find `{{` outside of quotes and comments; the index in the line, None where none is."""
    quote = ""
    for index, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'" and (index == 0 or line[index - 1] in " \t[{,:"):
            quote = character
        elif character == "#" and line[index - 1 : index] in ("", " ", "\t"):
            return None
        elif line.startswith("{{", index):
            return index
    return None


def braces_end(line: str, start: int) -> int:
    """Find where the template that begins at `start` ends, at the latest with the line."""
    end = line.find("}}", start)
    return len(line) if end < 0 else end + 2


def quoting(line: str, start: int) -> str:
    """Say how the template that begins at `start` is quoted."""
    template = line[start : braces_end(line, start)]
    quote = "'" if '"' in template else '"'
    return f"quote it: {quote}{printable(template)[1:-1]}{quote}"


def line_of(text: str, index: int) -> str:
    """Give one line of a text, counted from 0; empty where there are fewer."""
    lines = LINE_BREAK.split(text, index + 1)
    return lines[index] if index < len(lines) else ""
