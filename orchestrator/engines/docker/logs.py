"""Reading the logs of many containers through `docker logs`, with bounds on everything.

One process per node, one thread and one selector for all of them. The engine puts its own
time in front of each line, which is what deadlines are measured with: the payload's own
clock is not believed.
"""

from __future__ import annotations

import errno
import os
import selectors
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import BinaryIO

from orchestrator.engines.base import OnLog
from orchestrator.engines.docker.stamps import StampedLines
from orchestrator.engines.lines import CHUNK_BYTES
from orchestrator.errors import EngineFailed, EngineUnavailable
from orchestrator.loglines import LogEnd
from orchestrator.state import ObservedNode

COPY_DEADLINE_S = 300.0
"""For one node's whole log, on either way to read."""

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

    def close(self) -> None:
        """End the process, if it has not ended, and reap it."""
        self._process.kill()
        self._process.wait()
        self.output.close()


def follow(
    prefix: Sequence[str], nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event
) -> None:
    """Hand over the nodes' lines as they come, until all have ended or `stop` is set."""
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
                    read(prefix, stream.node, on_log, skip=stream.num_lines)
                    on_log(LogEnd(stream.node.node_rank))
    finally:
        selector.close()
        for stream in streams:
            stream.close()


def read(prefix: Sequence[str], node: ObservedNode, on_log: OnLog, *, skip: int = 0) -> None:
    """Hand over everything one node has written so far, past its first `skip` lines."""
    stream = _Stream(prefix, node, follow=False)
    try:
        while stream.pump(on_log, skip=skip):
            pass
    finally:
        stream.close()


def copy(prefix: Sequence[str], node: ObservedNode, file: BinaryIO) -> None:
    """Have docker write one node's whole output into `file`.

    Raises:
        EngineUnavailable: docker was not done by COPY_DEADLINE_S.
        EngineFailed: docker could not hand it over.
        OSError: the disk is full.
    """
    try:
        done = subprocess.run(
            [*prefix, "logs", node.id],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=COPY_DEADLINE_S,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired as exc:
        raise EngineUnavailable(
            f"docker did not hand over the log of {node.name} within {COPY_DEADLINE_S:g} s"
        ) from exc
    if done.returncode == 0:
        return
    if shutil.disk_usage(Path(file.name).parent).free < _MIN_FREE_BYTES:
        # docker can only say that a write failed; why is for the disk to tell.
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file.name)
    raise EngineFailed(f"docker could not hand over the log of {node.name}")
