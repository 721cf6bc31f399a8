"""What the engine's API is asked for one node: `POST /containers/create`. Pure.

`options.py` says the same in the words of the docker command; tests/e2e/test_two_ways.py
holds what the engine makes of the two against each other. Only fields that every engine from
20.10 on knows are used, so that no version need be named.
"""

from __future__ import annotations

from typing import Any

from orchestrator.engines.docker.creation import Creation
from orchestrator.gpus.names import is_cdi
from orchestrator.state.spec import Confinement, HealthCommand, Limits, Mount


def create_body(creation: Creation) -> dict[str, Any]:
    """The container as the API describes it. The name is no part of it."""
    node = creation.node
    return {
        "Image": node.image or "",
        "Cmd": list(node.command),
        "Hostname": node.name,
        "User": node.user or "",
        "WorkingDir": node.workdir or "",
        "Env": [f"{name}={value}" for name, value in creation.env.items()],
        "Labels": creation.labels,
        # As `docker create` does; whoever attaches by hand finds what is written.
        "AttachStdout": True,
        "AttachStderr": True,
        "HostConfig": _host(creation),
        "NetworkingConfig": {"EndpointsConfig": _endpoints(creation)},
        **({"Healthcheck": _health(creation, node.health)} if node.health else {}),
    }


def _host(creation: Creation) -> dict[str, Any]:
    node = creation.node
    return {
        "Init": True,  # reaps orphans and passes SIGTERM on, which PID 1 would ignore
        "LogConfig": {"Type": "json-file", "Config": {}},
        "RestartPolicy": {"Name": "no"},
        "NetworkMode": node.network or "default",
        "Mounts": list(map(_mount, creation.mounts)),
        **_limits(node.limits),
        **({"DeviceRequests": [_gpus(node.gpus)]} if node.gpus else {}),
        **(_confinement(node.confinement) if node.confinement is not None else {}),
        **_ipc(creation.ipc_mode),
    }


def _ipc(mode: str | None) -> dict[str, str]:
    return {} if mode is None else {"IpcMode": mode}


def _health(creation: Creation, health: HealthCommand) -> dict[str, Any]:
    return {
        "Test": ["CMD-SHELL", creation.health_command],
        "Interval": round(health.interval_s * 1e9),
        "Timeout": round(health.timeout_s * 1e9),
        "Retries": health.retries,
        "StartPeriod": round(health.start_period_s * 1e9),
    }


def _endpoints(creation: Creation) -> dict[str, Any]:
    network, alias = creation.node.network, creation.alias
    return {network: {"Aliases": [alias]}} if network and alias else {}


def _mount(mount: Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.source,
        "Target": mount.target,
        "ReadOnly": mount.read_only,
    }


def _limits(limits: Limits) -> dict[str, Any]:
    wanted = {
        "NanoCpus": None if limits.cpus is None else round(limits.cpus * 1e9),
        "Memory": limits.memory_bytes,
        # Swap would turn an out-of-memory kill into minutes of thrashing.
        "MemorySwap": limits.memory_bytes,
        "ShmSize": limits.shm_bytes,
        "PidsLimit": limits.pids,
        "Ulimits": _memlock(limits.memlock_bytes),
    }
    return {name: value for name, value in wanted.items() if value is not None}


def _memlock(num_bytes: int | None) -> list[dict[str, Any]] | None:
    limit = {"Name": "memlock", "Soft": num_bytes, "Hard": num_bytes}
    return None if num_bytes is None else [limit]


def _gpus(names: tuple[str, ...]) -> dict[str, Any]:
    if is_cdi(names[0]):
        return {"Driver": "cdi", "DeviceIDs": list(names)}
    # Never a count: each node would get the first GPUs of the machine.
    return {"DeviceIDs": list(names), "Capabilities": [["gpu"]], "Options": {}}


def _confinement(confinement: Confinement) -> dict[str, Any]:
    return {
        "CapDrop": list(confinement.cap_drop),
        "SecurityOpt": ["no-new-privileges"] if confinement.no_new_privileges else [],
        "ReadonlyRootfs": confinement.read_only_root,
        "Tmpfs": dict(confinement.tmpfs),
    }
