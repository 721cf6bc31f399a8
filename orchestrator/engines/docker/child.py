"""A docker command as a child process: bounded in time and size, and nothing left of it."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

from orchestrator.engines.lines import CHUNK_BYTES

OUTPUT_BYTES = 64 * 1024 * 1024
"""What no output but a log's comes near; thousands of containers take a few megabytes."""


class EndlessOutput(Exception):
    """A command wrote more than OUTPUT_BYTES."""


def read_outputs(child: subprocess.Popen[bytes], deadline_s: float) -> tuple[bytes, bytes]:
    """Wait for the child's end; what it wrote to standard output and error.

    Raises:
        subprocess.TimeoutExpired: it had not ended by the deadline.
        EndlessOutput: it wrote too much.
    """
    give_up_at_s = time.monotonic() + deadline_s
    written = {pipe: bytearray() for pipe in (child.stdout, child.stderr) if pipe is not None}
    with selectors.DefaultSelector() as selector:
        for pipe, text in written.items():
            selector.register(pipe, selectors.EVENT_READ, text)
        while selector.get_map():
            left_s = give_up_at_s - time.monotonic()
            if left_s <= 0:
                raise subprocess.TimeoutExpired(child.args, deadline_s)
            for key, _ in selector.select(left_s):
                _take(selector, key)
    child.wait(max(give_up_at_s - time.monotonic(), 0.001))
    out, err = (bytes(text) for text in written.values())
    return out, err


def _take(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    chunk = os.read(key.fd, CHUNK_BYTES)
    if not chunk:
        selector.unregister(key.fileobj)
    key.data.extend(chunk)
    if len(key.data) > OUTPUT_BYTES:
        raise EndlessOutput


def end_session(child: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a command and of whatever it started, and let go of its pipes.

    To be called soon after its end: once nothing of its session is left, its id is free.
    """
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            pipe.close()
