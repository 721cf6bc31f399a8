"""The arguments of `docker create` for one node, in python-on-whales' words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.identity import told_to_nodes
from orchestrator.state.desired import RunIdentity
from orchestrator.state.labels import (
    LABEL_HIDDEN_ENV,
    LABEL_NODE_RANK,
    LABEL_NUM_RANKS,
    LABEL_OWNER,
    LABEL_PLAYBOOK,
    LABEL_PLAYBOOK_DIGEST,
    LABEL_PROJECT,
    LABEL_RESTART_COUNT,
    LABEL_RUN_DIR,
    LABEL_RUN_ID,
    LABEL_SECRETS,
    LABEL_SPEC_HASH,
    SECRETS_FOLDER,
)
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import Confinement, Mount, NodeSpec, spec_hash


@dataclass(frozen=True, slots=True)
class PrivatePaths:
    """Where a node's secrets are on this machine, and a file of the variables to be hidden."""

    secrets: str = ""
    env_file: str | None = None


def create_options(
    node: NodeSpec, identity: RunIdentity, owner: str, private: PrivatePaths = PrivatePaths()
) -> dict[str, Any]:
    """What to give to `container.create` besides image and command."""
    env = {name: value for name, value in node.env if name not in node.hidden_env}
    options: dict[str, Any] = {
        "name": node.name,
        "hostname": node.name,
        "pull": "never",
        "init": True,  # reaps orphans and passes SIGTERM on, which PID 1 would ignore
        "envs": {**env, **told_to_nodes(identity)},
        "labels": _labels(node, identity, owner),
        "log_driver": "json-file",
        "mounts": [_mount(m.source, m.target, m.read_only) for m in _mounts(node, private)],
    }
    limits, confinement = node.limits, node.confinement
    optional = {
        "env_files": [private.env_file] if private.env_file else None,
        "networks": [node.network] if node.network else None,
        "network_aliases": [node.name] if node.network else None,
        "user": node.user,
        "workdir": node.workdir,
        "cpus": limits.cpus,
        "memory": limits.memory_bytes,
        # Swap would turn an out-of-memory kill into minutes of thrashing.
        "memory_swap": limits.memory_bytes,
        "shm_size": limits.shm_bytes,
        "pids_limit": limits.pids,
        "gpus": _gpus(node.gpus),
        "ulimit": _ulimits(limits.memlock_bytes),
    }
    if confinement is not None:
        optional |= _confinement(confinement)
    return options | {name: value for name, value in optional.items() if value is not None}


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


def _mounts(node: NodeSpec, private: PrivatePaths) -> tuple[Mount, ...]:
    secrets = Mount(private.secrets, SECRETS_FOLDER, read_only=True)
    return (*node.mounts, secrets) if node.secrets else node.mounts


def _mount(source: str, target: str, read_only: bool) -> list[str]:
    # Docker reads this argument as CSV, where a field with a comma or quote is quoted.
    fields = ["type=bind", f"source={source}", f"target={target}"]
    quoted = [f'"{f.replace(chr(34), chr(34) * 2)}"' if "," in f or '"' in f else f for f in fields]
    return [*quoted, *(["readonly"] if read_only else [])]


def _gpus(uuids: tuple[str, ...]) -> str | None:
    # CSV as well: without the quotes the second UUID would be read as another option. Never a
    # count: each node would get the first GPUs of the machine.
    return f'"device={",".join(uuids)}"' if uuids else None


def _ulimits(memlock_bytes: int | None) -> list[str] | None:
    return None if memlock_bytes is None else [f"memlock={memlock_bytes}"]


def _labels(node: NodeSpec, identity: RunIdentity, owner: str) -> dict[str, str]:
    labels = {
        LABEL_PROJECT: identity.project,
        LABEL_OWNER: owner,
        LABEL_NODE_RANK: str(node.node_rank),
        LABEL_NUM_RANKS: str(node.num_ranks),
        LABEL_RUN_ID: identity.run_id,
        LABEL_SPEC_HASH: spec_hash(node),
        LABEL_PLAYBOOK: identity.playbook,
        LABEL_PLAYBOOK_DIGEST: identity.playbook_digest,
        LABEL_RUN_DIR: identity.run_dir,
        LABEL_RESTART_COUNT: str(identity.restart_count),
    }
    if node.hidden_env:
        labels[LABEL_HIDDEN_ENV] = ",".join(node.hidden_env)
    if node.secrets:
        labels[LABEL_SECRETS] = ",".join(secret.name for secret in node.secrets)
    return labels
