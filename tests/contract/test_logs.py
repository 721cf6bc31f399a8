"""No byte of a node's output is lost, changed or told twice."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from orchestrator.engines.base import Engine
from orchestrator.errors import LogGone
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.observed import NodeStatus, ObservedNode

from .stand import FOREVER, Stand, follow_log, read_log

# Control characters, an escape sequence, a carriage return, a zero byte and two letters of
# more than one byte, in the words of printf. Docker keeps logs as JSON, so the bytes are UTF-8.
NOISE = r'\001\002\000\033[31m\r\t\303\251\342\202\254 \\ " ' + "x" * 491
NOISE_BYTES = b'\1\2\0\33[31m\r\t\303\251\342\202\254 \\ " ' + b"x" * 491
NUM_WRITES = 3001

# One write per turn, of a size that grows with the number; two line ends in three writes.
NOISY = f"""
i=0
while [ $i -lt {NUM_WRITES} ]; do
  case $((i % 3)) in
    0) printf '%d:{NOISE}' $i ;;
    1) printf '%d:{NOISE}\\n' $i ;;
    2) printf '\\n%d' $i ;;
  esac
  [ $i = 1500 ] && sleep 0.3
  i=$((i + 1))
done
"""


def noisy_output() -> bytes:
    forms = (b"%d:" + NOISE_BYTES.replace(b"%", b"%%"), b"%d:" + NOISE_BYTES + b"\n", b"\n%d")
    return b"".join(forms[i % 3] % i for i in range(NUM_WRITES))


def texts(found: Sequence[LogLine | LogEnd], node_rank: int) -> list[bytes]:
    """The lines of one node, with the pieces of long ones joined."""
    whole: list[bytes] = []
    for line in found:
        if isinstance(line, LogLine) and line.node_rank == node_rank:
            if line.continued:
                whole[-1] += line.text
            else:
                whole.append(line.text)
    return whole


def test_a_megabyte_of_noise_arrives_whole(stand: Stand, tmp_path: Path) -> None:
    expected = noisy_output()
    assert len(expected) > 1_000_000
    assert not expected.endswith(b"\n")
    desired = stand.gang(stand.project(), NOISY, NOISY)
    began_s = time.time()
    nodes = stand.apply(desired)

    followed = follow_log(stand.engine, nodes)
    ended = stand.wait_for(desired.project, NodeStatus.EXITED)
    read = read_log(stand.engine, ended)
    for node in ended:
        stand.engine.save_log(node, tmp_path / f"{node.node_rank}.log")

    for rank in (0, 1):
        assert (tmp_path / f"{rank}.log").read_bytes() == expected
        for found in (followed, read):
            assert texts(found, rank) == expected.split(b"\n")
            times = [
                line.at_s for line in found if isinstance(line, LogLine) and line.node_rank == rank
            ]
            assert all(earlier <= later for earlier, later in pairwise(times))
            assert began_s <= times[0]
            assert times[-1] <= time.time()
            assert [line for line in found if line == LogEnd(rank)] == [LogEnd(rank)]
            assert [line for line in found if line.node_rank == rank][-1] == LogEnd(rank)


def test_lines_bear_the_time_at_which_they_came(stand: Stand) -> None:
    desired = stand.gang(stand.project(), "echo one; sleep 0.6; echo two >&2")
    stand.apply(desired)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)

    one, two, end = read_log(stand.engine, nodes)

    assert isinstance(one, LogLine)
    assert isinstance(two, LogLine)
    assert (one.text, two.text, end) == (b"one", b"two", LogEnd(0))
    assert 0.5 < two.at_s - one.at_s < 5.0


def test_long_lines_arrive_whole_or_in_marked_pieces(stand: Stand) -> None:
    lengths = (8 * 1024, 16 * 1024, 80 * 1024, 200 * 1024 + 1, 3)
    script = "; ".join(f"head -c {n} /dev/zero | tr '\\0' {n % 10}; echo" for n in lengths)
    desired = stand.gang(stand.project(), script)
    stand.apply(desired)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)

    for found in (read_log(stand.engine, nodes), follow_log(stand.engine, nodes)):
        assert texts(found, 0) == [str(n % 10).encode() * n for n in lengths]
        assert all(len(line.text) <= 64 * 1024 for line in found if isinstance(line, LogLine))


def test_a_running_node_is_read_without_an_end(stand: Stand) -> None:
    desired = stand.gang(stand.project(), f"echo here; {FOREVER}", "echo gone")
    nodes = stand.apply(desired)
    stand.wait_for_log(nodes[:1], b"here")
    stand.wait_for_end(nodes[1])

    found = read_log(stand.engine, stand.engine.observe_nodes(desired.project))

    told = [(each.node_rank, each.text if isinstance(each, LogLine) else None) for each in found]
    assert told == [(0, b"here"), (1, b"gone"), (1, None)]


def test_following_ends_soon_after_it_is_told_to(stand: Stand) -> None:
    desired = stand.gang(stand.project(), f"echo here; {FOREVER}")
    nodes = stand.apply(desired)
    follower = Follower(stand.engine, nodes)
    follower.wait_for_first()
    began_s = time.monotonic()

    follower.stop.set()
    follower.thread.join(timeout=10)

    assert not follower.thread.is_alive()
    assert time.monotonic() - began_s < 5.0
    assert [each.text for each in follower.found if isinstance(each, LogLine)] == [b"here"]
    assert stand.engine.observe_nodes(desired.project) == nodes


class Follower:
    """Follows logs in a thread of its own until `stop` is set."""

    def __init__(self, engine: Engine, nodes: Sequence[ObservedNode]) -> None:
        self.found: list[LogLine | LogEnd] = []
        self.stop = threading.Event()
        self._first = threading.Event()
        self.thread = threading.Thread(
            target=engine.follow_logs, args=(nodes, self._take, self.stop), daemon=True
        )
        self.thread.start()

    def _take(self, line: LogLine | LogEnd) -> None:
        self.found.append(line)
        self._first.set()

    def wait_for_first(self) -> None:
        assert self._first.wait(20)


def test_the_log_of_a_node_that_was_removed_is_gone_and_leaves_no_file(
    stand: Stand, tmp_path: Path
) -> None:
    desired = stand.gang(stand.project(), "echo one")
    stand.apply(desired)
    [node] = stand.wait_for(desired.project, NodeStatus.EXITED)
    stand.engine.remove_nodes([node])

    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(LogGone):
        stand.engine.save_log(node, kept / "0.log")
    assert list(kept.iterdir()) == []
