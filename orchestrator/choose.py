"""Which engine to use: the one that was named, or the first that answers."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

from orchestrator.engines.base import Engine

DOCKER_SOCKET = Path("/var/run/docker.sock")
ANSWER_DEADLINE_S = 5.0

Notice = Callable[[str], None]


class EngineName(StrEnum):
    """What `--engine` takes."""

    AUTO = "auto"
    DOCKER = "docker"
    LOCAL = "local"


def engine_for(name: EngineName, notice: Notice) -> Engine:
    """The engine to apply to. `auto`: Docker if it answers, else the embedded one, said so."""
    if name is EngineName.DOCKER or (name is EngineName.AUTO and docker_answers()):
        return docker_engine()
    if name is EngineName.AUTO:
        notice(
            "no Docker engine answers: using the embedded one"
            " (processes on this machine, no isolation)"
        )
    return local_engine()


def engines_for(name: EngineName, notice: Notice) -> tuple[Engine, ...]:
    """The engines to look for projects on. `auto`: every one that answers."""
    if name is EngineName.DOCKER:
        return (docker_engine(),)
    if name is EngineName.LOCAL:
        return (local_engine(),)
    if docker_answers():
        return (docker_engine(), local_engine()) if local_is_in_use() else (docker_engine(),)
    if DOCKER_SOCKET.exists() or _is_chosen():
        notice("the Docker engine does not answer: only the embedded one was looked at")
    return (local_engine(),)


def docker_engine() -> Engine:
    """Docker, as the `docker` command sees it."""
    from orchestrator.engines.docker.engine import DockerEngine

    return DockerEngine(
        cache_dir=cache_folder() / "images",
        private_dir=state_folder() / "private",
        probe_dir=state_folder() / "probe",
    )


def local_engine() -> Engine:
    """The embedded engine."""
    from orchestrator.engines.local.engine import LocalEngine

    return LocalEngine()


def local_is_in_use() -> bool:
    """True when the embedded engine holds a project; cheaper to ask than to load the engine."""
    from orchestrator.engines.local.root import default_root

    root = default_root(os.environ)
    if not os.path.lexists(root):  # so it is for whoever uses Docker alone
        return False
    from orchestrator.engines.local.folders import project_names

    return bool(project_names(root))


def docker_answers() -> bool:
    """True when a Docker engine answers, by the cheapest question that settles it."""
    if socket_answers():
        return True
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_DEADLINE_S,
            check=False,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def socket_answers() -> bool:
    """True when Docker's engine listens on a Unix socket here: no process, no deadline."""
    path = _local_socket()
    return path is not None and _accepts(path)


def _is_chosen() -> bool:
    """True when the user's environment says which Docker engine is meant."""
    return bool({"DOCKER_HOST", "DOCKER_CONTEXT"} & os.environ.keys())


def _local_socket() -> Path | None:
    """The Unix socket that is meant; None where another way was chosen."""
    host = os.environ.get("DOCKER_HOST", "")
    if host.startswith("unix:///"):
        return Path(host.removeprefix("unix://"))
    return None if _is_chosen() else DOCKER_SOCKET


def _accepts(path: Path) -> bool:
    """True when something listens on a Unix socket: one millisecond instead of a process."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1.0)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True


def state_folder() -> Path:
    """Where locks, secrets and copies of the probe lie: `$XDG_STATE_HOME/orchestrate`."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def cache_folder() -> Path:
    """Where wheels and build logs lie: `$XDG_CACHE_HOME/orchestrate`."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def _xdg(variable: str, default: str) -> Path:
    base = os.environ.get(variable, "")
    # The XDG specification has relative paths ignored.
    return (Path(base) if base.startswith("/") else Path.home() / default) / "orchestrate"
