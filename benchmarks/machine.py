"""The machine that the numbers come from, in the words that the document prints."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.engine import compose_version, docker


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

    @property
    def is_busy(self) -> bool:
        """True when others use enough of the cores to be seen in the times."""
        return self.load > self.cores / 4


def this_machine() -> Machine:
    """Look at this machine and at the engine that answers."""
    return Machine(
        date=time.strftime("%Y-%m-%d", time.gmtime()),
        cores=os.cpu_count() or 1,
        cpu=cpu_model(),
        memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3,
        kernel=platform.release(),
        docker=_docker(),
        python=platform.python_version(),
        load=os.getloadavg()[0],
    )


def _docker() -> str:
    versions = "engine {{.Server.Version}}, command {{.Client.Version}}"
    set_up = "storage {{.Driver}}, cgroup v{{.CgroupVersion}}"
    parts = [
        docker("version", "--format", versions).strip(),
        docker("info", "--format", set_up).strip(),
        f"compose {compose_version() or 'not installed'}",
    ]
    return ", ".join(parts)


def cpu_model() -> str:
    """What the kernel calls the processor."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return platform.machine()
