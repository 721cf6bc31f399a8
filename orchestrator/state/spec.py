"""One container, as it should be or as an engine found it, in the form in which the two compare."""

from __future__ import annotations

import json
from collections.abc import Mapping

from msgspec import Struct

from orchestrator.gpus.names import uuid_of
from orchestrator.redaction import VEIL

UNLIMITED = -1
"""As a limit, the kernel's own word for none."""

SHAREABLE = "shareable"
"""As an IPC namespace: the container's own, which others may join."""

NO_NETWORK = "none"
"""As a network: the container reaches nobody, and nobody reaches it."""


class Mount(Struct, frozen=True, order=True):
    """A host folder or file seen in a node at `target`; both paths are absolute."""

    source: str
    target: str
    read_only: bool


class Secret(Struct, frozen=True):
    """A file in a node whose value is shown nowhere; None where none was found there."""

    name: str
    value: bytes | None = None

    def __repr__(self) -> str:
        return f"Secret(name={self.name!r})"


class Limits(Struct, frozen=True):
    """What a node may use at most; None is the engine's own default."""

    cpus: float | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    pids: int | None = None
    memlock_bytes: int | None = None  # UNLIMITED: any amount


class Confinement(Struct, frozen=True):
    """What a node is kept from doing, and what loosens that.

    `tmpfs` are the folders held in memory, each with its mount options. `cap_add` and
    `security_opt` are asked for by no playbook: they are here to be found when they are set
    by hand, such as `seccomp=unconfined`.
    """

    cap_drop: tuple[str, ...] = ("ALL",)
    no_new_privileges: bool = True
    privileged: bool = False
    read_only_root: bool = False
    tmpfs: tuple[tuple[str, str], ...] = ()
    cap_add: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()


class HealthCommand(Struct, frozen=True):
    """A shell command that an engine runs inside a node to see whether it is well.

    Attributes:
        command: exit code 0 means well; empty for one that is no shell command.
        interval_s: from one end to the next start.
        timeout_s: longer counts as failed.
        retries: so many failures in a row mean that the node is not well.
        start_period_s: failures within this time of the start do not count.
    """

    command: str
    interval_s: float = 5.0
    timeout_s: float = 5.0
    retries: int = 3
    start_period_s: float = 0.0


class ContainerSpec(Struct, frozen=True):
    """What a node and a sidecar have in common; the planner compares two of a kind.

    `name` is container name, hostname and network alias in one, so that the address a
    peer is told and the address Gloo binds are the same. `env` is sorted by name and
    holds no run id. `user` None means the image's own. `gpus` are what the engine is asked
    for, UUIDs or CDI names with UUIDs, in the order of CUDA's ordinals. `hidden_env` names
    the variables whose values are not to be shown. `health` None means the image's own, if it
    has any. `ipc` says whose IPC namespace it is in, /dev/shm included: None: its own alone;
    SHAREABLE: its own, which others may join; else the name of the sidecar whose it joins.
    """

    name: str
    command: tuple[str, ...]
    image: str | None = None  # the tag it was created from
    env: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    limits: Limits = Limits()
    user: str | None = None
    network: str | None = None
    confinement: Confinement | None = Confinement()
    workdir: str | None = None
    gpus: tuple[str, ...] = ()
    hidden_env: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    probe: bool = False  # whether its Python processes find the probe
    health: HealthCommand | None = None
    ipc: str | None = None

    @property
    def gpu_uuids(self) -> tuple[str, ...]:
        """The GPUs, or the MIG slice, whatever the engine calls them."""
        return tuple(map(uuid_of, self.gpus))


class NodeSpec(ContainerSpec, frozen=True, kw_only=True):
    """One node: a container that ranks run in."""

    node_rank: int
    num_ranks: int

    @property
    def ranks(self) -> range:
        """The global ranks that run in this node."""
        first = self.node_rank * self.num_ranks
        return range(first, first + self.num_ranks)


class SidecarSpec(ContainerSpec, frozen=True, kw_only=True):
    """A container beside the nodes that they cannot do without, and in which no rank runs.

    `role` is what it is for. `compute_mode` is what its GPUs are set to while it is there;
    None: they are left as they are.
    """

    role: str
    compute_mode: str | None = None

    @property
    def title(self) -> str:
        """What it is called, before its name."""
        return f"{self.role} daemon"


