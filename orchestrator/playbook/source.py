"""A playbook's bytes: read without harm, and checked before any parser sees them."""

from __future__ import annotations

import os
import re
import stat
from itertools import islice
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import Fault, InvalidPlaybook, Snippet
from orchestrator.playbook.tree import LINE_BREAK, Mark, mark_after, printable

MAX_BYTES = 256 * 1024
MAX_CHARACTERS = 20
_LONGEST_REST = 200  # of a line behind a fault; no terminal shows more

# What YAML 1.2 forbids in a file (5.1), and what YAML 1.1 parsers take for a line break but
# editors and YAML 1.2 do not: every line number after it would be wrong.
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Source(Struct, frozen=True):
    """One file that was read, kept so that faults can show its lines.

    Attributes:
        name: how faults call it.
        data: its bytes.
        lines: its text, line by line.
        folder: what relative paths in it are relative to; absolute, without links.
    """

    name: str
    data: bytes
    lines: tuple[str, ...]
    folder: Path

    @classmethod
    def of(cls, data: bytes, name: str, folder: Path) -> Source:
        """Keep what was read.

        Raises:
            InvalidPlaybook: it is no text that a YAML parser may see.
        """
        return cls(shown(name), data, tuple(LINE_BREAK.split(decode(data, name))), folder)

    @property
    def text(self) -> str:
        """The whole text, its line ends made one."""
        return "\n".join(self.lines)

    def snippet(self, mark: Mark, note: str = "") -> Snippet:
        """Cut out the line of a mark."""
        text = self.lines[mark.line - 1] if mark.line <= len(self.lines) else ""
        return _snippet(self.name, mark, text, note)


def _snippet(name: str, mark: Mark, text: str, note: str = "") -> Snippet:
    column = min(mark.column, len(text) + 1)
    width = max(1, min(mark.width, len(text) + 1 - column))
    return Snippet(name, mark.line, column, text, width, note)


def read(path: Path, name: str) -> bytes:
    """Read a playbook, at most one byte more than is allowed.

    Args:
        path: the file.
        name: how faults call it.

    Raises:
        InvalidPlaybook: there is no regular file to read at that path.
    """
    try:
        # Not blocking, so that a pipe without a writer cannot hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            mode = os.fstat(descriptor).st_mode
            if stat.S_ISREG(mode):
                return file.read(MAX_BYTES + 1)
    except IsADirectoryError as exc:
        raise refused(name, *_not_a_file(stat.S_IFDIR)) from exc
    except OSError as exc:
        raise refused(name, *_unread(exc)) from exc
    except ValueError as exc:  # a NUL in the path
        raise refused(name, "not a path", "give the path of a playbook") from exc
    raise refused(name, *_not_a_file(mode))


def refused(name: str, what: str, fix: str) -> InvalidPlaybook:
    """Make the error of a file that is wrong as a whole."""
    return InvalidPlaybook([Fault(shown(name), 1, 1, "", what, fix)])


def shown(name: str, longest: int = 4096) -> str:
    """Show a file name as typed, unless it would break the line or the terminal."""
    return name if name.isprintable() and len(name) <= longest else printable(name, longest)


def _not_a_file(mode: int) -> tuple[str, str]:
    kinds = {stat.S_IFDIR: "a folder", stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket"}
    kind = kinds.get(stat.S_IFMT(mode), "a device")
    return f"this is {kind}, not a file", "give the path of a playbook"


def _unread(error: OSError) -> tuple[str, str]:
    match error:
        case FileNotFoundError():
            return "no such file", "check the path"
        case PermissionError():
            return "the file may not be read", "make it readable for you"
        case _:
            reason = (error.strerror or "unknown reason").lower()
            return f"the file cannot be read: {reason}", "check the path"


def decode(data: bytes, name: str) -> str:
    """Turn a playbook's bytes into text that a YAML parser may see.

    Raises:
        InvalidPlaybook: too large, not UTF-8, or with characters that YAML forbids.
    """
    if len(data) > MAX_BYTES:
        what = f"larger than {MAX_BYTES // 1024} KiB"
        raise refused(name, what, "a playbook is short: move data into files and mount them")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as exc:
        what = f"byte 0x{data[exc.start]:02x} is not UTF-8"
        # What stands before the bad byte is sure to be text, and one character a character.
        index, text = len(data[: exc.start].decode("utf-8")), data.decode("utf-8", "replace")
        fault = _fault(name, text, index, what, "save the file as UTF-8")
        raise InvalidPlaybook([fault]) from exc
    # A binary file is nothing but such characters: some are enough to show which it is.
    matches = islice(_FORBIDDEN.finditer(text), MAX_CHARACTERS)
    faults = [_forbidden(name, text, match.start()) for match in matches]
    if faults:
        raise InvalidPlaybook(faults)
    return text


def _forbidden(name: str, text: str, index: int) -> Fault:
    character = text[index]
    if character == "\ufeff" and index == 0:
        what, fix = "begins with a byte order mark", "save the file as UTF-8 without it"
    else:
        what, fix = f"character U+{ord(character):04X} is not allowed", "remove it"
    return _fault(name, text, index, what, fix)


def _fault(name: str, text: str, index: int, what: str, fix: str) -> Fault:
    mark = mark_after(text[:index])
    rest = LINE_BREAK.split(text[index : index + _LONGEST_REST], maxsplit=1)[0]
    snippet = _snippet(shown(name), mark, text[index - mark.column + 1 : index] + rest)
    return Fault(shown(name), mark.line, mark.column, "", what, fix, (snippet,))
