"""What an engine found of a project."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from orchestrator.state.spec import ContainerSpec, HealthCommand, NodeSpec, SidecarSpec


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


class Oddity(Struct, frozen=True):
    """A setting that no playbook asks for, and what it is on every object of ours."""

    field: str
    found: str
    usual: str


class NodeHealth(Struct, frozen=True):
    """What came of a node's health command, as far as its engine remembers.

    `status` is `starting`, `healthy` or `unhealthy`; of a node that has ended it says nothing.
    `has_passed` is about the latest few times that the command was run; `exit_code` and `output`
    are of the last one, None and empty where it has not run.
    """

    status: str
    has_passed: bool = False
    exit_code: int | None = None
    output: str = ""


class ObservedContainer(Struct, frozen=True):
    """What a node and a sidecar that bear our labels have in common.

    Times are seconds since the epoch, None if not reached.
    """

    id: str
    spec: ContainerSpec
    run_id: str
    spec_hash: str
    status: NodeStatus
    exit_code: int | None = None
    oom_killed: bool = False
    created_at_s: float | None = None
    started_at_s: float | None = None
    finished_at_s: float | None = None
    image_id: str | None = None
    network_id: str | None = None
    error: str = ""
    run_dir: str = ""
    was_restarted: bool = False  # started more than once: its peers knew another process
    entrypoint: tuple[str, ...] = ()
    oddities: tuple[Oddity, ...] = ()
    health: NodeHealth | None = None  # None: it has no health command

    @property
    def name(self) -> str:
        """The name it bears now, which may not be the one it was given."""
        return self.spec.name

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


class ObservedNode(ObservedContainer, frozen=True):
    """A node that bears our labels."""

    spec: NodeSpec
    restart_count: int = 0
    # Where this machine reaches its ports, empty where it does not.
    address: str = ""

    @property
    def node_rank(self) -> int:
        """Its place in the gang, from its label."""
        return self.spec.node_rank


class ObservedSidecar(ObservedContainer, frozen=True):
    """A sidecar that bears our labels.

    `restores` are the compute modes that its GPUs are given back when it goes, by UUID.
    """

    spec: SidecarSpec
    restores: tuple[tuple[str, str], ...] = ()


class ObservedImage(Struct, frozen=True):
    """An image on the engine, with the defaults that every container made from it inherits."""

    tag: str
    id: str
    build_inputs: str | None = None
    env: tuple[tuple[str, str], ...] = ()
    user: str = ""
    workdir: str = ""
    entrypoint: tuple[str, ...] = ()
    health: HealthCommand | None = None


class ObservedNetwork(Struct, frozen=True):
    """A network of the name that is wanted, or one with our labels; `project` None: not ours."""

    id: str
    name: str
    internal: bool
    project: str | None
    oddities: tuple[Oddity, ...] = ()


class ForeignObject(Struct, frozen=True):
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


class ObservedState(Struct, frozen=True):
    """All that an engine found of one project, and what stands in its way.

    `lookalikes` bear the project's labels, yet are none of its objects: they are left alone.
    `compute_modes` are those of this machine's GPUs by UUID, where they were asked for.
    """

    project: str
    image: ObservedImage | None = None
    networks: tuple[ObservedNetwork, ...] = ()
    nodes: tuple[ObservedNode, ...] = ()
    foreign: tuple[ForeignObject, ...] = ()
    lookalikes: tuple[ForeignObject, ...] = ()
    sidecars: tuple[ObservedSidecar, ...] = ()
    compute_modes: tuple[tuple[str, str], ...] = ()

    @property
    def exists(self) -> bool:
        """True when the engine holds anything of the project."""
        held = self.nodes or self.sidecars
        return bool(held or any(net.project == self.project for net in self.networks))


class ProjectSummary(Struct, frozen=True):
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
