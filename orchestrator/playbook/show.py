"""A playbook as it was understood: included, filled, with its defaults; loads as the same one.

What holds a secret of the environment is shown as `***`.
"""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Any

import yaml

from orchestrator.playbook.fields import yaml_key
from orchestrator.playbook.health import Check
from orchestrator.playbook.language import Section
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.placing import REDACTED
from orchestrator.playbook.scalars import resolve
from orchestrator.playbook.template import has_template
from orchestrator.playbook.tree import Key, Loc

_BRACES = re.compile(r"\{\{|\{%")


def resolved(playbook: Playbook, secret: Set[Loc] = frozenset()) -> dict[Key, Any]:
    """Give a playbook as the data that a file would hold.

    Args:
        playbook: the models.
        secret: the places that are not shown.
    """
    return _section(playbook, (), secret)


def secret_texts(playbook: Playbook, secret: Set[Loc]) -> frozenset[str]:
    """The texts at the places that are not shown, for taking them out of what was made of them."""
    document = resolved(playbook)
    return frozenset(found for loc in secret if isinstance(found := _at(document, loc), str))


def _at(document: Any, loc: Loc) -> object:
    """What stands at a place; None where nothing does."""
    for key in loc:
        is_index = isinstance(document, list) and isinstance(key, int) and key < len(document)
        if not is_index and not (isinstance(document, dict) and key in document):
            return None
        document = document[key]
    return document


def resolved_yaml(document: dict[Key, Any]) -> str:
    """Write what `resolved` gave as YAML."""
    text: str = yaml.dump(
        document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000
    )
    return text


def _section(
    section: Section, loc: Loc, secret: Set[Loc], *, is_override: bool = False
) -> dict[Key, Any]:
    """Write a section with its defaults; an override with what it sets alone."""
    shown: dict[Key, Any] = {}
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if value is None or (is_override and name not in section.model_fields_set):
            continue
        key = yaml_key(name, field)
        if _holds_sections(value):
            shown[key] = _sections(value, (*loc, key), secret, is_override=is_override)
        else:
            data = section.model_dump(mode="json", include={name})[name]
            shown[key] = _data(data, (*loc, key), secret)
    return shown


def _holds_sections(value: object) -> bool:
    match value:
        case Section():
            return True
        case tuple():
            return any(isinstance(item, Section) for item in value)
        case dict():
            return any(isinstance(item, Section) for item in value.values())
        case _:
            return False


def _sections(value: object, loc: Loc, secret: Set[Loc], *, is_override: bool) -> object:
    match value:
        case Check():
            return {value.kind: _section(value, (*loc, value.kind), secret)}
        case Section():
            return _section(value, loc, secret, is_override=is_override)
        case tuple():
            return [
                _sections(item, (*loc, index), secret, is_override=is_override)
                for index, item in enumerate(value)
            ]
        case dict():
            return {
                key: _sections(item, (*loc, key), secret, is_override=True)
                for key, item in value.items()
            }
        case _:
            return value


def _data(value: object, loc: Loc, secret: Set[Loc]) -> object:
    if loc in secret:
        return REDACTED
    match value:
        case dict():
            return {key: _data(item, (*loc, key), secret) for key, item in value.items()}
        case list():
            return [_data(item, (*loc, index), secret) for index, item in enumerate(value)]
        case str() if has_template(value):
            return _BRACES.sub(lambda braces: f"{{{{ '{braces[0]}' }}}}", value)
        case _:
            return value


class _Dumper(yaml.SafeDumper):
    """Quotes what the reader of playbooks would not take for text."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
        return True


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    style = None
    if not text.replace("\n", "").isprintable() or not _is_plain(text):
        style = '"'  # the only one in which characters can be escaped
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _is_plain(text: str) -> bool:
    try:
        return isinstance(resolve(text), str)
    except ValueError:
        return False


_Dumper.add_representer(str, _text)
