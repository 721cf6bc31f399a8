"""A playbook that is to be written down: its values, and a word on some of them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from orchestrator.playbook.scalars import resolve
from orchestrator.playbook.template import has_template

SCHEMA_FILE = "playbook.schema.json"
MODELINE = f"# yaml-language-server: $schema={SCHEMA_FILE}"
WIDTH = 88

_PLAIN = re.compile(r"[\w./-][\w./=@%+-]*(:[\w./=@%+-]+)*", re.ASCII)
_NO_TEXT = frozenset(("-", "--", "---", "...", "="))
_BRACES = re.compile(r"\{\{|\{%")


class Template(str):
    """Text whose braces are a template of the playbook's language, not text."""

    __slots__ = ()


class Draft(Struct, frozen=True):
    """A playbook to be written.

    Attributes:
        head: what stands above it, a line each.
        document: the values, in the order of the language.
        words: what is said of a value, by its dotted path.
        foot: what stands below it, a line each.
    """

    head: tuple[str, ...]
    document: dict[str, Any]
    words: dict[str, str] = field(default_factory=dict)
    foot: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The file: modeline, head, one block for each section, foot."""
        lines = [MODELINE, "#", *map(_comment, self.head)]
        was_section = False
        for key, value in self.document.items():
            is_section = isinstance(value, Mapping | list)
            lines += [""] if is_section or was_section else []
            lines += self._entry(key, value, key, "")
            was_section = is_section
        if self.foot:
            lines += ["", *map(_comment, self.foot)]
        return "\n".join(lines) + "\n"

    def _entry(self, key: object, value: object, path: str, indent: str) -> list[str]:
        word = self._word(path)
        name = scalar(key) if isinstance(key, str) else str(key)
        flat = f"{indent}{name}: {flow(value)}{word}"
        is_long = len(flat) > WIDTH or self._has_words_below(path)
        if isinstance(value, Mapping) and value and (is_long or not indent):
            below = [
                line
                for inner, of in value.items()
                for line in self._entry(inner, of, f"{path}.{inner}", f"{indent}  ")
            ]
            return [f"{indent}{name}:{word}", *below]
        if isinstance(value, list) and value and (is_long or isinstance(value[0], Mapping)):
            below = [
                f"{indent}  - {_item(item)}{self._word(f'{path}[{index}]')}"
                for index, item in enumerate(value)
            ]
            return [f"{indent}{name}:{word}", *below]
        return [flat]

    def _word(self, path: str) -> str:
        return f" {_comment(self.words[path])}" if path in self.words else ""

    def _has_words_below(self, path: str) -> bool:
        return any(other.startswith((f"{path}.", f"{path}[")) for other in self.words)


def _comment(line: str) -> str:
    # A line break in a name would end the comment, and begin something else.
    shown = "".join(each if each.isprintable() else "?" for each in line)
    return f"# {shown}" if shown else "#"


def _item(value: object) -> str:
    """Write an item of a list; a check as `joined: {…}`, without braces of its own."""
    if isinstance(value, Mapping) and len(value) == 1:
        (key, of), *_ = value.items()
        return f"{scalar(key)}: {flow(of)}"
    return flow(value)


def flow(value: object) -> str:
    """Write a value on one line."""
    match value:
        case Mapping():
            inner = ", ".join(f"{scalar(key)}: {flow(of)}" for key, of in value.items())
            return f"{{{inner}}}"
        case list() | tuple():
            return f"[{', '.join(map(flow, value))}]"
        case _:
            return scalar(value)


def scalar(value: object) -> str:
    """Write one value so that it is read as what it is."""
    if not isinstance(value, str):
        return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)
    if not isinstance(value, Template) and has_template(value):
        value = _BRACES.sub(lambda braces: f"{{{{ '{braces[0]}' }}}}", value)
    if value not in _NO_TEXT and _PLAIN.fullmatch(value) and _is_text(value):
        return str(value)
    return f'"{"".join(map(_quoted, value))}"'


def _is_text(value: str) -> bool:
    try:
        return isinstance(resolve(value), str)
    except ValueError:
        return False


def _quoted(character: str) -> str:
    if character in '"\\':
        return f"\\{character}"
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\U{code:08x}"
