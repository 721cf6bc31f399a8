"""The machine that the numbers come from, in the words that the document prints."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import docker


@dataclass(frozen=True, slots=True)
class Machine:
    """Size and software. `memory_gib` is the whole memory, `load` the one before the run."""

    date: str
    cores: int
    cpu: str
    memory_gib: float
    kernel: str
    docker: str
    python: str
    load: float


def this_machine() -> Machine:
    """Look at this machine and at the engine that answers."""
    return Machine(
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        cores=os.cpu_count() or 1,
        cpu=_cpu_model(Path("/proc/cpuinfo").read_text(encoding="utf-8")),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
        kernel=platform.release(),
        docker=docker(
            "version", "--format", "engine {{.Server.Version}}, command {{.Client.Version}}"
        ).strip()
        + docker("info", "--format", ", storage {{.Driver}}, cgroup v{{.CgroupVersion}}").strip(),
        python=platform.python_version(),
        load=os.getloadavg()[0],
    )


def _cpu_model(cpuinfo: str) -> str:
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
