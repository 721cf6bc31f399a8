"""A YAML document as a tree that remembers where everything stands. Pure."""

from __future__ import annotations

import re
from typing import Literal, TypeAlias

from msgspec import Struct

LINE_BREAK = re.compile("\r\n|\r|\n")

Key: TypeAlias = str | int
Loc: TypeAlias = tuple[Key, ...]
"""Keys and list indices from the root to a value, as pydantic counts them."""


class Mark(Struct, frozen=True, order=True):
    """A place in a file. Lines and columns count from 1, columns in characters.

    Attributes:
        file: which of the files that were read, by its number; 0 is the playbook.
        width: how many characters it spans; more than the line has means to its end.
    """

    line: int
    column: int
    file: int = 0
    width: int = 1


def mark_after(before: str) -> Mark:
    """Give the place right behind `before`, the beginning of a file."""
    lines = LINE_BREAK.split(before)
    return Mark(len(lines), len(lines[-1]) + 1)


class Unusable:
    """The value of a scalar that already has a fault of its own."""


UNUSABLE = Unusable()
Value: TypeAlias = str | int | float | bool | Unusable | None


class Scalar(Struct, frozen=True):
    """One value.

    Attributes:
        value: what it is.
        text: what stands in the file, or what the template there gave.
        quoted: whether it cannot be a number.
        mark: where it stands.
        template: the text that it was made of, empty for a value that stands there itself.
    """

    value: Value
    text: str
    quoted: bool
    mark: Mark
    template: str = ""


class Sequence(Struct, frozen=True):
    """A list."""

    items: tuple[Node, ...]
    mark: Mark


class Entry(Struct, frozen=True):
    """A value of a mapping, and where its key stands."""

    mark: Mark
    node: Node


class Mapping(Struct, frozen=True):
    """A mapping; keys are text or whole numbers."""

    entries: dict[Key, Entry]
    mark: Mark


Node: TypeAlias = Scalar | Sequence | Mapping


class Complaint(Struct, frozen=True):
    """A fault before it has a file name.

    Attributes:
        loc: the value that it is about.
        what: what is wrong, without a full stop.
        fix: how to mend it, or empty.
        at: whether it points at the value, or at the value's key.
        mark: the exact place, where the one of `loc` would not do.
        also: the other places that matter, each with what there is to say of it.
    """

    loc: Loc
    what: str
    fix: str = ""
    at: Literal["value", "key"] = "value"
    mark: Mark | None = None
    also: tuple[Also, ...] = ()


class Also(Struct, frozen=True):
    """A second place of a fault; `note` says what it has to do with it."""

    place: Mark | Loc
    note: str


class Place(Struct, frozen=True):
    """What `loc` leads to.

    Attributes:
        path: the way a person writes it: `ranks.mounts[0].source`.
        key: where its key stands; that of the value where it has none.
        value: where it stands; the innermost mapping around it where it is missing.
        node: the value itself, None where it is missing.
    """

    path: str
    key: Mark
    value: Mark
    node: Node | None


_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]{1,60}", re.ASCII)


def printable(text: str, longest: int = 60) -> str:
    """Show text from a file in quotes, on one line, short, and harmless to a terminal."""
    return repr(text if len(text) <= longest else text[: longest - 1] + "…")


def path_of(loc: Loc) -> str:
    """Write `loc` without a document to look into: every number counts as a list index."""
    steps = (f"[{part}]" if isinstance(part, int) else _step(None, part) for part in loc)
    return "".join(steps).removeprefix(".")


def place_of(root: Node, loc: Loc) -> Place:
    """Follow `loc` from the root, as far as the document goes."""
    node: Node | None = root
    path, key, value = "", root.mark, root.mark
    for part in loc:
        path += _step(node, part)
        entry = _entry(node, part)
        node = entry.node if entry else None
        if entry:
            key, value = entry.mark, entry.node.mark
        else:
            key = value
    return Place(path.removeprefix("."), key, value, node)


def _entry(node: Node | None, part: Key) -> Entry | None:
    match node:
        case Mapping(entries=entries):
            return entries.get(part)
        case Sequence(items=items) if isinstance(part, int) and part < len(items):
            return Entry(items[part].mark, items[part])
        case _:
            return None


def _step(node: Node | None, part: Key) -> str:
    if isinstance(node, Sequence):
        return f"[{part}]"
    text = str(part)
    return f".{text}" if _PLAIN_KEY.fullmatch(text) else f"[{printable(text)}]"


def plain(node: Node) -> object:
    """Strip the places: dictionaries, tuples (lists are frozen here), and scalars."""
    match node:
        case Scalar():
            return node.value
        case Sequence():
            return tuple(plain(item) for item in node.items)
        case Mapping():
            return {key: plain(entry.node) for key, entry in node.entries.items()}


def unusable_locs(node: Node, loc: Loc = ()) -> list[Loc]:
    """List the values that already have a fault of their own."""
    match node:
        case Scalar():
            return [loc] if node.value is UNUSABLE else []
        case Sequence():
            pairs: list[tuple[Key, Node]] = list(enumerate(node.items))
        case Mapping():
            pairs = [(key, entry.node) for key, entry in node.entries.items()]
    return [found for part, child in pairs for found in unusable_locs(child, (*loc, part))]
