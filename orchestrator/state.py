"""What a run should be and what an engine found: frozen values, no behaviour but comparison.

`DesiredState` comes from a playbook, `ObservedState` from an engine; the planner
compares the two. Everything an engine must remember about an object is in the labels
named here, on the object itself: there is no state file to lose.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from orchestrator.redaction import VEIL

if TYPE_CHECKING:
    from orchestrator.gpus.demand import GpuDemand
    from orchestrator.images.recipe import BuildRecipe

LABEL_PROJECT = "orchestrate.project"
LABEL_NODE_RANK = "orchestrate.node_rank"
LABEL_NUM_RANKS = "orchestrate.num_ranks"
LABEL_RUN_ID = "orchestrate.run_id"
LABEL_SPEC_HASH = "orchestrate.spec_hash"
LABEL_PLAYBOOK = "orchestrate.playbook"
LABEL_PLAYBOOK_DIGEST = "orchestrate.playbook_digest"
LABEL_RUN_DIR = "orchestrate.run_dir"
LABEL_RESTART_COUNT = "orchestrate.restart_count"
LABEL_HIDDEN_ENV = "orchestrate.hidden_env"
LABEL_SECRETS = "orchestrate.secrets"
LABEL_OWNER = "orchestrate.owner"


SECRETS_FOLDER = "/run/secrets"
"""Where a container finds its secrets."""

ENV_SECRETS_DIR = "ORCHESTRATE_SECRETS_DIR"
"""Tells a node where its secrets are: the one name that holds on every engine."""

UNLIMITED = -1
"""As a limit, the kernel's own word for none."""


@dataclass(frozen=True, slots=True, order=True)
class Mount:
    """A host folder or file seen in a node at `target`; both paths are absolute."""

    source: str
    target: str
    read_only: bool


@dataclass(frozen=True, slots=True)
class Secret:
    """A file in a node whose value is shown nowhere; None where none was found there."""

    name: str
    value: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node may use at most; None is the engine's own default."""

    cpus: float | None = None
    memory_bytes: int | None = None
    shm_bytes: int | None = None
    pids: int | None = None
    memlock_bytes: int | None = None  # UNLIMITED: any amount


@dataclass(frozen=True, slots=True)
class Confinement:
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


@dataclass(frozen=True, slots=True)
class NodeSpec:
    """One node as it should be, or as an engine found it; the planner compares two of these.

    `name` is container name, hostname and network alias in one, so that the address a
    peer is told and the address Gloo binds are the same. `env` is sorted by name and
    holds no run id. `user` None means the image's own. `gpus` are UUIDs, in the order of the
    node's CUDA ordinals. `hidden_env` names the variables whose values are not to be shown.
    """

    node_rank: int
    num_ranks: int
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

    @property
    def ranks(self) -> range:
        """The global ranks that run in this node."""
        first = self.node_rank * self.num_ranks
        return range(first, first + self.num_ranks)


def spec_fields(spec: NodeSpec) -> dict[str, str]:
    """Flatten a spec to `{field: text}`, the form that is compared and hashed.

    It holds the values of hidden variables; what is shown of it went through `field_changes`.
    """
    fields = {
        "name": spec.name,
        "ranks": f"{spec.ranks.start}..{spec.ranks.stop - 1}",
        "image": spec.image or "",
        "command": json.dumps(spec.command),
        "user": spec.user or "",
        "network": spec.network or "",
        "workdir": spec.workdir or "",
        "resources.cpus": _shown(spec.limits.cpus),
        "resources.memory": _size(spec.limits.memory_bytes),
        "resources.shm_size": _size(spec.limits.shm_bytes),
        "resources.pids": _shown(spec.limits.pids),
    }
    if spec.gpus:
        fields["gpus"] = ",".join(spec.gpus)
    if (memlock := spec.limits.memlock_bytes) is not None:
        fields["memlock"] = "unlimited" if memlock == UNLIMITED else _shown(memlock)
    if spec.confinement is not None:
        fields |= _confinement_fields(spec.confinement)
    if spec.hidden_env:
        fields["env_file"] = ",".join(spec.hidden_env)
    fields |= {f"secrets.{secret.name}": VEIL for secret in spec.secrets}
    fields |= {f"env.{name}": value for name, value in spec.env}
    for mount in spec.mounts:
        fields[f"mounts.{mount.target}"] = f"{mount.source} ({'ro' if mount.read_only else 'rw'})"
    return fields


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


def spec_hash(spec: NodeSpec) -> str:
    """`v1:sha256…` over what of the flattened spec stays as long as the node does.

    The version guards old labels when fields are added.
    """
    import hashlib  # loads OpenSSL: only who starts nodes pays for it

    fields = {name: text for name, text in spec_fields(spec).items() if name not in CHANGEABLE}
    text = json.dumps(fields, sort_keys=True, ensure_ascii=True)
    return f"v1:sha256{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """The image all nodes run; `build_inputs` is the digest of what it is built from."""

    tag: str
    pull: str = "missing"  # never | missing | always
    recipe: BuildRecipe | None = None
    build_inputs: str | None = None


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """The network that joins the nodes; an external one is used, never made or removed."""

    name: str
    internal: bool = True
    external: bool = False


@dataclass(frozen=True, slots=True)
class DesiredState:
    """Everything a playbook asks of one engine; `image`, `network` None where it has none.

    `gpus` is asked of the machine; the nodes have theirs once `devices.with_gpus` has chosen.
    """

    project: str
    image: ImageSpec | None
    network: NetworkSpec | None
    nodes: tuple[NodeSpec, ...]
    playbook: str = ""
    playbook_digest: str = ""
    gpus: GpuDemand | None = None

    @property
    def world_size(self) -> int:
        """The number of ranks over all nodes."""
        return sum(node.num_ranks for node in self.nodes)


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What tells one run of a project from another; becomes labels and `told_to_nodes`."""

    project: str
    run_id: str
    run_dir: str  # absolute folder on the host for this run's logs and events
    playbook: str = ""
    playbook_digest: str = ""
    restart_count: int = 0  # attempts of the same job before this one


