"""Records reach whoever reads the channel, whatever a script does to its output."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.probe.site.orchestrate_probe.channel import MAX_QUEUED, Channel
from orchestrator.probe.site.orchestrate_probe.encoding import MAX_BYTES, frame, to_json
from tests.unit.probe.stand import both, run

STARTED_AND_ENDED = [{"event": "interpreter_started"}, {"event": "process_ended"}]

REDIRECTED = """
import os
null = os.open(os.devnull, os.O_WRONLY)
os.dup2(null, 1)
os.dup2(null, 2)
print("nobody hears this")
"""
CLOSED = "import os; os.close(1); os.close(2)"
ALL_CLOSED = "import os; os.closerange(3, 65536)"
NUMBER_TAKEN = """
import os
for fd in range(3, 1024):
    try:
        os.close(fd)
    except OSError:
        pass
files = [os.open(f"{os.environ['FOLDER']}/{n}", os.O_WRONLY | os.O_CREAT) for n in range(1000)]
"""
FLOODED = "print('x' * 70_000 + '\\n' * 10_000)"
PARTIAL = "import sys; sys.stdout.write('50%|###   '); sys.stdout.flush()"


@pytest.fixture
def pipe() -> Iterator[tuple[int, str]]:
    """The end that reads, which does not block, and the path of the one that writes."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, f"/proc/self/fd/{writing}"
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(
    "script",
    [REDIRECTED, CLOSED, ALL_CLOSED, NUMBER_TAKEN, FLOODED, PARTIAL],
    ids=["redirected", "closed", "all closed", "number taken", "flooded", "partial"],
)
def test_records_come_through_and_output_is_as_ever(tmp_path: Path, script: str) -> None:
    without, with_probe = both("-c", script, env={"FOLDER": str(tmp_path)})
    events = [{"event": each.event} for each in with_probe.channel.records]
    assert (with_probe.seen, events) == (without.seen, STARTED_AND_ENDED)
    assert not any(path.stat().st_size for path in tmp_path.iterdir())


def test_without_a_channel_they_go_to_the_output_that_the_interpreter_had(tmp_path: Path) -> None:
    script = "import os; print('heard', flush=True); os.close(1)"
    outcome = run("-c", script, env={"ORCHESTRATE_PROBE_CHANNEL": str(tmp_path / "not" / "there")})
    lines = outcome.stdout.split("\n")
    assert [lines[1], lines[3]] == ["heard", ""]
    records = [json.loads(line.lstrip("\x1e")) for line in (lines[0], lines[2])]
    assert [each["event"] for each in records] == ["interpreter_started", "process_ended"]


def test_with_nowhere_to_go_nothing_happens(tmp_path: Path) -> None:
    script = "import os, sys; sys.exit(7)"
    shell = 'exec "$0" -c "$1" >&-'
    os_run = [
        "-c",
        f"import os; os.execv('/bin/sh', ['sh', '-c', {shell!r}, os.sys.executable, {script!r}])",
    ]
    without, with_probe = both(*os_run, env={"ORCHESTRATE_PROBE_CHANNEL": str(tmp_path / "no")})
    assert with_probe.code == without.code == 7


def test_a_full_pipe_is_not_waited_for_and_nothing_is_torn(pipe: tuple[int, str]) -> None:
    reading, path = pipe
    channel = Channel(path)
    frames = [frame({"number": number, "padding": "x" * 3000}) for number in range(60)]
    for each in frames:
        channel.write(each)
    received = b""
    while True:
        try:
            received += os.read(reading, 65536)
        except BlockingIOError:
            if received == b"".join(frames):
                break
            channel.pump()
    assert channel.num_dropped == 0


def test_what_nobody_reads_is_dropped_and_counted(pipe: tuple[int, str]) -> None:
    _, path = pipe
    channel = Channel(path)
    capacity = fcntl.fcntl(channel.fd, fcntl.F_GETPIPE_SZ) // 4096
    for number in range(capacity + MAX_QUEUED + 7):
        channel.write(frame({"number": number, "padding": "x" * 5000}))
    channel.drain(0.05)
    assert channel.num_dropped == 7


def test_a_reader_that_is_gone_is_nothing_to_fail_at(pipe: tuple[int, str]) -> None:
    reading, path = pipe
    channel = Channel(path)
    spare = os.dup(reading)
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)
    os.close(spare)
    channel.write(frame({"event": "x"}))
    channel.drain(1.0)


@pytest.mark.parametrize(
    ("fields", "kept"),
    [
        ({"text": "y" * 100_000, "event": "x"}, "event"),
        ({"list": ["y" * 100] * 1000, "event": "x"}, "event"),
        ({"map": {f"n{number}": "y" * 40 for number in range(1000)}, "event": "x"}, "event"),
        ({"text": "\u2028\U0001f600" * 4000, "event": "x"}, "event"),
    ],
)
def test_a_record_that_is_too_long_loses_of_its_longest_value(
    fields: dict[str, object], kept: str
) -> None:
    framed = frame(fields)
    assert len(framed) <= MAX_BYTES
    assert json.loads(framed[1:])[kept] == "x"


def test_json_is_what_the_standard_library_makes_of_it_on_one_line() -> None:
    value = {
        "a": [1, -2.5, True, False, None, '\n\r\x1b[31m\x1e"\\ ü \u2028'],
        "b": {"c": (1e300,)},
    }
    assert to_json(value) == json.dumps(value, separators=(",", ":"))
    numbers = [[7, -7, 2**70], [7, True], [7, 0.5], (7,), []]
    assert to_json(numbers) == json.dumps(numbers, separators=(",", ":"))
    assert to_json([float("nan"), float("inf"), -float("inf"), "\udcff"]) == '[null,null,null,"?"]'
