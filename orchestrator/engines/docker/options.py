"""The arguments of `docker create` for one node, in python-on-whales' words. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from orchestrator.engines.docker.creation import Creation
from orchestrator.gpus.names import is_cdi
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import Confinement, HealthCommand, Mount, NodeSpec


def create_options(creation: Creation, hidden: Path | None = None) -> dict[str, Any]:
    """What to give to `container.create` besides image and command.

    Args:
        creation: the node.
        hidden: a file of the variables whose values must not stand in a command line.
    """
    node = creation.node
    options: dict[str, Any] = {
        "name": node.name,
        "hostname": node.name,
        "pull": "never",
        "init": True,  # reaps orphans and passes SIGTERM on, which PID 1 would ignore
        "envs": creation.shown_env,
        "labels": creation.labels,
        "log_driver": "json-file",
        "mounts": list(map(_mount, creation.mounts)),
    }
    limits, confinement = node.limits, node.confinement
    optional = {
        "env_files": [str(hidden)] if hidden else None,
        "networks": [node.network] if node.network else None,
        "network_aliases": [creation.alias] if creation.alias else None,
        "user": node.user,
        "workdir": node.workdir,
        "cpus": limits.cpus,
        "memory": limits.memory_bytes,
        # Swap would turn an out-of-memory kill into minutes of thrashing.
        "memory_swap": limits.memory_bytes,
        "shm_size": limits.shm_bytes,
        "pids_limit": limits.pids,
        "gpus": _gpus(node.gpus),
        "devices": [name for name in node.gpus if is_cdi(name)] or None,
        "ulimit": _ulimits(limits.memlock_bytes),
        "ipc": creation.ipc_mode,
    }
    if confinement is not None:
        optional |= _confinement(confinement)
    if node.health is not None:
        optional |= _health(creation, node.health)
    return options | {name: value for name, value in optional.items() if value is not None}


def _health(creation: Creation, health: HealthCommand) -> dict[str, Any]:
    # As text, since a timedelta would be cut to whole seconds on its way to docker.
    return {
        "health_cmd": creation.health_command,
        "health_interval": _seconds(health.interval_s),
        "health_timeout": _seconds(health.timeout_s),
        "health_retries": health.retries,
        "health_start_period": _seconds(health.start_period_s),
    }


def _seconds(duration_s: float) -> str:
    return f"{duration_s:.3f}"


def _confinement(confinement: Confinement) -> dict[str, Any]:
    return {
        "cap_drop": list(confinement.cap_drop),
        "security_options": ["no-new-privileges"] if confinement.no_new_privileges else None,
        "read_only": confinement.read_only_root or None,
        "tmpfs": [f"{target}:{options}" for target, options in confinement.tmpfs] or None,
    }


def update_options(found: ObservedNode, wanted: NodeSpec) -> list[str]:
    """The arguments of `docker update` that give a node its limits; empty: they are right."""
    if found.spec.limits == wanted.limits and not found.oddities:
        return []
    limits = wanted.limits
    options = []
    if limits.cpus is not None:
        options += ["--cpus", f"{limits.cpus:.9f}".rstrip("0").rstrip(".")]
    if limits.memory_bytes is not None:
        # One cannot pass the other on the way, so both are told at once.
        options += ["--memory", str(limits.memory_bytes)]
        options += ["--memory-swap", str(limits.memory_bytes)]
    if limits.pids is not None:
        options += ["--pids-limit", str(limits.pids)]
    return options


def _mount(mount: Mount) -> list[str]:
    # Docker reads this argument as CSV, where a field with a comma or quote is quoted.
    fields = ["type=bind", f"source={mount.source}", f"target={mount.target}"]
    quoted = [f'"{f.replace(chr(34), chr(34) * 2)}"' if "," in f or '"' in f else f for f in fields]
    return [*quoted, *(["readonly"] if mount.read_only else [])]


def _gpus(names: tuple[str, ...]) -> str | None:
    uuids = [name for name in names if not is_cdi(name)]
    # CSV as well: without the quotes the second UUID would be read as another option. Never a
    # count: each node would get the first GPUs of the machine.
    return f'"device={",".join(uuids)}"' if uuids else None


def _ulimits(memlock_bytes: int | None) -> list[str] | None:
    return None if memlock_bytes is None else [f"memlock={memlock_bytes}"]
