"""Which GPU, or MIG slice of one, the calling thread uses: its UUID, as `nvidia-smi -L` has it."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ENV_MODE = "ORCHESTRATE_GPU_MODE"
_DRIVER = "libcuda.so.1"


def is_given() -> bool:
    """True in a node that was given a GPU."""
    return bool(os.environ.get(ENV_MODE))


def in_use() -> str | None:
    """The UUID; None until the script uses a GPU, and where it cannot be told.

    Asking would wake CUDA, on a device of its own choice, where the script has not done so.
    """
    torch: Any = sys.modules["torch"]
    if not torch.cuda.is_initialized():
        return None
    ordinal = torch.cuda.current_device()
    if os.environ.get(ENV_MODE) == "mig":
        uuid = _slice(ordinal)
        return f"MIG-{uuid}" if uuid else None
    uuid = str(getattr(torch.cuda.get_device_properties(ordinal), "uuid", ""))  # torch 2.4 on
    return f"GPU-{uuid}" if uuid else None


def chosen() -> str | None:
    """The same for a process that may not have chosen its device yet.

    Device 0 is what each process has until then, and no choice of one whose LOCAL_RANK is
    another.
    """
    torch: Any = sys.modules["torch"]
    if os.environ.get("LOCAL_RANK", "0") != "0" and torch.cuda.is_initialized():
        return in_use() if torch.cuda.current_device() else None
    return in_use()


def _slice(ordinal: int) -> str | None:
    """What CUDA's driver says: its older question, which others ask, is about the whole GPU.

    [CUDA driver API, cuDeviceGetUuid_v2: "If the device is in MIG mode, returns its MIG UUID"]
    """
    import ctypes  # only who has a slice pays for it

    try:
        driver = ctypes.CDLL(_DRIVER)
        ask = driver.cuDeviceGetUuid_v2
    except (OSError, AttributeError):  # older than CUDA 11.4
        return None
    device, raw = ctypes.c_int(), (ctypes.c_ubyte * 16)()
    if driver.cuDeviceGet(ctypes.byref(device), ordinal) or ask(ctypes.byref(raw), device):
        return None
    text = bytes(raw).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))
