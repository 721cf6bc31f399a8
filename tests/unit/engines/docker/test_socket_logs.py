"""Logs over the socket: nothing lost, nothing told twice, and no engine waited for in vain."""

from __future__ import annotations

import errno
import io
import threading
import time
from functools import partial
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.endpoint import by_socket
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.socket_reader import SocketReader
from orchestrator.errors import EngineFailed, EngineUnavailable
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.state.spec import NodeSpec

from .stand_in_engine import (
    AT_S,
    STAMP,
    StandInEngine,
    chunked,
    frame,
    frames,
    hang_after,
    head,
    raw,
    stand_in_engine,
    whole,
)

FOLLOW = "GET /containers/c{}/logs?stdout=1&stderr=1&timestamps=1&follow=1"
TAIL = "GET /containers/c{}/logs?stdout=1&stderr=1&timestamps=1&tail=1"
READ = "GET /containers/c{}/logs?stdout=1&stderr=1&timestamps=1"
COPY = "GET /containers/c{}/logs?stdout=1&stderr=1"
CHUNKED = head(200, "Transfer-Encoding: chunked")


def node(rank: int = 0, status: NodeStatus = NodeStatus.EXITED) -> ObservedNode:
    spec = NodeSpec(node_rank=rank, num_ranks=1, name=f"p-node-{rank}", command=("x",), env=())
    return ObservedNode(id=f"c{rank}", spec=spec, run_id="r", spec_hash="h", status=status)


def line(text: bytes, rank: int = 0) -> LogLine:
    return LogLine(rank, AT_S, text)


def stamped(*records: bytes) -> bytes:
    return frames([STAMP + record for record in records])


def follow(engine: StandInEngine, *nodes: ObservedNode) -> list[LogLine | LogEnd]:
    found: list[LogLine | LogEnd] = []
    SocketReader(engine.path, deadlines=Deadlines(0.5)).follow_logs(
        nodes, found.append, threading.Event()
    )
    return found


def read(engine: StandInEngine, *nodes: ObservedNode) -> list[LogLine | LogEnd]:
    found: list[LogLine | LogEnd] = []
    SocketReader(engine.path).read_logs(nodes, found.append)
    return found


def test_both_outputs_arrive_as_they_were_written() -> None:
    log = (
        stamped(b"one\n"),
        frame(STAMP + b"two\n", source=2) + frame(b"the engine complains", source=3),
        stamped(b"three\n", b"rest"),
    )
    answers = {
        FOLLOW.format(0): chunked(*log),
        TAIL.format(0): chunked(stamped(b"rest")),
        READ.format(0): chunked(*log),
    }
    expected = [line(b"one"), line(b"two"), line(b"three"), line(b"rest"), LogEnd(0)]
    with stand_in_engine(answers) as engine:
        assert follow(engine, node()) == expected
        assert engine.asked == [FOLLOW.format(0), TAIL.format(0)]
        assert read(engine, node()) == expected
        assert read(engine, node(status=NodeStatus.RUNNING)) == expected[:-1]


def test_a_last_line_that_the_follower_lost_is_read_again() -> None:
    answers = {
        FOLLOW.format(0): chunked(stamped(b"one\n", b"two\n")),
        TAIL.format(0): chunked(stamped(b"lost")),
        READ.format(0): chunked(stamped(b"one\n", b"two\n", b"lost")),
    }
    with stand_in_engine(answers) as engine:
        assert follow(engine, node()) == [line(b"one"), line(b"two"), line(b"lost"), LogEnd(0)]


def test_a_node_that_speaks_is_heard_while_another_is_silent() -> None:
    silent = hang_after(CHUNKED)
    speaking = chunked(stamped(b"here\n"))
    answers = {FOLLOW.format(0): silent, FOLLOW.format(1): speaking, TAIL.format(1): speaking}
    found: list[LogLine | LogEnd] = []
    stop = threading.Event()

    def take(item: LogLine | LogEnd) -> None:
        found.append(item)
        if item == LogEnd(1):
            stop.set()

    with stand_in_engine(answers) as engine:
        began_s = time.monotonic()
        # The deadline is for the beginning of an answer: a silent node may be followed for days.
        reader = SocketReader(engine.path, deadlines=Deadlines(0.2))
        threading.Timer(0.6, stop.set).start()
        reader.follow_logs([node(0)], found.append, stop)
        assert (found, time.monotonic() - began_s >= 0.6) == ([], True)
        stop.clear()
        reader.follow_logs([node(0), node(1)], take, stop)
    assert found == [line(b"here", 1), LogEnd(1)]


@pytest.mark.parametrize("status", [404, 409])
def test_a_log_that_is_gone_has_ended(status: int) -> None:
    gone = whole({"message": "No such container: c0"}, status)
    with stand_in_engine({"GET /containers/c0": gone}) as engine:
        assert follow(engine, node()) == [LogEnd(0)]
        assert read(engine, node()) == [LogEnd(0)]
        with pytest.raises(EngineFailed) as caught:
            SocketReader(engine.path).copy_log(node(), io.BytesIO())
    assert caught.value.what == "reading the log of p-node-0: the log went with the node"


