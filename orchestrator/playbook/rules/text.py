"""A rule on text anywhere in the document. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.playbook.tree import Complaint, Loc, Mapping, Node, Scalar, Sequence

# Only what looks like a variable: `{{.Name}}` and `f"{{}}"` are text.
_VARIABLE = re.compile(r"\{\{\s*[A-Za-z_]\w{0,60}\s*[|}]", re.ASCII)


def templates_in(node: Node, loc: Loc = ()) -> Iterator[Complaint]:
    """Find variables, which would otherwise reach the nodes as they stand."""
    match node:
        case Scalar(value=str()):
            if _VARIABLE.search(node.text):
                what = "variables such as {{ x }} are planned, not in this release"
                yield Complaint(loc, what, "write the value itself")
        case Sequence():
            for index, item in enumerate(node.items):
                yield from templates_in(item, (*loc, index))
        case Mapping():
            for key, entry in node.entries.items():
                yield from templates_in(entry.node, (*loc, key))
        case _:
            pass
