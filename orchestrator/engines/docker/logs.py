"""Reading the logs of many containers through `docker logs`, with bounds on everything.

One process per node, one thread and one selector for all of them. The engine puts its own
time in front of each line, which is what deadlines are measured with: the payload's own
clock is not believed.
"""

from __future__ import annotations

import errno
import os
import select
import selectors
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import BinaryIO

from orchestrator.engines.base import OnLog
from orchestrator.engines.docker.child import end_session
from orchestrator.engines.docker.cli import is_missing, to_error
from orchestrator.engines.docker.stamps import StampedLines
from orchestrator.engines.lines import CHUNK_BYTES
from orchestrator.errors import EngineFailed, EngineUnavailable, LogGone
from orchestrator.loglines import LogEnd
from orchestrator.state.observed import ObservedContainer, ObservedNode

_MIN_FREE_BYTES = 64 * 1024


class _Stream:
    """One `docker logs` process and what it has handed over."""

    def __init__(self, prefix: Sequence[str], node: ObservedNode, *, follow: bool) -> None:
        self.node = node
        self.num_lines = 0
        self._lines = StampedLines(node.node_rank)
        read_end, write_end = os.pipe()
        self.output = open(read_end, "rb", buffering=0)  # noqa: SIM115  (closed by close)
        try:
            self._process = subprocess.Popen(
                [*prefix, "logs", "--timestamps", *(["--follow"] if follow else []), node.id],
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                start_new_session=True,
            )
        finally:
            os.close(write_end)

    def pump(self, on_log: OnLog, *, skip: int = 0) -> bool:
        """Read one chunk and hand over its lines past the first `skip`; False at the end."""
        chunk = self.output.read(CHUNK_BYTES)
        for line in self._lines.feed(chunk) if chunk else self._lines.finish():
            self.num_lines += 1
            if self.num_lines > skip:
                on_log(line)
        return bool(chunk)

    def has_more(self, *, within_s: float) -> bool:
        """Wait for what comes next, be it the end. Raises EngineUnavailable."""
        waiting = select.poll()
        waiting.register(self.output, select.POLLIN)
        if not waiting.poll(within_s * 1000):
            raise _silent(self.node, within_s)
        return True

    def expect_good_end(self, *, within_s: float) -> None:
        """Raise what docker gave as the reason if it failed, but not that the node is gone."""
        try:
            code = self._process.wait(timeout=within_s)
        except subprocess.TimeoutExpired as exc:
            raise _silent(self.node, within_s) from exc
        complaint = self._lines.complaint.decode(errors="replace")
        if code != 0 and not is_missing(complaint):
            raise to_error(complaint, f"reading the log of {self.node.name}")

    def close(self) -> None:
        """End the process, if it has not ended, with whatever it started."""
        end_session(self._process)
        self.output.close()


def follow(
    prefix: Sequence[str], nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event,
    *, bulk_s: float
) -> None:  # fmt: skip
    """Hand over the nodes' lines as they come, until all have ended or `stop` is set.

    `bulk_s` is the deadline for reading a whole log once more.
    """
    selector = selectors.DefaultSelector()
    streams = [_Stream(prefix, node, follow=True) for node in nodes]
    try:
        for stream in streams:
            selector.register(stream.output, selectors.EVENT_READ, stream)
        while selector.get_map() and not stop.is_set():
            for key, _ in selector.select(timeout=0.03):
                stream = key.data
                if not stream.pump(on_log):
                    selector.unregister(stream.output)
                    # A follower may lose an unterminated last line (moby#43860): read once more.
                    skip = stream.num_lines
                    read(prefix, stream.node, on_log, deadline_s=bulk_s, skip=skip)
                    on_log(LogEnd(stream.node.node_rank))
    finally:
        selector.close()
        for stream in streams:
            stream.close()


def read(
    prefix: Sequence[str], node: ObservedNode, on_log: OnLog, *, deadline_s: float, skip: int = 0
) -> None:
    """Hand over everything one node has written so far, past its first `skip` lines.

    Raises:
        EngineUnavailable: docker was silent for `deadline_s`.
        OrchestrateError: docker could not read the log; that it went with the node is no error.
    """
    stream = _Stream(prefix, node, follow=False)
    try:
        while stream.has_more(within_s=deadline_s) and stream.pump(on_log, skip=skip):
            pass
        stream.expect_good_end(within_s=deadline_s)
    finally:
        stream.close()


def _silent(node: ObservedContainer, deadline_s: float) -> EngineUnavailable:
    return EngineUnavailable(
        f"docker did not hand over the log of {node.name} within {deadline_s:g} s",
        fix="see whether the engine is overloaded or hangs (`docker info`)",
    )


def copy(
    prefix: Sequence[str], node: ObservedContainer, file: BinaryIO, *, deadline_s: float
) -> None:
    """Have docker write one node's whole output into `file`.

    Raises:
        EngineUnavailable: docker was not done by the deadline.
        LogGone: it went with the node.
        EngineFailed: docker could not hand it over.
        OSError: the disk is full.
    """
    child = subprocess.Popen(
        [*prefix, "logs", node.id],
        stdin=subprocess.DEVNULL,
        stdout=file,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        code = child.wait(deadline_s)
    except subprocess.TimeoutExpired as exc:
        raise _silent(node, deadline_s) from exc
    finally:
        end_session(child)
    if code == 0:
        return
    if shutil.disk_usage(Path(file.name).parent).free < _MIN_FREE_BYTES:
        # docker can only say that a write failed; why is for the disk to tell.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
    if _is_gone(prefix, node, deadline_s=deadline_s):
        raise LogGone(f"the log of {node.name} went with the node")
    raise EngineFailed(f"docker could not hand over the log of {node.name}")


def _is_gone(prefix: Sequence[str], node: ObservedContainer, *, deadline_s: float) -> bool:
    """Ask whether there is such a node: the words of `docker logs` are lost in its log."""
    inspect = [*prefix, "container", "inspect", "--format", "{{.Id}}", node.id]
    try:
        done = subprocess.run(inspect, capture_output=True, check=False, timeout=deadline_s)
    except subprocess.TimeoutExpired as exc:
        raise _silent(node, deadline_s) from exc
    return done.returncode != 0 and is_missing(done.stderr.decode(errors="replace"))
