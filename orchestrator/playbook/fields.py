"""What the language allows at a place: which keys, and what one looks like. Pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import get_args

from pydantic.fields import FieldInfo

from orchestrator.playbook.health import Check
from orchestrator.playbook.language import Section
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.tree import Loc


def yaml_key(name: str, field: FieldInfo) -> str:
    """Give the key that a person writes for a field."""
    alias = field.validation_alias
    return alias if isinstance(alias, str) else name


def yaml_fields(section: type[Section]) -> dict[str, FieldInfo]:
    """List the fields of a section by the keys that a person writes."""
    return {yaml_key(name, field): field for name, field in section.model_fields.items()}


def section_at(loc: Loc) -> type[Section] | None:
    """Find the section that the mapping at `loc` is, None where keys are free or unknown."""
    found: tuple[type[Section], ...] = (Playbook,)
    for part in loc:
        if isinstance(part, int):
            continue  # an item of a list, or a node rank: what it holds is known already
        found = _below(found, part)
    return found[0] if len(found) == 1 else None


def _below(sections: tuple[type[Section], ...], key: str) -> tuple[type[Section], ...]:
    checks = [item for item in sections if issubclass(item, Check) and item.kind == key]
    if checks:
        return (checks[0],)
    field = yaml_fields(sections[0]).get(key) if len(sections) == 1 else None
    return tuple(_sections_in(field.annotation)) if field else ()


def _sections_in(annotation: object) -> list[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [found for part in get_args(annotation) for found in _sections_in(part)]


def nearest(word: str, known: list[str]) -> str | None:
    """Find the known word that was probably meant."""
    matches = get_close_matches(word[:60].lower().replace("_", "-"), known, 1, 0.6)
    return matches[0] if matches else next(iter(get_close_matches(word[:60], known, 1, 0.6)), None)
