"""Which files a `.dockerignore` lets into a build context. Pure.

Follows moby/patternmatcher (MatchesUsingParentResults): patterns are cleaned and anchored at the
root, `**` spans folders, the last match wins. A folder that is shut out is entered when an
exception may name something below it, as BuildKit does; the legacy builder overlooks exceptions
such as `!**/keep` there.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from msgspec import Struct

_WILDCARD = re.compile(r"[*?\[\\]")


class PatternError(ValueError):
    """A line of a `.dockerignore` that Docker refuses too."""


class Pattern(Struct, frozen=True):
    """One line: shuts out what it matches, or lets it in again (`!`)."""

    text: str  # cleaned, without the `!`
    is_exception: bool
    regex: re.Pattern[str]


class Matches(Struct, frozen=True):
    """What the walk knows of one path; handed down to the paths below it."""

    ignored: bool = False
    by_pattern: tuple[bool, ...] = ()


class IgnoreFile(Struct, frozen=True):
    """A parsed `.dockerignore`; without patterns it lets everything in."""

    patterns: tuple[Pattern, ...] = ()

    def match(self, path: str, parent: Matches) -> Matches:
        """Match one path.

        Args:
            path: relative to the root of the context, with `/`, not empty.
            parent: the result for the folder that the path lies in; `Matches()` at the root.
        """
        ignored = False
        by_pattern = []
        for index, pattern in enumerate(self.patterns):
            matched = bool(parent.by_pattern) and parent.by_pattern[index]
            if not matched and pattern.is_exception == ignored:
                matched = pattern.regex.fullmatch(path) is not None
            by_pattern.append(matched)
            if matched:
                ignored = not pattern.is_exception
        return Matches(ignored, tuple(by_pattern))

    def may_hold_exceptions(self, folder: str) -> bool:
        """True when a folder that is shut out must be entered all the same."""
        return any(
            pattern.text.startswith(folder + "/") or _WILDCARD.search(pattern.text)
            for pattern in self.patterns
            if pattern.is_exception
        )


def parse_ignore_file(text: str) -> IgnoreFile:
    """Parse the text of a `.dockerignore`.

    Raises:
        PatternError: Docker would refuse the line as well.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    return IgnoreFile(tuple(_patterns(line for line in lines if not line.startswith("#"))))


def _patterns(lines: Iterable[str]) -> Iterable[Pattern]:
    for line in lines:
        stripped = line.strip()
        if not stripped:
            continue
        is_exception = stripped.startswith("!")
        text = stripped[1:].strip() if is_exception else stripped
        if not text:
            raise PatternError(f"`{stripped}` is an exception to nothing")
        cleaned = _clean(text)
        yield Pattern(cleaned, is_exception, _compile(cleaned))


def _clean(text: str) -> str:
    """Go's filepath.Clean, then without the leading slash."""
    cleaned = posixpath.normpath(text)
    # normpath keeps two leading slashes, Go does not
    cleaned = "/" + cleaned.lstrip("/") if cleaned.startswith("/") else cleaned
    return cleaned[1:] if len(cleaned) > 1 and cleaned.startswith("/") else cleaned


_TOKEN = re.compile(r"\*\*/?|\*|\?|\[(?:\\.|[^\]\\])+\]|\\.|[^\\\[]", re.DOTALL)


def _compile(pattern: str) -> re.Pattern[str]:
    """Translate a cleaned pattern; the result is meant for `fullmatch`."""
    parts = []
    position = 0
    while position < len(pattern):
        token = _TOKEN.match(pattern, position)
        if token is None:
            raise PatternError(f"`{pattern}` has an unfinished `[` or `\\`")
        position = token.end()
        parts.append(_translate(token.group(), at_end=position == len(pattern)))
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error as exc:
        raise PatternError(f"`{pattern}`: {exc}") from exc


def _translate(part: str, *, at_end: bool) -> str:
    if part.startswith("**"):
        return ".*" if at_end else "(?:.*/)?"
    if part == "*":
        return "[^/]*"
    if part == "?":
        return "[^/]"
    if part.startswith("["):
        # Python reads `[[`, `--`, `&&` … in a class as set operations to come
        return "[" + re.sub(r"(?<!\\)([\[&~|])", r"\\\1", part[1:-1]) + "]"
    if part.startswith("\\"):
        return re.escape(part[1])
    return re.escape(part)
