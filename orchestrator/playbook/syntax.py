"""What the YAML parser could not read, in words for somebody who wrote no parser. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from orchestrator.playbook.bare import bare_braces, braces_end, line_of, quoting
from orchestrator.playbook.tree import Also, Complaint, Mark

# The parser's words that say nothing to somebody who did not write a parser.
_PROBLEMS = {
    "did not find expected <document start>": "this belongs to nothing before it",
    "did not find expected node content": "a value is missing here",
    "did not find expected key": "neither a key of this mapping nor its end",
    "did not find expected '-' indicator": "neither an item of this list nor its end",
    "mapping values are not allowed in this context": "a key where none can stand",
    "found unexpected end of stream": "the text ends too early",
}
# What the parser was in the middle of, and where it began.
_OPENED = {
    "while parsing a flow sequence": "this [ is not closed",
    "while parsing a flow mapping": "this { is not closed",
    "while scanning a quoted scalar": "this quote is not closed",
}


def syntax_complaint(exc: yaml.MarkedYAMLError, text: str, file: int) -> Complaint:
    """Put what the parser could not read into words, with the place where it began."""
    said = exc.problem or "the text ends too early"
    at = exc.problem_mark
    mark = Mark(at.line + 1, at.column + 1, file) if at else Mark(1, 1, file)
    for at in (exc.problem_mark, exc.context_mark):
        if at and (column := bare_braces(line := line_of(text, at.line))) is not None:
            what = "not valid YAML: a template must stand in quotes"
            place = Mark(at.line + 1, column + 1, file, width=braces_end(line, column) - column)
            return Complaint((), what, quoting(line, column), mark=place)
    problem = _PROBLEMS.get(said, said)
    if said.endswith("cannot start any token") and _is_tab(text, exc.problem_mark):
        problem = "a tab where YAML wants spaces"
    also = tuple(_opened(exc, file))
    fix = _syntax_fix(said, problem)
    return Complaint((), f"not valid YAML: {problem}", fix, mark=mark, also=also)


def _is_tab(text: str, at: yaml.Mark | None) -> bool:
    return at is not None and line_of(text, at.line)[at.column : at.column + 1] == "\t"


def _opened(exc: yaml.MarkedYAMLError, file: int) -> Iterator[Also]:
    """Show the bracket or quote whose end was not found: the fault is there, not at the end."""
    at, note = exc.context_mark, _OPENED.get(exc.context or "")
    if at is not None and note:
        yield Also(Mark(at.line + 1, at.column + 1, file), note)


def _syntax_fix(said: str, problem: str) -> str:
    if problem.startswith("a tab"):
        return "indent with spaces"
    if "character" in said and "token" in said:
        return "quote text that begins with a special character"
    if "character escape" in said:
        return "write the character itself"
    if said.startswith("mapping values"):
        return "indent keys of one mapping alike, and quote text that holds ': '"
    return "check indentation, brackets and quotes near this place"
