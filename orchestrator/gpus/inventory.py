"""What a machine has of GPUs and of their MIG slices, in the words of its driver. Pure."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

DEFAULT_COMPUTE_MODE = "Default"


class Slice(Struct, frozen=True):
    """One MIG slice of a GPU: what CUDA can use, memory and engines of its own.

    Attributes:
        uuid: `MIG-…`.
        profile: what it was cut as, such as `3g.20gb`, or `1c.3g.20gb` for a part of one.
        index: counts the slices of one GPU.
        gpu_instance: the driver's number of what holds the memory; None where it is not told.
        compute_instance: its number within that.
        memory_bytes: of its own; None where it is not told.
    """

    uuid: str
    profile: str
    index: int
    gpu_instance: int | None = None
    compute_instance: int | None = None
    memory_bytes: int | None = None

    def __str__(self) -> str:
        return f"{self.uuid} ({self.profile})"


class Gpu(Struct, frozen=True):
    """One GPU.

    Attributes:
        index: as the driver counts, which can change when the machine starts anew.
        uuid: `GPU-…`, which does not change.
        name: what it is sold as.
        memory_bytes: None where it has none of its own (it uses the machine's).
        has_mig: cut into slices, or ready to be: it cannot be used whole.
        compute_mode: `Default`, `Exclusive_Process` or `Prohibited`.
        driver_version: of the machine's driver, the same for all; empty where it is not told.
        slices: in the order of their indexes.
    """

    index: int
    uuid: str
    name: str
    memory_bytes: int | None = None
    has_mig: bool = False
    compute_mode: str = DEFAULT_COMPUTE_MODE
    driver_version: str = ""
    slices: tuple[Slice, ...] = ()

    def __str__(self) -> str:
        memory = "" if self.memory_bytes is None else f", {self.memory_bytes / 1024**3:.0f} GiB"
        mode = "" if self.compute_mode == DEFAULT_COMPUTE_MODE else f", {self.compute_mode}"
        mig = ", MIG" if self.has_mig else ""
        slices = f" with slices {', '.join(map(str, self.slices))}" if self.slices else ""
        return f"{self.index}: {self.uuid} ({self.name}{memory}{mode}{mig}){slices}"


Inventory = Callable[[], tuple[Gpu, ...]]
"""Asks for the machine's GPUs, in the order of their indexes. Raises GpuUnavailable."""
