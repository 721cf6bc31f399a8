"""What templates work with: plain values, bounded, and their way back into the tree. Pure."""

from __future__ import annotations

import math

from orchestrator.playbook.template import TemplateError
from orchestrator.playbook.tree import (
    UNUSABLE,
    Entry,
    Key,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
)
from orchestrator.playbook.yaml import MAX_ALIASED, MAX_DEPTH, refuse_characters

MAX_VALUES = MAX_ALIASED
MAX_CHARACTERS = 64 * 1024
_LARGEST = 10**40


class _Int(int):
    """A whole number that remembers how it was written: `0x10`."""

    text: str

    def __str__(self) -> str:
        return self.text


class _Float(float):
    """A number that remembers how it was written: the version `3.10` is not 3.1."""

    text: str

    def __str__(self) -> str:
        return self.text


def written(value: object, text: str) -> object:
    """Give a number the text that it was written as, for where it becomes text again."""
    if isinstance(value, bool) or not isinstance(value, int | float) or str(value) == text:
        return value
    number = _Int(value) if isinstance(value, int) else _Float(value)
    number.text = text
    return number


def text_of(value: object) -> str:
    """Write a value in the middle of text, numbers and booleans as YAML has them.

    Raises:
        TemplateError: it is no text, number or boolean.
    """
    match value:
        case str():
            return str(value)
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case list() | tuple() | range():
            what, fix = "a list", "join it: {{ x | join(' ') }}"
        case dict():
            what, fix = "a mapping", "take one value of it: {{ x.key }}"
        case None:
            what, fix = "nothing (null)", "give it a value"
        case _:
            str(value)  # what is undefined says so
            what, fix = f"a {type(value).__name__}", ""
    raise TemplateError(f"{what} cannot stand in the middle of text", fix)


def checked(value: object) -> object:
    """Return a value of bounded size and of types that a playbook can have.

    Raises:
        TemplateError: it is too large, too deep, or nothing that YAML could hold.
    """
    num_values = num_characters = 0
    waiting = [(value, 0)]
    while waiting:
        item, depth = waiting.pop()
        num_values += 1
        num_characters += _check_one(item)
        if num_values > MAX_VALUES or num_characters > MAX_CHARACTERS:
            raise too_large()
        if depth > MAX_DEPTH:
            raise TemplateError(f"a value nested deeper than {MAX_DEPTH} levels", "flatten it")
        if isinstance(item, dict):
            waiting += [(each, depth + 1) for pair in item.items() for each in pair]
        elif isinstance(item, list | tuple | range):
            if len(item) > MAX_VALUES:
                raise too_large()
            waiting += [(each, depth + 1) for each in item]
    return value


def too_large() -> TemplateError:
    """The error of a value without measure."""
    most = f"{MAX_VALUES:,} values or {MAX_CHARACTERS // 1024} KiB of text"
    return TemplateError(f"gives more than {most}", "move data into files and mount them")


def _check_one(item: object) -> int:
    """Check one value by itself; how many characters it has."""
    match item:
        case str():
            return len(item)
        case None | bool() | list() | tuple() | dict() | range():
            return 0
        case int() if -_LARGEST < item < _LARGEST:
            return 0
        case float() if math.isfinite(item):
            return 0
        case int() | float():
            raise TemplateError("gives a number without measure", "use a smaller one")
        case _:
            str(item)  # what is undefined says so
            raise TemplateError(f"gives a {type(item).__name__}, which is no value of a playbook")


def node_of(value: object, mark: Mark, template: str) -> Node:
    """Put what a template gave into the tree.

    Args:
        value: as `checked` lets it pass.
        mark: where the template stands.
        template: its text.

    Raises:
        TemplateError: text that no program can be given; a key that is no key.
    """
    match value:
        case dict():
            entries = {
                _key(key): Entry(mark, node_of(item, mark, template)) for key, item in value.items()
            }
            return Mapping(entries, mark)
        case list() | tuple() | range():
            return Sequence(tuple(node_of(item, mark, template) for item in value), mark)
        case str():
            try:
                refuse_characters(value)
            except ValueError as exc:
                raise TemplateError(f"gives {exc}", "remove it") from exc
            return Scalar(value, value, True, mark, template)
        case bool() | int() | float():
            return Scalar(_plain(value), text_of(value), False, mark, template)
        case _:
            return Scalar(None, "", False, mark, template)


def _key(key: object) -> Key:
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise TemplateError("gives a mapping with a key that is neither text nor a number")
    return key


def _plain(number: float) -> int | float | bool:
    match number:
        case bool():
            return number
        case int():
            return int(number)
        case _:
            return float(number)


def data_of(node: Node) -> object:
    """Take a value out of the tree, numbers with the text that they were written as.

    Raises:
        TemplateError: it has a fault of its own, which has been told: there is no more to say.
    """
    match node:
        case Scalar(value=value):
            if value is UNUSABLE:
                raise TemplateError("")
            return written(value, node.text)
        case Sequence():
            return [data_of(item) for item in node.items]
        case Mapping():
            return {key: data_of(entry.node) for key, entry in node.entries.items()}
