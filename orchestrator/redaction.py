"""Keeps the values of secrets off the screen: whatever this program prints goes through here.

A value is known from the moment it is read, whoever reads it, so that no error, log line or
bug report can be faster. The list is the process' own and is never emptied.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Iterable, Iterator

VEIL = "***"

SHORTEST = 4
"""Shorter values are left alone: they are in half of all words."""

SHORTEST_IN_BASE64 = 8

_URL_SAFE = str.maketrans("+/", "-_")

_known: set[str] = set()


def learn(values: Iterable[bytes]) -> None:
    """Have these values hidden from now on, whole and line by line."""
    for value in values:
        # As it would be shown, and byte for byte, which differs for what is no text.
        for errors in ("replace", "surrogateescape"):
            text = value.decode("utf-8", errors).strip()
            for part in (text, *map(str.strip, text.splitlines())):
                if len(part) >= SHORTEST:
                    _known.update(_spellings(part))


def _spellings(text: str) -> Iterator[str]:
    """A value as it is, and as it stands in JSON and in escaped text."""
    yield text
    yield json.dumps(text)[1:-1]
    yield json.dumps(text, ensure_ascii=False)[1:-1]
    yield text.encode("unicode_escape", "surrogatepass").decode("ascii")
    yield from _in_base64(text.encode("utf-8", "surrogateescape"))


def _in_base64(value: bytes) -> Iterator[str]:
    """What of a value can be told in base64, at each of the three places it may begin at.

    The characters at its ends also hold bits of what stands around it, and stay.
    """
    for begin in range(3):
        coded = binascii.b2a_base64(bytes(begin) + value, newline=False)
        end = len(coded) if (begin + len(value)) % 3 == 0 else -(4 - (begin + len(value)) % 3)
        inner = coded[(0, 2, 3)[begin] : end].decode("ascii")
        if len(inner) >= SHORTEST_IN_BASE64:
            yield inner
            yield inner.translate(_URL_SAFE)


def redacted(text: str) -> str:
    """The text with every known value replaced by `***`, longer ones first."""
    found = [value for value in _known if value in text]
    for value in sorted(found, key=len, reverse=True):
        text = text.replace(value, VEIL)
    return text


def redacted_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """A stream of bytes with every known value replaced, also one that lies across a cut.

    Holds back no more than the longest value.
    """
    known = sorted((each.encode("utf-8", "surrogateescape") for each in _known), key=len)
    if not known:
        yield from chunks
        return
    pattern, longest = re.compile(b"|".join(map(re.escape, reversed(known)))), len(known[-1])
    rest = b""
    for chunk in chunks:
        told, rest = _redact_front(pattern, rest + chunk, longest)
        yield told
    yield pattern.sub(VEIL.encode(), rest)


def _redact_front(pattern: re.Pattern[bytes], data: bytes, longest: int) -> tuple[bytes, bytes]:
    """What can be told of the data already, and the end that a value may begin in."""
    told, at, safe = [], 0, len(data) - longest + 1
    for match in pattern.finditer(data):
        if match.start() >= safe:
            break
        told += [data[at : match.start()], VEIL.encode()]
        at = match.end()
    cut = max(at, safe)
    return b"".join([*told, data[at:cut]]), data[cut:]


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