class NodeStatus(StrEnum):
    """What an engine says of a node, in one vocabulary for all engines."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"
    DEAD = "dead"


COMMAND_CODES = {126: "its command cannot be executed", 127: "its command does not exist"}
"""How a command that never ran ends under `init`."""


@dataclass(frozen=True, slots=True)
class Oddity:
    """A setting that no playbook asks for, and what it is on every object of ours."""

    field: str
    found: str
    usual: str


@dataclass(frozen=True, slots=True)
class ObservedNode:
    """A node that bears our labels. Times are seconds since the epoch, None if not reached."""

    id: str
    spec: NodeSpec
    run_id: str
    spec_hash: str
    status: NodeStatus
    exit_code: int | None = None
    oom_killed: bool = False
    started_at_s: float | None = None
    finished_at_s: float | None = None
    image_id: str | None = None
    network_id: str | None = None
    error: str = ""
    run_dir: str = ""
    restart_count: int = 0
    was_restarted: bool = False  # started more than once: its peers knew another process
    entrypoint: tuple[str, ...] = ()
    oddities: tuple[Oddity, ...] = ()

    @property
    def name(self) -> str:
        """The name it bears now, which may not be the one it was given."""
        return self.spec.name

    @property
    def node_rank(self) -> int:
        """Its place in the gang, from its label."""
        return self.spec.node_rank

    @property
    def is_active(self) -> bool:
        """True while it holds processes, a paused one included."""
        return self.status in {NodeStatus.RUNNING, NodeStatus.PAUSED, NodeStatus.RESTARTING}

    @property
    def has_finished_well(self) -> bool:
        """True when its job ended with exit code 0."""
        return self.status is NodeStatus.EXITED and self.exit_code == 0

    @property
    def ending(self) -> str:
        """How it ended, in words, as far as its exit code tells."""
        code = self.exit_code
        if self.oom_killed:
            return f"ran out of memory (exit code {code})"
        if code in COMMAND_CODES:
            return f"exited with code {code}: {COMMAND_CODES[code]}"
        if code is not None and code > 128:
            return f"was killed by signal {code - 128} (exit code {code})"
        return f"exited with code {code}"


@dataclass(frozen=True, slots=True)
class ObservedImage:
    """An image on the engine, with the defaults that every container made from it inherits."""

    tag: str
    id: str
    build_inputs: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ObservedNetwork:
    """A network of the name that is wanted, or one with our labels; `project` None: not ours."""

    id: str
    name: str
    internal: bool
    project: str | None
    oddities: tuple[Oddity, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignObject:
    """Something that is in our way and not ours to touch: it bears a name we need, or our project.

    `project` and `owner` are the labels found on it, empty where it has none.
    """

    kind: str  # container | network | node
    name: str
    id: str
    project: str = ""
    owner: str = ""

    def __str__(self) -> str:
        if not self.project:
            whose = "not made by orchestrate"
        else:
            whose = f"of project {self.project}, owner {self.owner or 'unknown'}"
        return f"{self.kind} {self.name} ({self.id[:12]}, {whose})"


@dataclass(frozen=True, slots=True)
class ObservedState:
    """All that an engine found of one project, and what stands in its way.

    `lookalikes` bear the project's labels, yet are none of its nodes: they are left alone.
    """

    project: str
    image: ObservedImage | None = None
    networks: tuple[ObservedNetwork, ...] = ()
    nodes: tuple[ObservedNode, ...] = ()
    foreign: tuple[ForeignObject, ...] = ()
    lookalikes: tuple[ForeignObject, ...] = ()

    @property
    def exists(self) -> bool:
        """True when the engine holds anything of the project."""
        return bool(self.nodes or any(net.project == self.project for net in self.networks))


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """One project on an engine, found by labels alone.

    `other_owner` is the owner's label where it is not the asker's own project.
    """

    name: str
    playbook: str = ""
    node_names: tuple[str, ...] = ()
    other_owner: str | None = None

    @property
    def is_mine(self) -> bool:
        """True when whoever asked may change it."""
        return self.other_owner is None


@dataclass(frozen=True, slots=True)
class EngineTraits:
    """What an engine has, as far as resolving and planning must know."""

    name: str
    has_images: bool
    has_networks: bool
    is_isolated: bool
    node_env: Mapping[str, str] = field(default_factory=dict)
    loopback: bool = False  # nodes share the host's loopback instead of having names
    gpu_variable: str = "NVIDIA_VISIBLE_DEVICES"  # which GPUs a node sees, by UUID
    gpu_env: Mapping[str, str] = field(default_factory=dict)  # added where a node has GPUs
    endpoint: str = ""  # which of several engines of this name; empty for the usual one
    in_place: frozenset[str] = frozenset()  # fields that it can change while a node runs

    @property
    def lock_name(self) -> str:
        """Tells this engine from all others of this machine, in a form that suits a file name."""
        if not self.endpoint:
            return self.name
        return f"{self.name}-{zlib.crc32(self.endpoint.encode(errors='replace')):08x}"

    def address_of(self, node_name: str) -> str:
        """The address under which peers reach a node."""
        return "127.0.0.1" if self.loopback else node_name


def sorted_env(*layers: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Merge environments, later ones win, to the sorted pairs that a spec holds."""
    merged: dict[str, str] = {}
    for layer in layers:
        merged |= layer
    return tuple(sorted(merged.items()))
