"""Stands in for CUDA's driver library: it knows the UUIDs of devices, and needs none."""

from __future__ import annotations

import uuid
from typing import Any


class StandInDriver:
    """As `ctypes.CDLL("libcuda.so.1")`, of a process that sees these devices, in this order."""

    def __init__(self, *uuids: str) -> None:
        self._uuids = uuids

    def cuDeviceGet(self, device: Any, ordinal: int) -> int:  # noqa: N802
        """Write the handle of a device; 101 is CUDA_ERROR_INVALID_DEVICE."""
        device._obj.value = 40 + ordinal
        return 0 if ordinal < len(self._uuids) else 101

    def cuDeviceGetUuid_v2(self, raw: Any, device: Any) -> int:  # noqa: N802
        """Write the UUID of the slice behind a handle."""
        raw._obj[:] = uuid.UUID(self._uuids[device.value - 40]).bytes
        return 0


class OldDriver:
    """One that does not know slices."""


def missing(_name: str) -> Any:
    """As `ctypes.CDLL` where there is no such library."""
    raise OSError("libcuda.so.1: cannot open shared object file: No such file or directory")
