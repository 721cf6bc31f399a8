"""Facts on GPUs: the driver, what hands GPUs to containers, and MPS."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator.doctor.facts import Gpus, Mps, Toolkit, Unknown
from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.inventory import Gpu, Inventory

HOOK = "nvidia-container-runtime-hook"
# Where the toolkit puts itself, besides folders that are on every PATH.
_HOOK_FOLDERS = ("usr/bin", "usr/local/bin", "usr/local/nvidia/toolkit")
_DEADLINE_S = 10.0


def read_gpus(inventory: Inventory, environ: Mapping[str, str], root: Path = Path("/")) -> Gpus:
    """Look at all there is for using GPUs. Never raises what a driver does."""
    found = _asked(inventory)
    told = "" if isinstance(found, Unknown) else next((each.driver_version for each in found), "")
    return Gpus(
        found,
        driver=_driver(root) or told,
        toolkit=Toolkit(ctk=_version_of("nvidia-ctk", environ), hook=_hook(environ, root)),
        mps=_mps(environ, root),
    )


def _asked(inventory: Inventory) -> tuple[Gpu, ...] | Unknown:
    try:
        return inventory()
    except GpuUnavailable as exc:
        return Unknown(exc.what, exc.fix, exc.exit_code)


def _driver(root: Path) -> str:
    """The version of the driver that the kernel has loaded."""
    with suppress(OSError):
        text = (root / "proc/driver/nvidia/version").read_text(errors="replace")
        if found := re.search(r"Kernel Module(?: for \S+)?\s+([0-9.]+)", text):
            return found[1]
    return ""


def _hook(environ: Mapping[str, str], root: Path) -> str:
    folders = [str(root / folder) for folder in _HOOK_FOLDERS]
    return shutil.which(HOOK, path=os.pathsep.join([environ.get("PATH", ""), *folders])) or ""


def _version_of(program: str, environ: Mapping[str, str]) -> str:
    """The first line that a program prints of its version; empty where it is not there."""
    path = shutil.which(program, path=environ.get("PATH", ""))
    if path is None:
        return ""
    try:
        done = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return program
    lines = done.stdout.decode(errors="replace").splitlines()
    return lines[0][:100] if lines and lines[0].strip() else program


def _mps(environ: Mapping[str, str], root: Path) -> Mps:
    """NVIDIA's program, and whether the daemon lives that wrote its number into its folder."""
    program = shutil.which("nvidia-cuda-mps-control", path=environ.get("PATH", "")) or ""
    folder = environ.get("CUDA_MPS_PIPE_DIRECTORY") or "/tmp/nvidia-mps"  # noqa: S108  (its own)
    pid = ""
    with suppress(OSError):
        file = root / folder.lstrip("/") / "nvidia-cuda-mps-control.pid"
        pid = file.read_text(errors="replace").strip()
    is_running = pid.isdecimal() and (root / "proc" / pid).is_dir()
    return Mps(program, folder, is_running)