BAD = {
    "a hang": (hang_after(), EngineUnavailable, "did not answer within 0.5 s"),
    "half a head": (hang_after(b"HTTP/1.1 2"), EngineUnavailable, "did not answer within 0.5 s"),
    "cut between frames": (
        chunked(stamped(b"one\n"), last=b""),
        EngineUnavailable,
        "closed the connection before it had answered",
    ),
    "cut in a frame": (
        chunked(stamped(b"one\n")[:-2]),
        EngineFailed,
        "is no Docker engine: it gave a log that ends within a frame",
    ),
    "no frames": (chunked(b"plain text of a terminal\n"), EngineFailed, "is no Docker engine"),
    "a 500": (whole({"message": "all is lost"}, 500), EngineFailed, "all is lost"),
    "nothing": (raw(), EngineUnavailable, "closed the connection"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_engine_ends_in_a_typed_error_and_in_time(name: str) -> None:
    script, error, why = BAD[name]
    with stand_in_engine({"GET ": script}) as engine:
        began_s = time.monotonic()
        with pytest.raises(error) as caught:
            follow(engine, node())
        assert time.monotonic() - began_s < 2.5
    assert caught.value.what.startswith("following logs: ")
    assert why in caught.value.what


IMPATIENT = partial(SocketReader, deadlines=Deadlines(0.03))
"""Gives a log up after 0.3 s."""


def test_a_log_that_stops_coming_is_given_up() -> None:
    stuck = hang_after(CHUNKED + b"%x\r\n" % 100 + stamped(b"one\n"))
    with stand_in_engine({"GET ": stuck}) as engine:
        with pytest.raises(EngineUnavailable, match=r"log of p-node-0: .* within 0\.3 s"):
            IMPATIENT(engine.path).read_logs([node()], lambda _: None)
        with pytest.raises(EngineUnavailable, match=r"log of p-node-0: .* within 0\.3 s"):
            IMPATIENT(engine.path).copy_log(node(), io.BytesIO())


def test_who_reads_slowly_is_not_taken_for_an_engine_that_hangs() -> None:
    # More than one read takes in, so that there is a wait after the slow reader's pause.
    log = [stamped(b"x" * 60_000 + b"\n"), stamped(b"y" * 60_000 + b"\n"), stamped(b"end\n")]
    found = []

    def take(item: LogLine | LogEnd) -> None:
        found.append(item)
        time.sleep(0.2)

    with stand_in_engine({"GET ": chunked(*log)}) as engine:
        IMPATIENT(engine.path).read_logs([node()], take)
    assert found == [line(b"x" * 60_000), line(b"y" * 60_000), line(b"end"), LogEnd(0)]


def test_what_a_taker_raises_is_not_taken_for_the_engines_fault() -> None:
    def take(item: LogLine | LogEnd) -> None:
        raise BrokenPipeError(errno.EPIPE, "the reader of our output has gone")

    log = chunked(stamped(b"one\n"))
    with stand_in_engine({"GET ": log}) as engine:
        reader = SocketReader(engine.path)
        with pytest.raises(BrokenPipeError):
            reader.read_logs([node()], take)
        with pytest.raises(BrokenPipeError):
            reader.follow_logs([node()], take, threading.Event())


def test_a_kept_log_is_the_frames_contents(tmp_path: Path) -> None:
    raw_bytes = [b"one\n", b"\0\1\xff\n", b"", b"a" * 100_000, b"\nlast"]
    answers = {
        COPY.format(0): chunked(*(frame(each, 1 + i % 2) for i, each in enumerate(raw_bytes)))
    }
    with stand_in_engine(answers) as engine:
        ways = by_socket(engine.path, Deadlines())
        docker = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path, ways=ways)
        docker.save_log(node(), tmp_path / "node-0.log")
    assert (tmp_path / "node-0.log").read_bytes() == b"".join(raw_bytes)
    assert [path.name for path in tmp_path.iterdir()] == ["node-0.log"]


CUT = {
    "by the end of the connection": chunked(frame(b"one\n"), last=b""),
    "within a frame": chunked(frame(b"one\n"), frame(b"two\n")[:-1]),
    "by the engine's complaint": chunked(frame(b"one\n"), frame(b"disk I/O error\n", source=3)),
}


@pytest.mark.parametrize("how", CUT)
def test_half_a_log_is_not_kept_for_a_whole_one(how: str, tmp_path: Path) -> None:
    with stand_in_engine({COPY.format(0): CUT[how]}) as engine:
        ways = by_socket(engine.path, Deadlines())
        docker = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path, ways=ways)
        with pytest.raises((EngineFailed, EngineUnavailable)):
            docker.save_log(node(), tmp_path / "node-0.log")
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_is_full_is_the_files_error() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    with (
        stand_in_engine({COPY.format(0): chunked(frame(b"one\n"))}) as engine,
        pytest.raises(OSError, match="No space left") as caught,
    ):
        SocketReader(engine.path).copy_log(node(), Full())
    assert caught.value.errno == errno.ENOSPC


def test_a_hundred_nodes_take_one_thread() -> None:
    nodes = [replace(node(rank), id=f"c{rank}") for rank in range(100)]
    log = chunked(*(stamped(b"%d\n" % i) for i in range(20)))
    answers = {"GET /containers/": log} | {
        TAIL.format(rank): chunked(stamped(b"19\n")) for rank in range(100)
    }
    with stand_in_engine(answers) as engine:
        found: list[LogLine | LogEnd] = []
        threads: set[int] = set()

        def take(item: LogLine | LogEnd) -> None:
            found.append(item)
            threads.add(threading.get_ident())

        SocketReader(engine.path).follow_logs(nodes, take, threading.Event())
    assert threads == {threading.get_ident()}
    for rank in range(100):
        mine = [item for item in found if item.node_rank == rank]
        assert mine == [*(line(b"%d" % i, rank) for i in range(20)), LogEnd(rank)]
