"""What torch says of itself, without waking CUDA."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any


def of(torch: ModuleType) -> dict[str, str]:
    """Versions of torch, and of CUDA and NCCL where it was built with them."""
    cuda = getattr(torch.version, "cuda", None) or getattr(torch.version, "hip", None) or ""
    return {"torch": str(torch.__version__), "cuda": str(cuda), "nccl": _nccl(torch)}


def _nccl(torch: Any) -> str:
    """The number that NCCL was compiled as; `torch.cuda.nccl.version` would import more."""
    version = getattr(torch._C, "_nccl_version", None)
    if version is None:
        return ""
    number = version()  # major and minor above 16 bits each, as torch.cuda.nccl reads it
    return f"{number >> 32}.{(number >> 16) & 65535}.{number & 65535}"
