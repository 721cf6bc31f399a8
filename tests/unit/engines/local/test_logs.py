"""Logs of the embedded engine: every byte, each line's time, bounded memory."""

from __future__ import annotations

import threading
import tracemalloc
from pathlib import Path

import pytest

from orchestrator.engines.local import logs
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.engines.local.logs import LogSource
from orchestrator.engines.local.supervisor import EXIT_FILE, INDEX_ENTRY, INDEX_FILE, LOG_FILE
from orchestrator.errors import EngineFailed
from orchestrator.loglines import LINE_BYTES, LogEnd, LogLine
from tests.waiting import wait_until

from .local_node import python_spec, start, wait_for_end


def write_log(folder: Path, chunks: list[tuple[float, bytes]], *, unindexed: bytes = b"") -> None:
    """An ended node's log, as a supervisor leaves it."""
    log = b""
    index = b""
    for at_s, chunk in chunks:
        log += chunk
        index += INDEX_ENTRY.pack(len(log), at_s)
    (folder / LOG_FILE).write_bytes(log + unindexed)
    (folder / INDEX_FILE).write_bytes(index)
    (folder / EXIT_FILE).write_text("{}")


def read(folder: Path) -> list[LogLine | LogEnd]:
    found: list[LogLine | LogEnd] = []
    logs.read(LogSource(5, folder), found.append)
    return found


def test_a_line_bears_the_time_of_its_last_byte(tmp_path: Path) -> None:
    write_log(tmp_path, [(1.0, b"a\nb"), (2.0, b"c"), (3.0, b"d\n\ne"), (4.0, b"f")])
    assert read(tmp_path) == [
        LogLine(5, 1.0, b"a"),
        LogLine(5, 3.0, b"bcd"),
        LogLine(5, 3.0, b""),
        LogLine(5, 4.0, b"ef"),
        LogEnd(5),
    ]


def test_a_long_line_comes_in_marked_pieces(tmp_path: Path) -> None:
    write_log(tmp_path, [(1.0, b"x" * LINE_BYTES), (2.0, b"y" * 10 + b"\nz\n")])
    assert read(tmp_path) == [
        LogLine(5, 2.0, b"x" * LINE_BYTES),
        LogLine(5, 2.0, b"y" * 10, continued=True),
        LogLine(5, 2.0, b"z"),
        LogEnd(5),
    ]


def test_bytes_without_a_time_are_not_lost(tmp_path: Path) -> None:
    write_log(tmp_path, [(1.0, b"a\n")], unindexed=b"b\nc")
    mtime = (tmp_path / LOG_FILE).stat().st_mtime
    assert read(tmp_path) == [
        LogLine(5, 1.0, b"a"),
        LogLine(5, mtime, b"b"),
        LogLine(5, mtime, b"c"),
        LogEnd(5),
    ]


@pytest.mark.parametrize(
    "index",
    [
        b"",
        b"\0" * 7,
        INDEX_ENTRY.pack(2**60, 1.0),
        INDEX_ENTRY.pack(2, 1.0) + INDEX_ENTRY.pack(0, 2.0),
        INDEX_ENTRY.pack(2, 1.0) + b"\xff" * 3,
    ],
)
def test_a_damaged_index_loses_no_line(tmp_path: Path, index: bytes) -> None:
    write_log(tmp_path, [(1.0, b"a\nb\n")])
    (tmp_path / INDEX_FILE).write_bytes(index)
    assert [each.text for each in read(tmp_path) if isinstance(each, LogLine)] == [b"a", b"b"]


def test_every_byte_is_kept(engine: LocalEngine, tmp_path: Path) -> None:
    code = "import os; [os.write(1 + i % 2, bytes(range(256)) * (1 + i)) for i in range(60)]"
    (node,) = start(engine, python_spec(tmp_path, code))
    wait_for_end(engine)
    engine.save_log(node, tmp_path / "saved.log")

    assert (tmp_path / "saved.log").read_bytes() == b"".join(
        bytes(range(256)) * (1 + i) for i in range(60)
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root", "saved.log"]


def test_a_large_log_needs_little_memory(tmp_path: Path) -> None:
    chunk = b"x" * 65_535 + b"\n"
    with (tmp_path / LOG_FILE).open("wb") as log, (tmp_path / INDEX_FILE).open("wb") as index:
        for number in range(1600):
            log.write(chunk)
            index.write(INDEX_ENTRY.pack((number + 1) * len(chunk), 1.0))
    (tmp_path / EXIT_FILE).write_text("{}")
    num_bytes = 0

    def count(each: LogLine | LogEnd) -> None:
        nonlocal num_bytes
        num_bytes += len(each.text) + 1 if isinstance(each, LogLine) else 0

    tracemalloc.start()
    logs.follow([LogSource(0, tmp_path)], count, threading.Event())
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert num_bytes == 1600 * 65_536  # 100 MiB
    assert peak_bytes < 2 * 1024 * 1024


def test_following_ends_when_the_node_is_removed(engine: LocalEngine, tmp_path: Path) -> None:
    code = "import time; print('here', flush=True); time.sleep(1000)"
    nodes = start(engine, python_spec(tmp_path, code))
    found: list[LogLine | LogEnd] = []
    follower = threading.Thread(
        target=engine.follow_logs, args=(nodes, found.append, threading.Event()), daemon=True
    )
    follower.start()
    wait_until(lambda: len(found) == 1)

    engine.remove_nodes(nodes)
    follower.join(timeout=10)

    assert [each.text if isinstance(each, LogLine) else None for each in found] == [b"here", None]


def test_what_the_reader_raises_is_not_taken_for_the_engine_s(
    engine: LocalEngine, tmp_path: Path
) -> None:
    nodes = start(engine, python_spec(tmp_path, "print('here')"))
    wait_for_end(engine)

    def full(each: LogLine | LogEnd) -> None:
        raise BrokenPipeError(32, "Broken pipe")

    with pytest.raises(BrokenPipeError):
        engine.follow_logs(nodes, full, threading.Event())
    with pytest.raises(BrokenPipeError):
        engine.read_logs(nodes, full)


def test_the_log_of_a_removed_node_is_gone(engine: LocalEngine, tmp_path: Path) -> None:
    (node,) = start(engine, python_spec(tmp_path, "print('here')"))
    engine.remove_nodes([node])
    found: list[LogLine | LogEnd] = []
    engine.read_logs([node], found.append)

    with pytest.raises(EngineFailed) as refused:
        engine.save_log(node, tmp_path / "saved.log")

    assert str(refused.value) == "the log of node lab-node-0 went with the node"
    assert found == [LogEnd(0)]
    assert not (tmp_path / "saved.log").exists()
