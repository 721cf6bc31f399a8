"""Lays one tree over another: what include means. Pure.

Mappings merge key by key, as deep as both sides are mappings. Everything else, lists too, is
replaced whole: half of somebody else's command is never what was meant.
"""

from __future__ import annotations

from orchestrator.playbook.tree import Entry, Mapping, Node


def merged(base: Node, over: Node) -> Node:
    """Lay `over` over `base`; where both have a value, that of `over` stays."""
    if not isinstance(base, Mapping) or not isinstance(over, Mapping):
        return over
    entries = dict(base.entries)
    for key, entry in over.entries.items():
        below = entries.get(key)
        node = merged(below.node, entry.node) if below else entry.node
        entries[key] = Entry(entry.mark, node)
    return Mapping(entries, over.mark)


def without(node: Mapping, *keys: str) -> Mapping:
    """Leave keys of a mapping out."""
    return Mapping({key: of for key, of in node.entries.items() if key not in keys}, node.mark)
