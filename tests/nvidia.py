"""A stand-in for the `nvidia-smi` of machines that the tests have not: no GPU is needed.

The texts are what the real one prints for the query of `orchestrator.gpus.inventory`
(NVIDIA's documentation of nvidia-smi, and reports of its users).
"""

from __future__ import annotations

import shlex
from pathlib import Path

UUIDS = (
    "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6",
    "GPU-1a2b3c4d-5e6f-4711-8899-aabbccddeeff",
    "GPU-c0ffee00-0000-4000-8000-000000000002",
    "GPU-deadbeef-0000-4000-8000-000000000003",
)
A100 = "NVIDIA A100-SXM4-40GB, 40960, Disabled"
ROWS = tuple(f"{index}, {uuid}, {A100}\n" for index, uuid in enumerate(UUIDS))
NO_DEVICES = "No devices were found\n"
NO_DRIVER = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that "
    "the latest NVIDIA driver is installed and running.\n\n"
)
MISMATCH = "Failed to initialize NVML: Driver/library version mismatch\nNVML library version: 535\n"


def put_nvidia_smi(folder: Path, text: str, *, code: int = 0, hangs: bool = False) -> Path:
    """Put an `nvidia-smi` into a folder that is to be on PATH; it answers the query alone."""
    folder.mkdir(exist_ok=True)
    (folder / "nvidia-smi.txt").write_text(text)
    script = folder / "nvidia-smi"
    answer = f"cat {shlex.quote(str(folder / 'nvidia-smi.txt'))}; exit {code}"
    script.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '"--query-gpu=index,uuid,name,memory.total,mig.mode.current'
        ' --format=csv,noheader,nounits") ;;\n'
        '*) echo "Invalid combination of input arguments: $*"; exit 2 ;;\n'
        "esac\n"
        # A hanging one has a child of its own, which holds its output open.
        f"{'sleep 600; exit 1' if hangs else answer}\n"
    )
    script.chmod(0o755)
    return folder


def num_gpus(num: int) -> str:
    """What it prints on a machine with so many."""
    return "".join(ROWS[:num]) or NO_DEVICES
