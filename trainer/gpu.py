"""Which GPU, or MIG slice of one, is behind a CUDA device: its UUID, as `nvidia-smi -L` has it."""

from __future__ import annotations

import ctypes
import uuid
from collections.abc import Mapping

import torch

ENV_MODE = "ORCHESTRATE_GPU_MODE"
_DRIVER = "libcuda.so.1"


def gpu_uuid(device: torch.device, environ: Mapping[str, str]) -> str | None:
    """The UUID; None on the CPU, and where the driver does not tell which slice it is."""
    if device.type != "cuda":
        return None
    if environ.get(ENV_MODE) == "mig":
        found = _slice(device.index)
        return f"MIG-{found}" if found else None
    return f"GPU-{torch.cuda.get_device_properties(device).uuid}"


def _slice(ordinal: int) -> uuid.UUID | None:
    """What CUDA's driver says: its older question, which others ask, is about the whole GPU.

    [CUDA driver API, cuDeviceGetUuid_v2: "If the device is in MIG mode, returns its MIG UUID"]
    """
    try:
        driver = ctypes.CDLL(_DRIVER)
        ask = driver.cuDeviceGetUuid_v2
    except (OSError, AttributeError):  # older than CUDA 11.4
        return None
    device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    if driver.cuDeviceGet(ctypes.byref(device), ordinal) or ask(ctypes.byref(raw), device):
        return None
    return uuid.UUID(bytes=bytes(raw))
