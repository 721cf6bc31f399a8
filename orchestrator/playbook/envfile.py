"""Files of environment variables, in the format of docker's `--env-file`.

One `KEY=VALUE` a line; everything after the `=` is the value, quotes and blanks included.
`KEY` alone takes the value that this machine has, or is left out where it has none. Lines
that are empty or begin with `#` are skipped.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from msgspec import Struct

MAX_BYTES = 256 * 1024
MAX_VALUE = 32_768

VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_FORBIDDEN = re.compile("[\x00\r]")


class BadLine(Struct, frozen=True):
    """What is wrong with a line, which counts from 1; 0: with the file as a whole."""

    line: int
    what: str
    fix: str


class BadEnvFile(ValueError):
    """A file that cannot be used; carries every fault of it."""

    def __init__(self, faults: list[BadLine]) -> None:
        super().__init__(f"{len(faults)} faults")
        self.faults = faults


NameFault = Callable[[str], tuple[str, str] | None]
"""Says what is wrong with a variable's name, and how to mend it."""


def read_env_file(path: Path, host: Mapping[str, str], name_fault: NameFault) -> dict[str, str]:
    """Read a file of variables; of a name that stands there twice the last one wins.

    Args:
        path: the file.
        host: the environment of this machine, for `KEY` alone.
        name_fault: what else a name must satisfy.

    Raises:
        BadEnvFile: it cannot be read, or a line of it means nothing.
    """
    text = _text(path)
    found: dict[str, str] = {}
    faults: list[BadLine] = []
    for number, line in enumerate(text.split("\n"), start=1):
        # As docker does: only what stands before the name is trimmed.
        entry = line.removesuffix("\r").lstrip()
        if not entry or entry.startswith("#"):
            continue
        name, given, value = entry.partition("=")
        if fault := _line_fault(name, value) or name_fault(name):
            faults.append(BadLine(number, *fault))
        elif given:
            found[name] = value
        elif name in host:
            found[name] = host[name]
    if faults:
        raise BadEnvFile(faults)
    return found


def _line_fault(name: str, value: str) -> tuple[str, str] | None:
    if not VARIABLE.fullmatch(name):
        # The line may be a secret without its name: it is not quoted.
        return "no name of a variable before the =", "write KEY=VALUE, without blanks or `export`"
    if _FORBIDDEN.search(value):
        return f"the value of {name} has a character that no line can carry", "use a secret"
    if len(value) > MAX_VALUE:
        return f"the value of {name} is longer than {MAX_VALUE} characters", "use a secret"
    return None


def _text(path: Path) -> str:
    try:
        return read_bounded(path, MAX_BYTES).removeprefix(b"\xef\xbb\xbf").decode("utf-8")
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        fault = BadLine(line, "not UTF-8", "save the file as UTF-8")
        raise BadEnvFile([fault]) from exc
    except Unreadable as exc:
        raise BadEnvFile([BadLine(0, str(exc), exc.fix)]) from exc


class Unreadable(OSError):
    """A file that is not there, not a file, or too large; `fix` says what to do."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(what)
        self.fix = fix


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Read a regular file whole. Raises Unreadable."""
    try:
        # Not blocking, so that a pipe without a writer cannot hold us.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:
            is_file = stat.S_ISREG(os.fstat(descriptor).st_mode)
            data = file.read(max_bytes + 1) if is_file else b""
    except IsADirectoryError:
        is_file, data = False, b""
    except (OSError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else None
        raise Unreadable((reason or "not a path").lower(), "create it first") from exc
    if not is_file:
        raise Unreadable("not a file", "give the path of a file")
    if len(data) > max_bytes:
        raise Unreadable(f"larger than {max_bytes // 1024} KiB", "shorten it")
    return data
