"""A docker command, and an engine's socket, that behave badly in every way we know."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.unit.engines.docker.stand_in_engine import (
    Script,
    chunked,
    hang_after,
    head,
    raw,
    whole,
)

WRONG_TYPES = '[{"Id": 7, "Name": null, "Config": [], "State": "up", "Labels": 3, "Names": {}}]'

COMMAND: Mapping[str, str] = {
    "hangs": "exec sleep 300",
    "hangs with its output closed": "exec >&- 2>&-; exec sleep 300",
    "leaves a child that hangs": "sleep 300 & exit 1",
    "answers garbage": "echo '<html>'; exit 0",
    "answers no UTF-8": "printf '\\377\\376'; printf '\\377\\376' >&2; exit 1",
    "answers too much": "head -c 70000000 /dev/zero",
    "answers half of its JSON": 'printf \'[{"Id": "a\'; exit 0',
    "answers wrong types": f"echo '{WRONG_TYPES}'; exit 0",
    "fails without a word": "exit 3",
    "dies of a signal": "kill -9 $$",
    "cannot reach its engine": "echo 'Cannot connect to the Docker daemon' >&2; exit 1",
}
"""What a docker command does instead of what it was asked: `{name: shell}`."""

HIT = "hit"

HANGS = ("hangs", "hangs with its output closed")

SOCKET: Mapping[str, Script] = {
    "hangs": hang_after(),
    "hangs in its answer": hang_after(head(200, "Content-Length: 9") + b"["),
    "closes early": raw(),
    "closes within its answer": raw(head(200, "Content-Length: 9") + b"["),
    "answers garbage": raw(b"SSH-2.0 \xff\xfe\r\n\r\n"),
    "answers no UTF-8": raw(head(200, "Content-Length: 2") + b"\xff\xfe"),
    "answers half of its JSON": chunked(b'[{"Id": "a'),
    "answers wrong types": whole([{"Id": 7, "Name": None, "Config": [], "State": "up"}]),
    "refuses": whole({"message": "all is lost"}, 500),
}
"""What an engine answers instead of what it was asked."""

MUST_FAIL = frozenset(SOCKET) - {
    # Where the status alone tells, and where objects of no known shape are not ours.
    "answers no UTF-8",
    "answers half of its JSON",
    "answers wrong types",
}


def put_stand_in(folder: Path, verb: str, behaviour: str) -> str:
    """Make a `docker` that behaves badly for one verb and knows nothing of all others.

    It leaves a file HIT in the folder when it was asked for that.

    Returns:
        The PATH with it in front.
    """
    command = folder / "bin" / "docker"
    command.parent.mkdir(parents=True)
    command.write_text(
        "#!/bin/sh\n"
        f'case "$1 $2 " in "{verb} "*) echo >"{folder}/{HIT}"; {COMMAND[behaviour]} ;; esac\n'
        'case "$1 $2" in "ps --all") echo 1234567890ab ;; "network ls") echo 0123456789ab ;; esac\n'
    )
    command.chmod(0o755)
    return f"{command.parent}:{os.environ['PATH']}"


def marked_processes(mark: str) -> list[str]:
    """Command lines of living processes that were started with a mark in their environment."""
    return list(_marked(mark.encode()))


def _marked(mark: bytes) -> Iterator[str]:
    for process in Path("/proc").iterdir():
        if not process.name.isdecimal() or int(process.name) == os.getpid():
            continue
        try:
            if mark in (process / "environ").read_bytes():
                yield (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue  # it has ended, or is not ours
