"""Builders of specs and states, and a world that behaves like an engine but is a dictionary."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from msgspec.structs import replace

from orchestrator.plans.document import plan_text
from orchestrator.plans.plan import (
    BuildImage,
    ChangeNode,
    CreateNetwork,
    Plan,
    PullImage,
    RemoveNetwork,
    RemoveNode,
    RemoveSidecar,
    SetComputeMode,
    StartNode,
    StartSidecar,
)
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec
from orchestrator.state.observed import (
    ForeignObject,
    NodeHealth,
    NodeStatus,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ObservedState,
)
from orchestrator.state.spec import (
    NO_NETWORK,
    SHAREABLE,
    ContainerSpec,
    HealthCommand,
    Limits,
    NodeSpec,
    SidecarSpec,
    sorted_env,
    spec_hash,
)

PROJECT = "pair"
IN_PLACE = frozenset({"name", "status", "resources.cpus", "resources.memory", "resources.pids"})
"""What an engine such as Docker can change while a node runs."""

IMAGE_ENV = (("LANG", "C.UTF-8"), ("PATH", "/usr/local/bin:/usr/bin"))


def told(plan: Plan) -> list[str]:
    """What a plan says of each object, without the columns and the count at its end."""
    return [" ".join(line.split()) for line in plan_text(plan).splitlines()[:-1]]


def node_spec(node_rank: int = 0, num_ranks: int = 1) -> NodeSpec:
    """A node of `PROJECT` as a playbook would ask for it."""
    return NodeSpec(
        node_rank=node_rank,
        num_ranks=num_ranks,
        name=f"{PROJECT}-node-{node_rank}",
        command=("python", "train.py"),
        image="app:1",
        env=(("MASTER_ADDR", f"{PROJECT}-node-0"), ("RANK", str(node_rank))),
        limits=Limits(cpus=1.0, memory_bytes=2**30, shm_bytes=2**28, pids=512),
        network=f"{PROJECT}-net",
    )


def desired_state(num_nodes: int = 2, num_ranks: int = 1) -> DesiredState:
    """What a playbook with an image to pull and a network of its own asks for."""
    return DesiredState(
        project=PROJECT,
        image=ImageSpec("app:1"),
        network=NetworkSpec(f"{PROJECT}-net"),
        nodes=tuple(node_spec(rank, num_ranks) for rank in range(num_nodes)),
    )


def on_every_node(desired: DesiredState, **changes: object) -> DesiredState:
    """The same state with fields of all nodes changed."""
    nodes = tuple(replace(node, **changes) for node in desired.nodes)
    return replace(desired, nodes=nodes)


GPU = "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"


def sidecar_spec(*, compute_mode: str | None = None) -> SidecarSpec:
    """The MPS daemon of `PROJECT`, on `GPU`."""
    return SidecarSpec(
        role="mps",
        name=f"{PROJECT}-mps",
        command=("nvidia-cuda-mps-control", "-f"),
        image="app:1",
        env=(("CUDA_MPS_PIPE_DIRECTORY", "/dev/shm/nvidia-mps"),),
        limits=Limits(shm_bytes=2**29),
        network=NO_NETWORK,
        gpus=(GPU,),
        health=HealthCommand("echo ps | nvidia-cuda-mps-control"),
        ipc=SHAREABLE,
        compute_mode=compute_mode,
    )


def with_sidecar(desired: DesiredState, *, compute_mode: str | None = None) -> DesiredState:
    """The same state with nodes that lean on a sidecar."""
    sidecar = sidecar_spec(compute_mode=compute_mode)
    return replace(on_every_node(desired, ipc=sidecar.name, gpus=(GPU,)), sidecar=sidecar)


@dataclass
class World:
    """All objects of one engine, ours or not. It refuses what a real engine would refuse.

    Ids are counted, so that plans made from it read the same each time.
    """

    images: dict[str, ObservedImage] = field(default_factory=dict)
    networks: dict[str, ObservedNetwork] = field(default_factory=dict)
    nodes: dict[str, ObservedNode] = field(default_factory=dict)
    strangers: list[ForeignObject] = field(default_factory=list)
    lookalikes: list[ForeignObject] = field(default_factory=list)
    sidecars: dict[str, ObservedSidecar] = field(default_factory=dict)
    compute_modes: dict[str, str] = field(default_factory=dict)
    clients: str = "clients: 2 now, 2 at most"  # the health command of every sidecar says so
    num_made: int = 0
    num_runs: int = 0

    def observe(self, desired: DesiredState) -> ObservedState:
        """What an engine would find when asked for what `desired` needs."""
        wanted, names = desired.network, {node.name for node in desired.nodes}
        networks = tuple(
            net
            for net in self.networks.values()
            if net.project == desired.project or (wanted and net.name == wanted.name)
        )
        clashes = tuple(
            ForeignObject("network", net.name, net.id, net.project or "")
            for net in networks
            if net.project != desired.project and wanted and not wanted.external
        )
        return ObservedState(
            project=desired.project,
            image=self.images.get(desired.image.tag) if desired.image else None,
            networks=networks,
            nodes=tuple(sorted(self.nodes.values(), key=lambda node: (node.node_rank, node.id))),
            foreign=(*(each for each in self.strangers if each.name in names), *clashes),
            lookalikes=tuple(self.lookalikes),
            sidecars=tuple(self.sidecars.values()),
            compute_modes=tuple(self.compute_modes.items()),
        )

    def carry_out(self, plan: Plan) -> None:
        """Do what a plan says, in its order, as one run."""
        self.num_runs += 1
        for action in plan.actions:
            match action:
                case BuildImage(image) | PullImage(image):
                    self.add_image(image.tag, build_inputs=image.build_inputs)
                case RemoveNode(node):
                    del self.nodes[node.id]
                case RemoveNetwork(network):
                    self._remove_network(network)
                case CreateNetwork(network):
                    assert network.name not in {net.name for net in self.networks.values()}
                    self.add_network(network.name, internal=network.internal)
                case StartNode(spec):
                    self.start(spec)
                case ChangeNode(node, wanted):
                    self.make_as(node.id, wanted)
                case _:
                    self._carry_out_beside(action)

    def _carry_out_beside(self, action: object) -> None:
        match action:
            case RemoveSidecar(sidecar):
                self.remove_sidecar(sidecar)
            case StartSidecar(sidecar=sidecar, restores=restores):
                self.start_sidecar(sidecar, f"run-{self.num_runs}", restores)
            case SetComputeMode(uuid, mode):
                self.compute_modes[uuid] = mode

    def add_image(self, tag: str, *, build_inputs: str | None = None) -> None:
        """Have a new image under a tag, with defaults that containers inherit."""
        self.images[tag] = ObservedImage(
            tag, f"sha256:{self._next_id()}", build_inputs, IMAGE_ENV, "1000", "/app"
        )

    def add_network(
        self, name: str, *, internal: bool = True, project: str | None = PROJECT
    ) -> None:
        """Have a network, which may be a second one of its name."""
        made = ObservedNetwork(self._next_id(), name, internal, project)
        self.networks[made.id] = made

    def start(self, spec: NodeSpec) -> None:
        """Create and start a node; what the spec leaves open comes from its image."""
        assert spec.name not in {node.name for node in self.nodes.values()}, "name is taken"
        networks = [net.id for net in self.networks.values() if net.name == spec.network]
        assert len(networks) == (1 if spec.network else 0), "network missing or ambiguous"
        image = self.images[spec.image] if spec.image else None
        beside = {sidecar.name for sidecar in self.sidecars.values()}
        assert spec.ipc in {None, *beside}, "there is no such IPC namespace"
        node = ObservedNode(
            id=self._next_id(),
            spec=_with_image(spec, image),
            run_id=f"run-{self.num_runs}",
            spec_hash=spec_hash(spec),
            status=NodeStatus.RUNNING,
            started_at_s=100.0,
            image_id=image.id if image else None,
            network_id=networks[0] if networks else None,
        )
        self.nodes[node.id] = node

    def start_sidecar(
        self, spec: SidecarSpec, run_id: str, restores: tuple[tuple[str, str], ...] = ()
    ) -> None:
        """Create a sidecar that is ready."""
        assert spec.name not in {each.name for each in self.sidecars.values()}, "name is taken"
        image = self.images[spec.image or ""]
        made = ObservedSidecar(
            id=self._next_id(),
            spec=_with_image(spec, image),
            run_id=run_id,
            spec_hash=spec_hash(spec),
            status=NodeStatus.RUNNING,
            started_at_s=99.0,
            image_id=image.id,
            health=NodeHealth("healthy", True, 0, self.clients),
            restores=restores,
        )
        self.sidecars[made.id] = made

    def remove_sidecar(self, sidecar: ObservedSidecar) -> None:
        """Remove a sidecar; what its GPUs were set to is then known to nobody."""
        leaning = [n.name for n in self.nodes.values() if n.spec.ipc == sidecar.name]
        assert not leaning, f"{sidecar.name} goes before {leaning}"
        for uuid, mode in sidecar.restores:
            assert self.compute_modes[uuid] == mode, f"{uuid} was not put back"
        del self.sidecars[sidecar.id]

    def change_sidecar(self, **changes: object) -> None:
        """Have something happen to every sidecar."""
        for each in list(self.sidecars.values()):
            self.sidecars[each.id] = replace(each, **changes)

    def make_as(self, node_id: str, wanted: NodeSpec) -> None:
        """Change a node in place, as far as that goes."""
        node = self.nodes[node_id]
        taken = {each.name for each in self.nodes.values() if each.id != node_id}
        assert wanted.name not in taken, "name is taken"
        limits = replace(wanted.limits, shm_bytes=node.spec.limits.shm_bytes)
        self.nodes[node_id] = replace(
            node,
            spec=replace(node.spec, name=wanted.name, limits=limits),
            status=NodeStatus.RUNNING if node.status is NodeStatus.PAUSED else node.status,
        )

    def change(self, node_rank: int, **changes: object) -> None:
        """Have something happen to the node of a rank."""
        for node in list(self.nodes.values()):
            if node.node_rank == node_rank:
                self.nodes[node.id] = replace(node, **changes)

    def change_spec(self, node_rank: int, change: Callable[[NodeSpec], NodeSpec]) -> None:
        """Have somebody meddle with the container of a rank."""
        for node in list(self.nodes.values()):
            if node.node_rank == node_rank:
                self.nodes[node.id] = replace(node, spec=change(node.spec))

    def end(self, node_rank: int, code: int, *, oom_killed: bool = False) -> None:
        """Have a node's job end."""
        self.change(
            node_rank,
            status=NodeStatus.EXITED,
            exit_code=code,
            oom_killed=oom_killed,
            finished_at_s=200.0,
        )

    def _remove_network(self, network: ObservedNetwork) -> None:
        in_use = [n.name for n in self.nodes.values() if n.network_id == network.id]
        assert not in_use, f"network {network.name} has endpoints: {in_use}"
        del self.networks[network.id]

    def _next_id(self) -> str:
        self.num_made += 1
        return f"{self.num_made:04d}" + "f" * 60


Spec = TypeVar("Spec", bound=ContainerSpec)


def _with_image(spec: Spec, image: ObservedImage | None) -> Spec:
    if image is None:
        return spec
    return replace(
        spec,
        env=sorted_env(dict(image.env), dict(spec.env)),
        user=spec.user or image.user or None,
        workdir=spec.workdir or image.workdir or None,
    )