def spec_fields(spec: ContainerSpec) -> dict[str, str]:
    """Flatten a spec to `{field: text}`, the form that is compared and hashed.

    It holds the values of hidden variables; what is shown of it went through `field_changes`.
    """
    fields = {
        "name": spec.name,
        **_own_fields(spec),
        "image": spec.image or "",
        "command": json.dumps(spec.command),
        "user": spec.user or "",
        "network": spec.network or "",
        "workdir": spec.workdir or "",
        "probe": "on" if spec.probe else "off",
        "resources.cpus": _shown(spec.limits.cpus),
        "resources.memory": _size(spec.limits.memory_bytes),
        "resources.shm_size": _size(spec.limits.shm_bytes),
        "resources.pids": _shown(spec.limits.pids),
    }
    if spec.gpus:
        fields["gpus"] = ",".join(spec.gpus)
    if spec.ipc is not None:
        fields["ipc"] = spec.ipc
    if (memlock := spec.limits.memlock_bytes) is not None:
        fields["memlock"] = "unlimited" if memlock == UNLIMITED else _shown(memlock)
    if spec.confinement is not None:
        fields |= _confinement_fields(spec.confinement)
    if spec.health is not None:
        fields |= _health_fields(spec.health)
    if spec.hidden_env:
        fields["env_file"] = ",".join(spec.hidden_env)
    fields |= {f"secrets.{secret.name}": VEIL for secret in spec.secrets}
    fields |= {f"env.{name}": value for name, value in spec.env}
    for mount in spec.mounts:
        fields[f"mounts.{mount.target}"] = f"{mount.source} ({'ro' if mount.read_only else 'rw'})"
    return fields


def _own_fields(spec: ContainerSpec) -> dict[str, str]:
    """What only a node has, or only a sidecar."""
    match spec:
        case NodeSpec(ranks=ranks):
            return {"ranks": f"{ranks.start}..{ranks.stop - 1}"}
        case SidecarSpec(compute_mode=mode):
            return {"compute_mode": mode} if mode else {}
        case _:
            return {}


def _confinement_fields(confinement: Confinement) -> dict[str, str]:
    """What each profile sets is always there; what only one of them sets, where it is set."""
    fields = {
        "cap_drop": ",".join(confinement.cap_drop),
        "no_new_privileges": str(confinement.no_new_privileges).lower(),
        "privileged": str(confinement.privileged).lower(),
    }
    if confinement.read_only_root:
        fields["read_only_root"] = "true"
    if confinement.cap_add:
        fields["cap_add"] = ",".join(confinement.cap_add)
    if confinement.security_opt:
        fields["security_opt"] = ",".join(confinement.security_opt)
    return fields | {f"tmpfs.{target}": options for target, options in confinement.tmpfs}


def _health_fields(health: HealthCommand) -> dict[str, str]:
    return {
        "health.command": health.command,
        "health.interval": f"{health.interval_s:g}s",
        "health.timeout": f"{health.timeout_s:g}s",
        "health.retries": str(health.retries),
        "health.start_period": f"{health.start_period_s:g}s",
    }


def _shown(number: float | None) -> str:
    return "" if number is None else f"{number:g}" if isinstance(number, float) else str(number)


def _size(num_bytes: int | None) -> str:
    """A size as a playbook writes it; exact, as it is compared."""
    if num_bytes is None:
        return ""
    units = (("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10))
    fitting = ((name, size) for name, size in units if num_bytes and num_bytes % size == 0)
    name, size = next(fitting, ("", 1))
    return f"{num_bytes // size}{name}"


CHANGEABLE = frozenset({"name", "resources.cpus", "resources.memory", "resources.pids"})
"""What an engine may change in place: found by inspection alone, as a label cannot be edited."""


def spec_hash(spec: ContainerSpec) -> str:
    """`v1:sha256…` over what of the flattened spec stays as long as the node does.

    The version guards old labels when fields are added.
    """
    import hashlib  # loads OpenSSL: only who starts nodes pays for it

    fields = {name: text for name, text in spec_fields(spec).items() if name not in CHANGEABLE}
    if not spec.probe:
        del fields["probe"]  # as before there was one
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True)
    return f"v1:sha256{hashlib.sha256(text.encode()).hexdigest()}"


def sorted_env(*layers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Merge environments, later ones win, to the sorted pairs that a spec holds."""
    merged: dict[str, str] = {}
    for layer in layers:
        merged |= layer
    return tuple(sorted(merged.items()))
