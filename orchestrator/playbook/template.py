"""Where the templates of a text are: `{{ … }}`, told apart from braces that are text. Pure.

Only `{{` followed by what can begin an expression begins a template: a name, a number, a
quote, a bracket, a sign. So Go's `{{.Name}}` and `f"{{}}"` stay text, and a template that is
misspelt is a fault rather than text.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from msgspec import Struct

from orchestrator.playbook.tree import Loc, Mark, printable

LONGEST_EXPRESSION = 1_000
FUNCTIONS = frozenset(("env", "range"))
RESERVED = frozenset(("self", "super", "caller", "varargs", "kwargs"))  # Jinja gives them a meaning
_WORDS = frozenset(
    ("and", "or", "not", "in", "is", "if", "else", "true", "false", "none", "True", "False", "None")
)

ESCAPE = "write {{ '{{' }} where two braces are meant as text"

_OPEN = re.compile(r"\{\{(?=\s*[\w\"'(\[{+-])", re.ASCII)
# A string, a bracket, or what is neither; a quote without its partner counts as itself.
_PIECE = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|[^'\"()\[\]{}]+|.", re.DOTALL)
_CLOSES = {")": "(", "]": "[", "}": "{"}
_STATEMENT = re.compile(
    r"\{%[-+]?\s*(?:if|elif|else|for|set|raw|block|macro|include|import|from|extends|call|filter"
    r"|with|autoescape|do|end\w{2,10})\b",
    re.ASCII,
)


class TemplateError(Exception):
    """A template that cannot be read, or gives no value.

    Attributes:
        what: what is wrong, without a full stop; empty where it has been told already.
        fix: how to mend it, or empty.
        template: the template with its braces; empty for the whole text.
        absent: whether something is not there, which `default` and `is defined` may ask about.
        mark: where it stands, if that is not where it is used.
        loc: the path of that place.
    """

    def __init__(
        self, what: str, fix: str = "", template: str = "", *, absent: bool = False
    ) -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.template = template
        self.absent = absent
        self.mark: Mark | None = None
        self.loc: Loc = ()


class Expression(Struct, frozen=True):
    """What stands between `{{` and `}}`; `template` is the same with its braces."""

    source: str
    template: str


Part: TypeAlias = str | Expression


def is_name(text: object) -> bool:
    """True for what a variable can be called."""
    return (
        isinstance(text, str)
        and text.isascii()
        and text.isidentifier()
        and len(text) <= 100
        and text not in FUNCTIONS | RESERVED | _WORDS
    )


def has_template(text: str) -> bool:
    """True when a text holds a template, or a statement, which is refused."""
    return ("{{" in text and _OPEN.search(text) is not None) or (
        "{%" in text and _STATEMENT.search(text) is not None
    )


def split(text: str) -> tuple[Part, ...]:
    """Split a text into what is text and what is an expression, in order; no part is empty.

    Raises:
        TemplateError: a template has no end, or is none of the language's.
    """
    if statement := _STATEMENT.search(text):
        what = "statements ({% … %}) are not supported, expressions ({{ … }}) alone"
        raise TemplateError(what, "use {{ a if b else c }}, or write the values out", statement[0])
    parts: list[Part] = []
    at = 0
    while opening := _OPEN.search(text, at):
        end = _end(text, opening.end())
        parts += [text[at : opening.start()], _expression(text[opening.start() : end])]
        at = end
    return tuple(part for part in (*parts, text[at:]) if part)


def _expression(template: str) -> Expression:
    return Expression(template[2:-2].strip(), template)


def _end(text: str, start: int) -> int:
    """Find where an expression's braces end: outside of strings, brackets balanced."""
    window = text[start : start + LONGEST_EXPRESSION]
    brackets: list[str] = []
    at = 0
    while piece := _PIECE.match(window, at):
        bracket = piece[0]
        if bracket == "}" and (brackets or [""])[-1] != "{" and text.startswith("}}", start + at):
            return start + at + 2
        if bracket in ("(", "[", "{"):
            brackets.append(bracket)
        elif brackets and brackets[-1] == _CLOSES.get(bracket):
            brackets.pop()
        at = piece.end()
    shown = text[start - 2 : start + 30]
    if len(text) - start > LONGEST_EXPRESSION:
        what = f"a template of more than {LONGEST_EXPRESSION} characters, or without its }}}}"
        raise TemplateError(what, "build it from several vars", shown)
    raise TemplateError(f"{printable(shown)} has no }}}}", f"close it, or {ESCAPE}", "{{")
