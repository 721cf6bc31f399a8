"""The flags of one of docker's commands, taken off its arguments the way docker takes them. Pure.

Which flags take a value is data, a file for each command. An unknown flag is a fault, as its value
could be taken for what follows the flags.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from msgspec import Struct

from orchestrator.playbook.fields import nearest
from orchestrator.starting.container import NotSaidError
from orchestrator.starting.shell import as_written


class Flag(Struct, frozen=True):
    """A flag of one of docker's commands.

    Attributes:
        name: its long name.
        short: its letter, or empty.
        takes_value: whether a value follows.
        left_out: why a playbook has it not; empty where it has.
        instead: the field that serves.
    """

    name: str
    short: str
    takes_value: bool
    left_out: str
    instead: str


class FlagTable(Struct, frozen=True):
    """Every flag of a command, by its long name, its aliases and `-x` for its letter."""

    command: str
    flags: Mapping[str, Flag]

    def taken(self, rest: list[str]) -> Iterator[tuple[Flag, str]]:
        """Take the flags off the front, each with its value; empty for one that takes none.

        Raises:
            NotSaidError: a flag is unknown, or lacks its value.
        """
        while rest and rest[0].startswith("-") and rest[0] != "-":
            word = rest.pop(0)
            if word == "--":
                return
            if word.startswith("--"):
                name, has_value, value = word[2:].partition("=")
                yield from self._one(name, value if has_value else None, rest)
            else:
                yield from self._short(word[1:], rest)

    def _short(self, letters: str, rest: list[str]) -> Iterator[tuple[Flag, str]]:
        """Take letters: the first that wants a value has all that follows it."""
        while letters:
            flag = self._known(f"-{letters[0]}")
            letters = letters[1:]
            if flag.takes_value:
                yield from self._one(flag.name, letters.removeprefix("=") or None, rest)
                return
            yield flag, ""

    def _one(self, name: str, value: str | None, rest: list[str]) -> Iterator[tuple[Flag, str]]:
        flag = self._known(name)
        if not flag.takes_value:
            if value not in {"false", "0"}:
                yield flag, ""
        elif value is not None or rest:
            yield flag, rest.pop(0) if value is None else value
        else:
            raise NotSaidError(f"--{flag.name} has no value", "give it one")

    def _known(self, name: str) -> Flag:
        if name in self.flags:
            return self.flags[name]
        shown = as_written(name if name.startswith("-") else f"--{name}")
        guess = nearest(name, [each for each in self.flags if not each.startswith("-")])
        fix = f"did you mean --{guess}?" if guess else f"see `{self.command} --help`"
        raise NotSaidError(f"{self.command} has no flag {shown!r}", fix)


def read_table(command: str, file: Path) -> FlagTable:
    """Read the table of a command."""
    entries: list[dict[str, Any]] = yaml.safe_load(file.read_text(encoding="utf-8"))["flags"]
    found = {each["name"]: _flag(each) for each in entries if "same_as" not in each}
    found |= {each["name"]: found[each["same_as"]] for each in entries if "same_as" in each}
    letters = {f"-{flag.short}": flag for flag in found.values() if flag.short}
    return FlagTable(command, found | letters)


def _flag(entry: dict[str, Any]) -> Flag:
    return Flag(
        entry["name"],
        entry.get("short", ""),
        "value" in entry,
        entry.get("left_out", ""),
        entry.get("instead", ""),
    )
