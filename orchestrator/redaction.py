"""Keeps the values of secrets off the screen: whatever this program prints goes through here.

A value is known from the moment it is read, whoever reads it, so that no error, log line or
bug report can be faster. The list is the process' own and is never emptied.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

VEIL = "***"

SHORTEST = 4
"""Shorter values are left alone: they are in half of all words."""

_known: set[str] = set()


def learn(values: Iterable[bytes]) -> None:
    """Have these values hidden from now on, whole and line by line."""
    for value in values:
        text = value.decode("utf-8", "replace").strip()
        for part in (text, *map(str.strip, text.splitlines())):
            if len(part) >= SHORTEST:
                _known.update(_spellings(part))


def _spellings(text: str) -> Iterator[str]:
    """A value as it is, and as it stands in JSON and in escaped text."""
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.encode("unicode_escape", "surrogatepass").decode("ascii")


def redacted(text: str) -> str:
    """The text with every known value replaced by `***`, longer ones first."""
    found = [value for value in _known if value in text]
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, VEIL)
    return text


def redacted_document(document: object) -> object:
    """A JSON document with every text in it redacted, keys excepted."""
    match document:
        case str():
            return redacted(document)
        case dict():
            return {key: redacted_document(value) for key, value in document.items()}
        case list() | tuple():
            return [redacted_document(value) for value in document]
        case _:
            return document
