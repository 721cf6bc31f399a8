"""Field by field, how what an engine found differs from what is wanted. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.redaction import VEIL
from orchestrator.state.spec import ContainerSpec, spec_fields

BUILD_INPUTS = "build inputs"
"""The field of an image that was built from other files than are there now."""


class FieldChange(Struct, frozen=True):
    """One field that differs. None means: not set; only a variable can be set to nothing.

    Of a value that is not to be shown both sides are VEIL.

    `field` is the field's path below `ranks` of the playbook, where it has one there.
    """

    field: str
    old: str | None
    new: str | None
    forces_replacement: bool = True

    def __str__(self) -> str:
        if self.old == self.new == VEIL:
            return f"{self.field}: (changed)"
        old, new = ("(none)" if side is None else side or '""' for side in (self.old, self.new))
        return f"{self.field}: {old} -> {new}"


def field_changes(found: ContainerSpec, wanted: ContainerSpec) -> tuple[FieldChange, ...]:
    """Every field in which two specs differ, in a fixed order."""
    if found == wanted:
        return ()
    old, new = spec_fields(found), spec_fields(wanted)
    names = (*new, *(name for name in old if name not in new))
    changes = tuple(
        FieldChange(name, _set(old, name), _set(new, name))
        for name in names
        if _set(old, name) != _set(new, name)
    )
    opened = tuple(each for change in changes for each in _opened(change, found, wanted))
    hidden = {f"env.{name}" for name in (*found.hidden_env, *wanted.hidden_env)}
    veiled = (_veiled(each) if each.field in hidden else each for each in opened)
    return (*veiled, *_changed_secrets(found, wanted))


def _veiled(change: FieldChange) -> FieldChange:
    old, new = (None if side is None else VEIL for side in (change.old, change.new))
    return replace(change, old=old, new=new)


def _changed_secrets(found: ContainerSpec, wanted: ContainerSpec) -> Iterator[FieldChange]:
    there = {secret.name: secret.value for secret in found.secrets}
    for secret in wanted.secrets:
        if secret.name in there and there[secret.name] != secret.value:
            yield FieldChange(f"secrets.{secret.name}", VEIL, VEIL)


def _set(fields: Mapping[str, str], name: str) -> str | None:
    """A field's text, None where it is not set."""
    text = fields.get(name)
    return text if text or name.startswith("env.") else None


def _opened(
    change: FieldChange, found: ContainerSpec, wanted: ContainerSpec
) -> tuple[FieldChange, ...]:
    """A command of as many words as before differs in words; any other change is one."""
    if change.field != "command" or len(found.command) != len(wanted.command):
        return (change,)
    words = enumerate(zip(found.command, wanted.command, strict=True))
    return tuple(
        FieldChange(f"command[{index}]", _quoted(old), _quoted(new))
        for index, (old, new) in words
        if old != new
    )


def _quoted(word: str) -> str:
    return json.dumps(word, ensure_ascii=False)
