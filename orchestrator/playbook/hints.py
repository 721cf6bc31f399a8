"""How to mend a value of the wrong type, with what stands there as the example. Pure."""

from __future__ import annotations

import re

from orchestrator.playbook.fields import section_at, yaml_fields
from orchestrator.playbook.flow import flow
from orchestrator.playbook.language import Section
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.tree import Loc, Node, Scalar

_TEMPLATE_HINTS = {
    "int_type": "make it one: {{ … | int }}",
    "float_type": "make it one: {{ … | float }}",
}
_MAPPINGS = ("model_type", "dict_type")
_YES_NO = frozenset(("yes", "no", "on", "off", "y", "n"))
_PLAIN_WORD = re.compile(r"[A-Za-z_./-][\w./=:+@-]*")


def hint(kind: str, loc: Loc, node: Node | None) -> str:
    """Say how to mend a value of the wrong type; empty where nothing in particular is known.

    Args:
        kind: pydantic's name of the error.
        loc: the place.
        node: what stands there.
    """
    if isinstance(node, Scalar) and node.template:
        return _TEMPLATE_HINTS.get(kind, "") if _may_be_number(node.text) else ""
    if kind in _MAPPINGS:
        return _like_example(loc)
    if kind == "tuple_type":
        return _as_list(loc, node) or _like_example(loc)
    return _scalar_hint(kind, node) if isinstance(node, Scalar) else ""


def _scalar_hint(kind: str, node: Scalar) -> str:
    if kind == "string_type":
        return _text_hint(node)
    if kind == "bool_type" and node.text.lower() in _YES_NO:
        return "write true or false: in YAML 1.2 yes, no, on and off are text"
    if kind in ("int_type", "float_type") and node.quoted and _is_number(node.text):
        return "remove the quotes"
    return ""


def _text_hint(node: Scalar) -> str:
    if not node.text:
        return 'write text, or "" for none'
    if node.value is None:
        return f'write "" for none, or "{node.text}" if that text is meant'
    return f'quote it: "{node.text}"'


def _may_be_number(text: str) -> bool:
    return any(character.isdigit() for character in text)


def _is_number(text: str) -> bool:
    return len(text) < 20 and text.isascii() and text.isdigit()


def _as_list(loc: Loc, node: Node | None) -> str:
    """The list that one text probably stands for: `[python, train.py]` for a command."""
    if not isinstance(node, Scalar) or not isinstance(node.value, str) or len(node.text) > 80:
        return ""
    words = node.text.split() if loc[-1:] == ("command",) else [node.text]
    # What needs quotes is left to the user: a shell's quotes are not those of YAML.
    return f"write [{', '.join(words)}]" if words and all(map(_is_plain, words)) else ""


def _is_plain(word: str) -> bool:
    return _PLAIN_WORD.fullmatch(word) is not None and not word.endswith(":")


def _like_example(loc: Loc) -> str:
    example = _example(loc)
    return f"write it like {flow(example)}" if example else ""


def _example(loc: Loc) -> object:
    """The example of a field in the reference; that of an item is made of its own fields'."""
    around = section_at(loc[:-1]) if loc else None
    field = yaml_fields(around).get(str(loc[-1])) if around else None
    if field is not None and field.examples:
        return field.examples[0]
    section = section_at(loc)
    return _example_of(section) if section not in (None, Playbook) else None


def _example_of(section: type[Section] | None) -> dict[str, object]:
    """Its required fields, or the first one where none is."""
    fields = yaml_fields(section) if section else {}
    keys = [key for key, field in fields.items() if field.is_required()] or list(fields)[:1]
    return {key: examples[0] for key in keys if (examples := fields[key].examples)}
