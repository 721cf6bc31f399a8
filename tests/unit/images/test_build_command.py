"""Running a program: streamed, bounded, under a deadline, and nothing left behind."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from orchestrator.images.command import Limits, Outcome, stream


def _python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_lines_of_both_streams_come_as_they_are_said() -> None:
    said: list[str] = []
    code = "import sys; print('one', flush=True); print('two', file=sys.stderr); sys.exit(3)"

    outcome = stream(_python(code), Limits(30), said.append)

    assert outcome == Outcome(3, ("one", "two"))
    assert said == ["one", "two"]


def test_hostile_bytes_are_made_printable_and_bounded() -> None:
    said: list[str] = []
    code = (
        "import sys; w = sys.stdout.buffer.write; "
        r"w(b'\x1b[2Jgone\x1b[0m\x07\x1b]0;t\n\xff\xfe\nhalf\rline\n'); "
        r"w(b'x' * 10000 + b'\nno newline')"
    )

    stream(_python(code), Limits(30), said.append)

    assert said[:4] == ["gone  ]0;t", "��", "half", "line"]
    assert {len(line) <= 4000 for line in said} == {True}
    assert said[-1] == "no newline"


def test_variables_are_added() -> None:
    code = "import os; print(os.environ['ADDED'], 'PATH' in os.environ)"

    outcome = stream(_python(code), Limits(30), lambda _line: None, {"ADDED": "yes"})

    assert outcome.lines == ("yes True",)


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _is_gone(pid: int) -> bool:
    """True once a killed process is gone; the kernel may take a moment."""
    until = time.monotonic() + 2
    while _is_alive(pid) and time.monotonic() < until:
        time.sleep(0.01)
    return not _is_alive(pid)


_WITH_CHILD = (
    "import os, signal, subprocess, sys, time\n"
    "child = subprocess.Popen(['sleep', '600'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)\n"
)


def test_a_deadline_ends_the_program_and_its_children() -> None:
    started = time.monotonic()

    outcome = stream(_python(_WITH_CHILD), Limits(1.5), lambda _line: None)

    assert outcome.timed_out
    assert not outcome.ok
    assert time.monotonic() - started < 8
    assert _is_gone(int(outcome.lines[0]))


def test_a_child_that_keeps_the_output_open_does_not_outlive_the_deadline() -> None:
    code = "import subprocess; print(subprocess.Popen(['sleep', '600']).pid)"

    outcome = stream(_python(code), Limits(1.5), lambda _line: None)

    assert outcome.timed_out
    assert _is_gone(int(outcome.lines[0]))


def test_silence_at_the_start_has_a_deadline_of_its_own() -> None:
    outcome = stream(["sleep", "600"], Limits(600, first_output_s=0.5), lambda _line: None)

    assert outcome.timed_out
    talking = _python("import time; print('x', flush=True); time.sleep(2)")
    assert stream(talking, Limits(600, first_output_s=1.5), lambda _line: None).ok


def _children() -> set[int]:
    """Process ids of this process' children, zombies included."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended meanwhile
            continue
        if int(fields[1]) == os.getpid():
            found.add(int(stat.parent.name))
    return found


def test_an_exception_on_the_way_leaves_no_process() -> None:
    pids: list[int] = []

    def interrupt(line: str) -> None:
        pids.append(int(line))
        raise KeyboardInterrupt

    before = _children()
    with pytest.raises(KeyboardInterrupt):
        stream(_python(_WITH_CHILD), Limits(60), interrupt)

    assert _is_gone(pids[0])
    assert _children() == before  # other tests may have left servers of theirs, such as forkserver


def test_a_missing_program_is_told() -> None:
    with pytest.raises(FileNotFoundError):
        stream(["no-such-program-here"], Limits(1), lambda _line: None)
