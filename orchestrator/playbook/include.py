"""Reads a playbook and the files that it includes, and lays them over each other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct, field

from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.playbook.merge import merged, without
from orchestrator.playbook.preamble import INCLUDE
from orchestrator.playbook.source import Source, read, shown
from orchestrator.playbook.template import has_template
from orchestrator.playbook.tree import (
    UNUSABLE,
    Complaint,
    Loc,
    Mapping,
    Node,
    Scalar,
    Sequence,
    printable,
)
from orchestrator.playbook.yaml import compose

MAX_DEPTH = 10
MAX_FILES = 50
_LONGEST_NAME = 200

_LOC: Loc = (INCLUDE,)


class Reading(Struct):
    """The files that were read so far, and what is wrong with them.

    Attributes:
        sources: in the order in which they were read; marks name them by index.
        complaints: what is wrong at a place of a tree.
        faults: what is wrong with a file as a whole.
    """

    sources: list[Source] = field(default_factory=list)
    complaints: list[Complaint] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def tree(self, source: Source) -> Node | None:
        """Take a file in; its tree, or None where it cannot be read to its end."""
        self.sources.append(source)
        document = compose(source.text, len(self.sources) - 1)
        self.complaints += document.complaints
        return document.root


class _File(Struct, frozen=True):
    """A file under way: how faults call it, its real path, and who includes it."""

    name: str
    real: Path
    chain: tuple[_File, ...] = ()


def read_playbook(source: Source, path: Path, reading: Reading) -> Node | None:
    """Read the tree of a playbook, what it includes laid below it.

    Args:
        source: the playbook's text.
        path: the playbook, without links, so that a file that includes itself is known.
        reading: where files and complaints are kept.
    """
    return _laid_over_its_bases(_File(source.name, path), source, reading)


def _laid_over_its_bases(file: _File, source: Source, reading: Reading) -> Node | None:
    root = reading.tree(source)
    if file.chain and root is not None and not isinstance(root, Mapping):
        what = "an included file must be a mapping"
        reading.complaints.append(Complaint((), what, "write keys and values", mark=root.mark))
        return None
    if not isinstance(root, Mapping) or INCLUDE not in root.entries:
        return root
    laid: Node = Mapping({}, root.mark)
    for scalar in _bases(root.entries[INCLUDE].node, reading):
        base = _base(scalar, file, source.folder, reading)
        laid = merged(laid, base) if base is not None else laid
    return merged(laid, without(root, INCLUDE))


def _bases(node: Node, reading: Reading) -> Iterator[Scalar]:
    """The paths that an include lists; what is none is complained about."""
    items = node.items if isinstance(node, Sequence) else (node,)
    for item in items:
        if isinstance(item, Scalar) and isinstance(item.value, str) and item.value:
            if not has_template(item.value):
                yield item
                continue
            what, fix = "a template: files are read before variables are known", "write the path"
        else:
            what, fix = "expected the path of a file, or a list of them", "write include: base.yaml"
        if not isinstance(item, Scalar) or item.value is not UNUSABLE:
            reading.complaints.append(Complaint(_LOC, what, fix, mark=item.mark))


def _base(scalar: Scalar, file: _File, folder: Path, reading: Reading) -> Node | None:
    """Read one included file, complaining where it is named if it cannot be had."""
    named = str(scalar.value)
    name = os.path.normpath(os.path.join(os.path.dirname(file.name), named))
    chain = (*file.chain, file)
    try:
        real = Path(os.path.realpath(folder / named))
        _refuse(real, chain, reading)
        data = read(real, name)
    except InvalidPlaybook as exc:
        what, fix = f"{shown(name, _LONGEST_NAME)}: {exc.faults[0].what}", exc.faults[0].fix
        reading.complaints.append(Complaint(_LOC, what, fix, mark=scalar.mark))
        return None
    except ValueError as exc:
        what = f"{printable(name)} {exc}"
        reading.complaints.append(Complaint(_LOC, what, "leave it out", mark=scalar.mark))
        return None
    try:
        source = Source.of(data, name, real.parent)
    except InvalidPlaybook as exc:
        reading.faults += exc.faults
        return None
    return _laid_over_its_bases(_File(source.name, real, chain), source, reading)


def _refuse(real: Path, chain: tuple[_File, ...], reading: Reading) -> None:
    """Refuse a file that would be read for ever.

    Raises:
        ValueError: with what is wrong, to be said of the file.
    """
    paths = [each.real for each in chain]
    if real in paths:
        names = [each.name for each in chain[paths.index(real) :]]
        raise ValueError(f"includes itself: {' -> '.join([*names, names[0]])}")
    if len(chain) > MAX_DEPTH:
        raise ValueError(f"is included through more than {MAX_DEPTH} files")
    if len(reading.sources) >= MAX_FILES:
        raise ValueError(f"is one of more than {MAX_FILES} files")
