"""The GPUs of this machine, as `nvidia-smi` lists them.

NVML's own binding would be one more dependency for five values; `nvidia-smi` comes with
every driver.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from orchestrator.errors import GpuUnavailable

DEADLINE_S = 30.0
"""Without persistence mode the driver wakes one GPU after the other, a few seconds each."""

_QUERY = (
    "nvidia-smi",
    "--query-gpu=index,uuid,name,memory.total,mig.mode.current",
    "--format=csv,noheader,nounits",
)
_MAX_BYTES = 1024**2
_UUID = re.compile(r"GPU-[0-9A-Za-z-]{1,64}", re.ASCII)
_USE_CPU = "use gpu.mode: cpu where there is no GPU"


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU. `memory_bytes` is None where it has none of its own (it uses the machine's)."""

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None
    has_mig: bool = False  # cut into slices: it cannot be used whole

    def __str__(self) -> str:
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / 1024**3:.0f} GiB"
        return f"{self.index}: {self.uuid} ({self.name}{memory}{', MIG' if self.has_mig else ''})"


Inventory = Callable[[], tuple[Gpu, ...]]
"""Asks for the machine's GPUs, in the order of their indexes. Raises GpuUnavailable."""


def read_inventory(deadline_s: float = DEADLINE_S) -> tuple[Gpu, ...]:
    """Ask `nvidia-smi` for the GPUs of this machine.

    Raises:
        GpuUnavailable: there is no driver or no GPU, no answer within `deadline_s`, or one
            that cannot be read.
    """
    import tempfile  # only who asks for GPUs pays for it

    with tempfile.TemporaryFile() as out:
        code = _run(out, deadline_s)
        out.seek(0)
        text = out.read(_MAX_BYTES).decode(errors="replace")
    if code != 0:
        raise _refusal(code, text)
    return parse_inventory(text)


def _run(out: IO[bytes], deadline_s: float) -> int:
    # Output goes to a file: a pipe could be held open by what a killed nvidia-smi leaves.
    try:
        child = subprocess.Popen(
            _QUERY,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except OSError as exc:
        raise GpuUnavailable(
            f"this machine has no NVIDIA driver: nvidia-smi cannot be run ({_reason(exc)})",
            fix=f"install the driver, or {_USE_CPU}",
        ) from exc
    try:
        return child.wait(timeout=deadline_s)
    except subprocess.TimeoutExpired as exc:
        raise GpuUnavailable(
            f"nvidia-smi did not answer within {deadline_s:g} s",
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


def _refusal(code: int, text: str) -> GpuUnavailable:
    if "no devices were found" in text.lower():
        return _no_gpu()
    said = " ".join(text.split())[:300].rstrip(".") or f"exit code {code}"
    return GpuUnavailable(
        f"nvidia-smi failed: {said}", fix=f"mend or update the driver, or {_USE_CPU}"
    )


def _no_gpu() -> GpuUnavailable:
    return GpuUnavailable(
        "this machine has an NVIDIA driver and no GPU that it can use", fix=_USE_CPU
    )


def parse_inventory(text: str) -> tuple[Gpu, ...]:
    """What `nvidia-smi` printed, in the order of the indexes.

    Raises:
        GpuUnavailable: it lists no GPU, or is not such a list.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if lines in ([], ["No devices were found"]):
        raise _no_gpu()
    gpus = sorted(map(_gpu, lines), key=lambda gpu: gpu.index)
    if len({gpu.uuid for gpu in gpus}) < len(gpus) or len({g.index for g in gpus}) < len(gpus):
        raise _garbage("the same GPU twice")
    return tuple(gpus)


def _gpu(line: str) -> Gpu:
    cells = [cell.strip() for cell in line.split(",")]
    if len(cells) != 5:
        raise _garbage(line)
    index, uuid, name, memory_mib, mig = cells
    if not re.fullmatch(r"[0-9]{1,4}", index) or not _UUID.fullmatch(uuid):
        raise _garbage(line)
    # What a GPU does not have is `[N/A]` or `[Not Supported]`, depending on the driver.
    memory = int(memory_mib) * 1024**2 if re.fullmatch(r"[0-9]{1,9}", memory_mib) else None
    return Gpu(int(index), uuid, name, memory, mig == "Enabled")


def _garbage(said: str) -> GpuUnavailable:
    shown = " ".join(said.split())[:100]
    return GpuUnavailable(
        f"nvidia-smi printed what is no list of GPUs: {shown!r}",
        fix="see whether the `nvidia-smi` on your PATH is the driver's own",
    )
