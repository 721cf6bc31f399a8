"""A shell script -> the simple commands in it, as far as they can be told without running it.

Knows quotes, comments, continued lines, `;`, `&&`, `|`, `&`, redirections, assignments, `for` over
words that stand there, `$NAME`, `${NAME}`, `${NAME:-default}`, `$PWD`, `{0..3}` and `$(seq …)`.
What only a running shell knows is marked, and refused where it matters. Pure.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from itertools import islice

from msgspec import Struct

from orchestrator.errors import Fault, InvalidPlaybook

MAX_COMMANDS = 10_000
MAX_CHARACTERS = 256 * 1024

# What a shell would act on and is text, in single quotes or in a variable's value, until words are
# cut; and a `$` or backtick that is left then, which only a running shell can fill in.
_TEXT = {"$": "\ue000", "`": "\ue001", "'": "\ue005", '"': "\ue006", "\\": "\ue007"}
_LIVE = {"$": "\ue002", "`": "\ue003"}
_BLANK = "\ue004"  # within `$(…)`, which is one word whatever is in it
_PRIVATE = re.compile("[\ue000-\ue007]")
_ASSIGNMENT = re.compile(r"(?:(?:export|declare|local|readonly)\s+)?([A-Za-z_]\w*)=(.*)", re.DOTALL)
_LOOP = re.compile(r"for\s+([A-Za-z_]\w*)\s+in\s+(.*)", re.DOTALL)
_VARIABLE = re.compile(r"\$(?:\{([A-Za-z_]\w*)(?::?-([^{}]*))?\}|([A-Za-z_]\w*))")
_SEQUENCE = re.compile(
    "\\$\\([\ue004]?seq[\ue004](-?\\d{1,6})(?:[\ue004](-?\\d{1,6}))?[\ue004]?\\)"
    r"|(?<!\S)\{(\d{1,6})\.\.(\d{1,6})\}(?!\S)"
)
_HERE = re.compile("\\$\\([\ue004]?pwd[\ue004]?\\)|`pwd`")


class Command(Struct, frozen=True):
    """One simple command.

    Attributes:
        line: where it begins, from 1.
        words: as a shell would hand them over, but for what `is_unknown`.
        has_redirection: whether its output or input was redirected.
    """

    line: int
    words: tuple[str, ...]
    has_redirection: bool = False


class _Piece(Struct, frozen=True):
    line: int
    text: str
    has_redirection: bool


def commands_of(text: str, name: str) -> tuple[Command, ...]:
    """The commands of a script, loops unrolled.

    Args:
        text: the script.
        name: what faults call it.

    Raises:
        InvalidPlaybook: quotes that do not end, or a script without end.
    """
    if len(text) > MAX_CHARACTERS or _PRIVATE.search(text):
        raise refused(name, 1, "too long, or not a shell script", "give the docker commands alone")
    pieces = list(_Scanner(text).pieces())
    found = tuple(islice(_run(pieces, {}, name), MAX_COMMANDS + 1))
    if len(found) > MAX_COMMANDS:
        raise refused(name, 1, f"more than {MAX_COMMANDS} commands", "shorten its loops")
    return found


def refused(name: str, line: int, what: str, fix: str) -> InvalidPlaybook:
    """What is raised for a script that cannot be turned into a playbook."""
    return InvalidPlaybook([Fault(name, line, 1, "", what, fix)])


def is_unknown(word: str) -> bool:
    """True when only a running shell can say what a word is."""
    return bool(_PRIVATE.search(word))


def as_written(word: str) -> str:
    """A word that is unknown, the way the script has it."""
    for shown, mark in _LIVE.items():
        word = word.replace(mark, shown)
    return word.replace(_BLANK, " ")


class _Scanner:
    """Cuts a script into simple commands, comments and redirections taken out."""

    def __init__(self, text: str) -> None:
        self._text = text.replace("\r\n", "\n")
        self._at = 0
        self._line = 1
        self._readers = {
            "\\": self._escaped,
            "'": self._quoted,
            '"': self._quoted,
            "`": self._quoted,
            "$": self._substituted,
        }

    def pieces(self) -> Iterator[_Piece]:
        """The commands as they are written, quotes and all."""
        while self._at < len(self._text):
            line, kept, cut_at = self._line, "", -1
            while (chunk := self._chunk(kept)) is not None:
                if not kept.strip():
                    line = self._line
                if chunk in "<>" and cut_at < 0:
                    cut_at = len(kept)
                kept += chunk
            text = kept if cut_at < 0 else re.sub(r"(^|\s)\d+$", r"\1", kept[:cut_at])
            if text.strip():
                yield _Piece(line, text.strip(), cut_at >= 0)

    def _chunk(self, kept: str) -> str | None:
        """The next character, or quoted piece; None at the end of the command."""
        rest = self._text[self._at : self._at + 2]
        if not rest:
            return None
        if rest[0] in self._readers:
            return self._readers[rest[0]](rest)
        is_comment = rest[0] == "#" and (not kept or kept[-1].isspace())
        if is_comment:
            end = self._text.find("\n", self._at)
            self._take((end if end >= 0 else len(self._text)) - self._at)
            return " "
        taken = self._take(1)
        is_redirection = rest == "&>" or (taken == "&" and kept.endswith((">", "<")))
        return None if taken in "\n;&|()" and not is_redirection else taken

    def _escaped(self, rest: str) -> str:
        self._take(2)
        return {"\\\n": " ", "\\$": f"'{_TEXT['$']}'"}.get(rest, rest)

    def _quoted(self, rest: str) -> str:
        quote = rest[0]
        end = self._at + 1
        while end < len(self._text) and self._text[end] != quote:
            end += 2 if self._text[end] == "\\" and quote != "'" else 1
        taken = self._take(end + 1 - self._at)
        if quote == "'":
            return taken.replace("$", _TEXT["$"]).replace("`", _TEXT["`"])
        return taken.replace("\\$", _TEXT["$"])

    def _substituted(self, rest: str) -> str:
        if rest != "$(":
            return self._take(1)
        end, depth = self._at + 2, 1
        while end < len(self._text) and depth:
            depth += {"(": 1, ")": -1}.get(self._text[end], 0)
            end += 1
        return re.sub(r"[\s\"'\\\\]+", _BLANK, self._take(end - self._at))

    def _take(self, length: int) -> str:
        taken = self._text[self._at : self._at + length]
        self._at += len(taken)
        self._line += taken.count("\n")
        return taken


def _run(pieces: list[_Piece], values: dict[str, str], name: str) -> Iterator[Command]:
    """Go through commands, filling in what the script says of its own variables."""
    at = 0
    while at < len(pieces):
        piece, at = pieces[at], at + 1
        text = re.sub(r"^(do|then|else)\b\s*", "", piece.text)
        if loop := _LOOP.fullmatch(text):
            end = _end_of_loop(pieces, at)
            for word in _words(_filled(loop[2], values), name, piece.line):
                yield from _run(pieces[at:end], values | {loop[1]: _as_value(word)}, name)
            at = end + 1
            continue
        words = _words(_filled(text, values), name, piece.line)
        assigned = [_ASSIGNMENT.fullmatch(word) for word in words]
        if words and words[0] in {"export", "declare", "local", "readonly"}:
            assigned = assigned[1:]
        if all(assigned):
            values.update({each[1]: _as_value(each[2]) for each in assigned if each})
        elif words and words[0] != "done":
            yield Command(piece.line, words, piece.has_redirection)


def _end_of_loop(pieces: list[_Piece], at: int) -> int:
    depth = 1
    for index in range(at, len(pieces)):
        inner = re.sub(r"^do\b\s*", "", pieces[index].text)
        depth += bool(_LOOP.fullmatch(inner)) - (inner.split(None, 1)[:1] == ["done"])
        if not depth:
            return index
    return len(pieces)


def _filled(text: str, values: Mapping[str, str]) -> str:
    """Fill in variables whose values are known, `$PWD` as the folder that is meant by `.`."""

    def value(found: re.Match[str]) -> str:
        variable = found[1] or found[3]
        known = {"PWD": ".", **values}.get(variable)
        default: str | None = found[2]
        return next((each for each in (known, default) if each is not None), found[0])

    def numbers(found: re.Match[str]) -> str:
        first, last = (found[1], found[2]) if found[1] else (found[3], found[4])
        start, end = (int(first), int(last)) if last is not None else (1, int(first))
        return " ".join(map(str, islice(range(start, end + 1), MAX_COMMANDS + 1)))

    return _SEQUENCE.sub(numbers, _VARIABLE.sub(value, _HERE.sub(".", text)))


def _words(text: str, name: str, line: int) -> tuple[str, ...]:
    try:
        words = shlex.split(text)
    except ValueError as exc:
        what = f"quotes that do not end: {str(exc).rstrip('.').lower()}"
        raise refused(name, line, what, "close them") from exc
    return tuple(map(_marked, words))


def _as_value(word: str) -> str:
    """A word as the value of a variable: nothing in it is acted on where it is filled in."""
    for shown, mark in _TEXT.items():
        word = word.replace(shown, mark)
    for shown, mark in _LIVE.items():
        word = word.replace(mark, shown)
    return word


def _marked(word: str) -> str:
    """Mark what is left to a running shell, and give back what is text."""
    for shown, mark in _LIVE.items():
        word = word.replace(shown, mark)
    for shown, mark in _TEXT.items():
        word = word.replace(mark, shown)
    return word
