"""Relative paths of included files: they are relative to the file in which they stand. Pure.

Everything after the loader knows one folder, that of the playbook. So a path that was written
in a file of another folder is written anew, relative to the playbook's.
"""

from __future__ import annotations

import os
from collections.abc import Sequence as SequenceType
from pathlib import Path
from typing import get_args

from msgspec.structs import replace
from pydantic.fields import FieldInfo

from orchestrator.playbook.fields import section_at, yaml_fields
from orchestrator.playbook.language import LOCAL_PATH
from orchestrator.playbook.tree import Entry, Key, Loc, Mapping, Node, Scalar, Sequence


def relocated(root: Node, folders: SequenceType[Path]) -> Node:
    """Make every path relative to the playbook's folder.

    Args:
        root: the tree.
        folders: that of each file, absolute and without links; the playbook's first.
    """
    if all(folder == folders[0] for folder in folders):
        return root
    return _section(root, (), folders)


def _section(node: Node, loc: Loc, folders: SequenceType[Path]) -> Node:
    match node:
        case Sequence(items=items):
            below = (_section(item, (*loc, at), folders) for at, item in enumerate(items))
            return replace(node, items=tuple(below))
        case Mapping():
            entries = node.entries
            if folders[node.mark.file] != folders[0]:
                entries = {**_left_out(node, loc), **entries}
            return replace(
                node,
                entries={
                    key: Entry(of.mark, _value(of.node, (*loc, key), folders))
                    for key, of in entries.items()
                },
            )
        case _:
            return node


def _left_out(node: Mapping, loc: Loc) -> dict[Key, Entry]:
    """The paths that a mapping leaves to their default, which is relative as well."""
    section = section_at(loc)
    return {
        key: Entry(node.mark, Scalar(of.default, of.default, False, node.mark))
        for key, of in (yaml_fields(section) if section else {}).items()
        if is_path(of) and isinstance(of.default, str)
    }


def _value(node: Node, loc: Loc, folders: SequenceType[Path]) -> Node:
    section = section_at(loc[:-1])
    field = yaml_fields(section).get(str(loc[-1])) if section else None
    if field is not None and is_path(field):
        return _paths(node, folders)
    return _section(node, loc, folders)


def _paths(node: Node, folders: SequenceType[Path]) -> Node:
    match node:
        case Sequence(items=items):
            return replace(node, items=tuple(_paths(item, folders) for item in items))
        case Scalar(value=str() as path):
            return replace(node, value=_path(path, folders[node.mark.file], folders[0]))
        case _:
            return node


def _path(path: str, folder: Path, home: Path) -> str:
    # What cannot be a path is left for the rules to name as it was written.
    if folder == home or not path or path.startswith(("/", "~")):
        return path
    return os.path.relpath(folder / path, home)


def is_path(field: FieldInfo) -> bool:
    """True for a field that holds paths of this machine, relative to the file they stand in."""
    return LOCAL_PATH in field.metadata or _holds_paths(field.annotation)


def _holds_paths(annotation: object) -> bool:
    return any(part is LOCAL_PATH or _holds_paths(part) for part in get_args(annotation))
