"""The GPUs of this machine, as its `nvidia-smi` tells of them.

NVML's own binding would be one more dependency, and would ask within this process: a driver
that hangs would take it along. `nvidia-smi` comes with every driver and can be left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from contextlib import suppress
from typing import IO

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.inventory import Gpu
from orchestrator.gpus.listing import (
    DETAILS,
    LIST,
    QUERY,
    USE_CPU,
    parse_query,
    refusal,
    with_slices,
)

DEADLINE_S = 30.0
"""Without persistence mode the driver wakes one GPU after the other, a few seconds each."""

_MAX_BYTES = 8 * 1024**2
"""The XML is the longest: some 50 kB a GPU."""


def read_inventory(deadline_s: float = DEADLINE_S) -> tuple[Gpu, ...]:
    """Ask `nvidia-smi` for the GPUs of this machine, and for their slices where it has some.

    Raises:
        GpuUnavailable: there is no driver or no GPU, no answer within `deadline_s`, or one
            that cannot be read.
    """
    ends_at_s = time.monotonic() + deadline_s

    def asked(*args: str) -> str:
        return ask(args, max(0.0, ends_at_s - time.monotonic()), of_s=deadline_s)

    gpus = parse_query(asked(*QUERY))
    if not any(gpu.has_mig for gpu in gpus):
        return gpus
    return with_slices(gpus, asked(*LIST), asked(*DETAILS))


def ask(args: tuple[str, ...], deadline_s: float = DEADLINE_S, *, of_s: float = 0.0) -> str:
    """Run `nvidia-smi` with these arguments; what it printed.

    Args:
        args: the arguments.
        deadline_s: how long it may take.
        of_s: the whole time that it is a part of, which an error then names.

    Raises:
        GpuUnavailable: there is no driver, no answer by then, or it failed.
    """
    import tempfile  # only who asks for GPUs pays for it

    with tempfile.TemporaryFile() as out:
        code = _run(("nvidia-smi", *args), out, deadline_s, of_s or deadline_s)
        out.seek(0)
        text = out.read(_MAX_BYTES).decode(errors="replace")
    if code != 0:
        raise refusal(code, text)
    return text


def _run(argv: tuple[str, ...], out: IO[bytes], deadline_s: float, of_s: float) -> int:
    # Output goes to a file: a pipe could be held open by what a killed nvidia-smi leaves.
    try:
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as exc:
        raise GpuUnavailable(
            f"this machine has no NVIDIA driver: nvidia-smi cannot be run ({_reason(exc)})",
            fix=f"install the driver, or {USE_CPU}",
        ) from exc
    try:
        return child.wait(timeout=deadline_s)
    except subprocess.TimeoutExpired as exc:
        raise GpuUnavailable(
            f"nvidia-smi did not answer within {of_s:g} s",
            fix="see whether the driver hangs (`dmesg`); a GPU that fell off its bus does that",
        ) from exc
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Kill it with all it started; one that the driver holds in the kernel is not waited for."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        child.wait(timeout=1.0)


def _reason(exc: OSError) -> str:
    return (exc.strerror or "not executable").lower()
