"""Facts on Docker: its command, its engine, networks, disk and the image.

Each question has a deadline, and one that fails leaves the others as they are.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import Struct

from orchestrator.doctor.facts import (
    Command,
    Docker,
    Engine,
    Limiting,
    Networks,
    Place,
    Room,
    Unknown,
)
from orchestrator.doctor.gathering.machine import read_room
from orchestrator.engines.base import Engine as NodeEngine
from orchestrator.engines.docker.cdi import cdi_devices
from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.deadlines import ENV_DEADLINE, Deadlines, deadlines_from
from orchestrator.engines.docker.endpoint import (
    DEFAULT_SOCKET,
    endpoint,
    make_ways,
    sees_this_machine,
    socket_path,
)
from orchestrator.engines.docker.inspection import parse_time
from orchestrator.engines.docker.reading import Json, Reader
from orchestrator.errors import EngineUnavailable, OrchestrateError
from orchestrator.gpus.names import CDI_KIND
from orchestrator.state.reference import is_reference

PATIENCE_S = 10.0
"""How long a question may take; an apply is more patient, as it comes only once."""

_LOGICAL = {"host", "none", "null"}
T = TypeVar("T")


class Asked(Struct, frozen=True):
    """Whom to ask, and what about."""

    cli: DockerCli
    engine: NodeEngine
    image: str | None
    environ: Mapping[str, str]


def docker_cli(environ: Mapping[str, str]) -> DockerCli:
    """The `docker` command with this package's patience, unless the user says how long."""
    given = bool(environ.get(ENV_DEADLINE, "").strip())
    return DockerCli(deadlines=deadlines_from(environ) if given else Deadlines(PATIENCE_S))


def read_docker(asked: Asked) -> Docker:
    """Ask all there is to know. Never raises what Docker does."""
    place = read_place(asked.environ)
    command = attempt(lambda: _command(asked.cli))
    reader = make_ways(asked.cli).reader
    engine = command if isinstance(command, Unknown) else attempt(lambda: _engine(reader))
    if isinstance(engine, Unknown):
        return Docker(command, place, engine, engine, engine, engine)
    image = attempt(lambda: _image_bytes(reader, asked.image))
    networks = attempt(lambda: _networks(asked))
    return Docker(command, place, engine, networks, _room(engine, place), image)


def attempt(ask: Callable[[], T]) -> T | Unknown:
    """What it gives, or why there is no answer."""
    try:
        return ask()
    except OrchestrateError as exc:
        return Unknown(exc.what, exc.fix, exc.exit_code)
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        return Unknown(f"docker described itself in an unknown way ({exc!r})")


def read_place(environ: Mapping[str, str]) -> Place:
    """Where the engine is, by the environment and docker's configuration alone."""
    path = socket_path(environ)
    name = f"unix://{path}" if path else endpoint(environ)
    is_denied = path is not None and path.exists() and not os.access(path, os.W_OK)
    return Place(name, sees_this_machine(environ), path == DEFAULT_SOCKET, is_denied)


def _command(cli: DockerCli) -> Command:
    path = shutil.which(cli.prefix[0])
    if path is None:
        raise EngineUnavailable(f"there is no `{cli.prefix[0]}` command on this machine")
    _, said, _ = cli.attempt("--version")
    found = re.search(r"\b[0-9]+\.[0-9]+\.[0-9][\w.+~-]*", said)
    buildx, _, _ = cli.attempt("buildx", "version")
    return Command(path, found[0] if found else "", buildx == 0)


def _engine(reader: Reader) -> Engine:
    version = reader.version()  # says in plain words that there is no engine, where there is none
    began_s = time.time()
    info = reader.info()
    return engine_from_info(info, version, (began_s, time.time()))


def engine_from_info(info: Json, version: str, asked_s: tuple[float, float]) -> Engine:
    """Take apart what an engine says of itself; each field may be missing in older ones.

    Args:
        info: what it said.
        version: of the engine.
        asked_s: when it was asked and when it had answered, by this machine's clock.
    """
    options = [str(each) for each in info.get("SecurityOptions") or ()]
    pools = info.get("DefaultAddressPools") or ()
    return Engine(
        version=version,
        name=str(info.get("OperatingSystem", "")),
        kernel=str(info.get("KernelVersion", "")),
        cpus=int(info.get("NCPU", 0)),
        memory_bytes=int(info.get("MemTotal", 0)),
        data_root=str(info.get("DockerRootDir", "")),
        cgroup_version=str(info.get("CgroupVersion", "1")),
        cgroup_driver=str(info.get("CgroupDriver", "")),
        limiting=Limiting(
            memory=bool(info.get("MemoryLimit", True)),
            cpus=bool(info.get("CpuCfsQuota", True)),
            pids=bool(info.get("PidsLimit", True)),
        ),
        is_rootless=any("name=rootless" in option for option in options),
        runtimes=tuple(sorted(info.get("Runtimes") or {})),
        cdi_folders=tuple(map(str, info.get("CDISpecDirs") or ())),
        cdi_devices=tuple(sorted(each for each in cdi_devices(info) if each.startswith(CDI_KIND))),
        pool_sizes=tuple(_num_subnets(pool) for pool in pools),
        ahead_s=_ahead(parse_time(str(info.get("SystemTime", ""))), *asked_s),
    )


def _ahead(now_s: float | None, began_s: float, ended_s: float) -> float:
    """How far a clock is ahead for sure, that was read at some moment between two of ours."""
    if now_s is None:
        return 0.0
    return max(0.0, now_s - ended_s) + min(0.0, now_s - began_s)


def _num_subnets(pool: Mapping[str, Any]) -> int:
    """How many networks fit into one of the engine's ranges: `{Base: 10.0.0.0/8, Size: 24}`."""
    bits = int(pool["Size"]) - int(str(pool["Base"]).rpartition("/")[2])
    return 1 << bits if 0 <= bits <= 24 else 0


def _image_bytes(reader: Reader, tag: str | None) -> int | None:
    found = reader.image(tag) if tag else None
    return int(found.get("Size", 0)) if found else None


def _networks(asked: Asked) -> Networks:
    listed = asked.cli.call(
        "network", "ls", "--format", "{{.Driver}} {{.Name}}", doing="listing networks"
    )
    pairs = [line.split(" ", 1) for line in listed.splitlines() if " " in line]
    names = tuple(name for driver, name in pairs if driver not in _LOGICAL)
    stale = [
        each.name
        for each in asked.engine.projects()
        if each.is_mine and not each.node_names and not is_reference(each.playbook)
    ]
    return Networks(names, tuple(stale))


def _room(engine: Engine, place: Place) -> Room | Unknown:
    if not engine.is_in(place, os.uname().release) or not Path(engine.data_root).is_absolute():
        return Unknown("the engine's disk cannot be seen from this machine")
    return read_room(engine.data_root)
