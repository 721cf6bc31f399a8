"""Who may use a GPU at a time: its compute mode, which `nvidia-smi` sets.

It is a setting of the machine and not of a project: only root may change it, and it is lost when
the driver is unloaded (NVIDIA's manual of nvidia-smi). So one that cannot be asked for any more
needs no putting back.
"""

from __future__ import annotations

import re
import subprocess

from orchestrator.errors import GpuUnavailable

DEADLINE_S = 30.0
_GONE = {6, 9, 12, 15, 127}
"""What it ends with where there is no such GPU, no driver, no library of it, a GPU that fell off
its bus, or no nvidia-smi (its manual, RETURN VALUE)."""

_MODE = re.compile(r"[A-Za-z_]{3,30}", re.ASCII)


def set_compute_mode(uuid: str, mode: str) -> None:
    """Set a GPU's compute mode, unless that is its mode already or there is no such GPU any more.

    Raises:
        GpuUnavailable: the mode cannot be set, such as by whoever is not root.
    """
    if _current(uuid) in {mode, None}:
        return
    code, said = _ask("-i", uuid, "-c", mode)
    if code != 0:
        raise GpuUnavailable(
            f"GPU {uuid} cannot be set to compute mode {mode}: {_told(code, said)}",
            fix=f"as root: `nvidia-smi -i {uuid} -c {mode}`; then do this again",
        )


def _current(uuid: str) -> str | None:
    """Its mode now; None where the GPU or its driver is gone."""
    code, said = _ask("-i", uuid, "--query-gpu=compute_mode", "--format=csv,noheader")
    word = said.strip()
    if code == 0 and _MODE.fullmatch(word):
        return word.upper()
    if code in _GONE:
        return None
    raise GpuUnavailable(
        f"the compute mode of GPU {uuid} cannot be read: {_told(code, said)}",
        fix="see whether `nvidia-smi` works on this machine",
    )


def _told(code: int, said: str) -> str:
    return " ".join(said.split())[:300].rstrip(".") or f"exit code {code}"


def _ask(*args: str) -> tuple[int, str]:
    try:
        done = subprocess.run(
            ["nvidia-smi", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=DEADLINE_S,
            check=False,
        )
    except FileNotFoundError:
        return 127, ""
    except OSError as exc:
        raise GpuUnavailable(f"nvidia-smi cannot be run: {exc.strerror}") from exc
    except subprocess.TimeoutExpired as exc:
        raise GpuUnavailable(
            f"nvidia-smi did not answer within {DEADLINE_S:g} s",
            fix="see whether the driver hangs (`dmesg`)",
        ) from exc
    return done.returncode, done.stdout.decode(errors="replace")
