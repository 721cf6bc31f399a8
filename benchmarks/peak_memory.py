"""Runs orchestrate in this very process and writes its peak resident size to a file.

    python -m benchmarks.peak_memory FILE apply --detach playbook.yaml

The kernel's VmHWM counts this process alone and starts anew at exec. `ru_maxrss`, which
`/usr/bin/time` and `os.wait4` give, would count the largest docker process that it
waited for, and what its parent had before the exec.
"""

from __future__ import annotations

import sys

from orchestrator.cli import run


def peak_bytes(status: str) -> int:
    """The peak resident size in the text of /proc/PID/status, in bytes.

    Raises:
        ValueError: the text has no VmHWM.
    """
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.removesuffix("kB")) * 1024
    raise ValueError("no VmHWM: /proc/self/status of Linux is needed")


def _write_peak(path: str) -> None:
    with open("/proc/self/status", encoding="utf-8") as status:
        peak = peak_bytes(status.read())
    with open(path, "w", encoding="utf-8") as file:
        file.write(str(peak))


if __name__ == "__main__":
    code = run(sys.argv[2:])
    _write_peak(sys.argv[1])
    sys.exit(code)
