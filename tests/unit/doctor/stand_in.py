"""A `docker` command that answers as an engine would, for what the doctor asks."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

INFO: dict[str, Any] = {
    "OperatingSystem": "Debian GNU/Linux 12 (bookworm)",
    "KernelVersion": os.uname().release,
    "NCPU": 8,
    "MemTotal": 32 * 1024**3,
    "DockerRootDir": "/",
    "CgroupVersion": "2",
    "CgroupDriver": "systemd",
    "MemoryLimit": True,
    "CpuCfsQuota": True,
    "PidsLimit": True,
    "SecurityOptions": ["name=seccomp,profile=default", "name=cgroupns"],
    "Runtimes": {"runc": {"path": "runc"}, "nvidia": {"path": "nvidia-container-runtime"}},
    "CDISpecDirs": ["/nope/cdi"],
    "DiscoveredDevices": [{"Source": "cdi", "ID": "nvidia.com/gpu=0"}, {"Source": "other"}],
    "DefaultAddressPools": [{"Base": "10.10.0.0/16", "Size": 24}],
}
REFUSAL = "Cannot connect to the Docker daemon at unix:///x.sock. Is the docker daemon running?"


def put_docker(folder: Path, answers: dict[str, str], *, buildx: bool = True) -> Path:
    """Put a `docker` into a folder that is to be on PATH.

    Args:
        folder: where.
        answers: what it prints, by the words that a call begins with; others are refused.
        buildx: whether it has that plugin.
    """
    folder.mkdir(exist_ok=True)
    cases = ['"--version") echo "Docker version 28.5.1, build e180ab8" ;;']
    if buildx:
        cases.append('"buildx version"*) echo "github.com/docker/buildx v0.29.1" ;;')
    for number, (words, answer) in enumerate(answers.items()):
        file = folder / f"answer-{number}"
        file.write_text(answer)
        cases.append(f"{shlex.quote(words)}*) cat {shlex.quote(str(file))} ;;")
    refuse = f"*) echo {shlex.quote(REFUSAL)} >&2; exit 1 ;;"
    script = folder / "docker"
    script.write_text('#!/bin/sh\ncase "$*" in\n' + "\n".join([*cases, refuse]) + "\nesac\n")
    script.chmod(0o755)
    return folder


def answers(**changes: Any) -> dict[str, str]:
    """What a docker says whose engine is well."""
    image = [{"Id": "sha256:1", "Size": 5_000_000}]
    return {
        "version --format": "28.5.1\n",
        "info --format": json.dumps(INFO | changes),
        "network ls": "bridge bridge\nhost host\nnull none\nbridge pair-net\noverlay o\n",
        "image inspect": json.dumps(image),
    }
