"""Plain values as YAML, in the several styles in which people and programs write it."""

from __future__ import annotations

import io
from typing import Any, Final

import yaml

STYLES: Final[dict[str, dict[str, Any]]] = {
    "block": {"default_flow_style": False, "allow_unicode": True},
    "brackets": {"default_flow_style": True, "width": 60},
    "one line": {"default_flow_style": True, "width": 10**6, "allow_unicode": True},
    "wide steps": {"indent": 8, "line_break": "\r\n", "explicit_start": True},
}


class _Dumper(yaml.SafeDumper):
    """Quotes text, as PyYAML would leave `1e5` bare, which YAML 1.2 reads as a number."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    plain = text.isidentifier() and text.isascii() and text.lower() not in _WORDS
    lines = text.replace("\n", "").isprintable() and text.isascii() and "\n" in text
    style = "" if plain else "|" if lines else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_WORDS = ("true", "false", "null", "yes", "no", "on", "off", "y", "n")
_Dumper.add_representer(str, _text)


def node_of(value: object) -> yaml.Node:
    """Make PyYAML's tree of a value, which may then be made worse before it is written."""
    dumper: Any = _Dumper(io.StringIO())
    node: yaml.Node = dumper.represent_data(value)
    return node


def tag_of(text: str) -> str:
    """Give the tag that PyYAML takes bare text for."""
    resolver: Any = yaml.resolver.Resolver()
    return str(resolver.resolve(yaml.ScalarNode, text, (True, False)))


def write(node: yaml.Node, style: str = "block") -> bytes:
    """Write a tree."""
    options = dict(STYLES[style])
    flow = options.pop("default_flow_style", False)
    _set_style(node, flow=flow)
    text: str = yaml.serialize(node, Dumper=_Dumper, **options)
    return text.encode("utf-8", "surrogatepass")


def _set_style(node: yaml.Node, *, flow: bool) -> None:
    if isinstance(node, yaml.MappingNode):
        node.flow_style = flow
        children = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        node.flow_style = flow
        children = list(node.value)
    else:
        return
    for child in children:
        _set_style(child, flow=flow)
