"""Reading the logs of many containers over the engine's socket, with bounds on everything.

One connection per node, one thread and one selector for all of them. The engine puts its
own time in front of each record, which is what deadlines are measured with: the payload's
own clock is not believed.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from threading import Event
from typing import BinaryIO

from msgspec.structs import replace

from orchestrator.engines.base import OnLog
from orchestrator.engines.docker.frames import COMPLAINT, Frames, NotFrames, StampedRecords
from orchestrator.engines.docker.http_codec import Answer
from orchestrator.engines.docker.wire import OK, Errand, Wire, connected, no_engine, refusal
from orchestrator.errors import EngineFailed, LogGone
from orchestrator.loglines import LogEnd
from orchestrator.state.observed import ObservedContainer, ObservedNode

# Not found, or dead and about to be removed: its log went with it.
_GONE = frozenset({404, 409})

_REFUSAL_BYTES = 64 * 1024
_TURN_S = 0.03


class _Stream:
    """One log as it comes over a wire, frame by frame."""

    def __init__(self, wire: Wire, errand: Errand, target: str) -> None:
        self.wire = wire
        self.answer = Answer()
        self._errand = errand
        self._frames = Frames()
        self._refusal = b""
        wire.send(target)

    def frames(self, body: bytes) -> Iterator[tuple[int, bytes]]:
        """What a piece of the answer's body completes; nothing of a log that is gone."""
        if self.answer.status != OK:
            self._take_refusal(body)
            return
        with no_engine(self._errand):
            yield from self._frames.feed(body)
            if self.answer.is_whole and not self._frames.is_between:
                raise NotFrames("a log that ends within a frame")

    def rest(self) -> Iterator[tuple[int, bytes]]:
        """Wait for all frames until the log's end."""
        while not self.answer.is_whole:
            yield from self.frames(self.wire.receive(self.answer))

    def _take_refusal(self, body: bytes) -> None:
        self._refusal = (self._refusal + body)[:_REFUSAL_BYTES]
        if self.answer.is_whole and self.answer.status not in _GONE:
            raise refusal(self.answer.status, self._refusal, self._errand.doing)


class _Lines:
    """Turns one node's frames into lines; the first `skip` of them are not handed over."""

    def __init__(self, node: ObservedNode, on_log: OnLog, *, skip: int = 0) -> None:
        self.num_lines = 0
        self.last_record = b""
        self._records = StampedRecords(node.node_rank)
        self._on_log = on_log
        self._skip = skip

    def take(self, frames: Iterator[tuple[int, bytes]]) -> None:
        """Hand over the lines that these frames complete."""
        for source, record in frames:
            if source != COMPLAINT:
                self.last_record = record
                self._hand_over(record)

    def finish(self) -> None:
        """Hand over an unterminated last line."""
        self._hand_over(None)

    def _hand_over(self, record: bytes | None) -> None:
        lines = self._records.finish() if record is None else self._records.feed(record)
        for line in lines:
            self.num_lines += 1
            if self.num_lines > self._skip:
                self._on_log(line)


class _Followed:
    """One node whose log is followed."""

    def __init__(self, node: ObservedNode, stream: _Stream, on_log: OnLog) -> None:
        self.node = node
        self.stream = stream
        self.lines = _Lines(node, on_log)

    def pump(self) -> bool:
        """Hand over what has arrived; False at the log's end."""
        stream = self.stream
        self.lines.take(stream.frames(stream.wire.receive(stream.answer)))
        if stream.answer.is_whole:
            self.lines.finish()
        return not stream.answer.is_whole


def follow(
    errand: Errand, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event, *, bulk_s: float
) -> None:
    """Hand over the nodes' lines as they come, until all have ended or `stop` is set.

    Args:
        errand: whom to ask; its deadline is for each log's beginning.
        nodes: whose logs.
        on_log: gets the lines.
        stop: ends it.
        bulk_s: deadline for reading a whole log once more.

    Raises:
        EngineUnavailable: a log did not begin to come by the errand's deadline, or was cut.
    """
    give_up_at_s = time.monotonic() + errand.deadline_s
    with ExitStack() as stack, selectors.DefaultSelector() as selector:
        for node in nodes:
            wire = stack.enter_context(connected(errand))
            followed = _Followed(node, _Stream(wire, errand, _target(node, "follow=1")), on_log)
            selector.register(wire.client, selectors.EVENT_READ, followed)
        while selector.get_map() and not stop.is_set():
            for key, _ in selector.select(timeout=_TURN_S):
                if not key.data.pump():
                    selector.unregister(key.fileobj)
                    _conclude(replace(errand, deadline_s=bulk_s), key.data, on_log)
            if time.monotonic() > give_up_at_s:
                _expect_all_begun(errand, selector)


def _expect_all_begun(errand: Errand, selector: selectors.BaseSelector) -> None:
    followed = [key.data for key in selector.get_map().values()]
    if not all(each.stream.answer.status for each in followed):
        raise errand.late()


def _conclude(errand: Errand, followed: _Followed, on_log: OnLog) -> None:
    """Read once more if the follower lost the last words.

    Docker does lose a last line without a line end, more often than not (moby#43860; 13 of
    20 nodes on Docker 20.10). Its last record alone tells, without reading a long log again.
    """
    lines, node = followed.lines, followed.node
    if _last_record(errand, node) != lines.last_record:
        read(errand, node, on_log, skip=lines.num_lines)
    on_log(LogEnd(node.node_rank))


def _last_record(errand: Errand, node: ObservedNode) -> bytes:
    lines = _Lines(node, lambda _: None)
    with connected(errand) as wire:
        lines.take(_Stream(wire, errand, _target(node, "tail=1")).rest())
    return lines.last_record


def read(errand: Errand, node: ObservedNode, on_log: OnLog, *, skip: int = 0) -> None:
    """Hand over everything one node has written so far, past its first `skip` lines."""
    lines = _Lines(node, on_log, skip=skip)
    with connected(errand) as wire:
        lines.take(_Stream(wire, errand, _target(node)).rest())
    lines.finish()


def copy(errand: Errand, node: ObservedContainer, file: BinaryIO) -> None:
    """Write one node's whole output into `file`.

    Raises:
        EngineUnavailable: the engine was not done by the errand's deadline.
        LogGone: it went with the node.
        EngineFailed: the engine cannot read it.
        OSError: as the file does.
    """
    with connected(errand) as wire:
        stream = _Stream(wire, errand, _target(node, stamped=False))
        for source, record in stream.rest():
            if source == COMPLAINT:
                raise EngineFailed(f"{errand.doing}: {record.decode(errors='replace').strip()}")
            file.write(record)
    if stream.answer.status != OK:
        raise LogGone(f"{errand.doing}: the log went with the node")


def _target(node: ObservedContainer, *options: str, stamped: bool = True) -> str:
    query = ("stdout=1", "stderr=1", *(["timestamps=1"] if stamped else []), *options)
    return f"/containers/{node.id}/logs?{'&'.join(query)}"
