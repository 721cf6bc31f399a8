"""What will be done, as values: one frozen class per action, each with its cause.

A cause is words, fields that differ, or both. What a plan does to each object, for people
and for machines, is in `planned.py`.
"""

from __future__ import annotations

from msgspec import Struct

from orchestrator.plans.difference import FieldChange
from orchestrator.state.desired import ImageSpec, NetworkSpec
from orchestrator.state.observed import ObservedNetwork, ObservedNode, ObservedSidecar
from orchestrator.state.spec import NodeSpec, SidecarSpec


class BuildImage(Struct, frozen=True):
    """Build `image.tag` from `image.recipe`."""

    image: ImageSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"+ build image {self.image.tag}  ({_reason(self)})"


class PullImage(Struct, frozen=True):
    """Fetch `image.tag` from its registry."""

    image: ImageSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"+ pull image {self.image.tag}  ({_reason(self)})"


class RemoveNode(Struct, frozen=True):
    """Stop a node if it runs, keep its log, remove it."""

    node: ObservedNode
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"- remove node {self.node.name}  ({_reason(self)})"


class RemoveNetwork(Struct, frozen=True):
    """Remove a network of ours that no node uses any more."""

    network: ObservedNetwork
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"- remove network {self.network.name}  ({_reason(self)})"


class CreateNetwork(Struct, frozen=True):
    """Create the network that the nodes share."""

    network: NetworkSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"+ create network {self.network.name}  ({_reason(self)})"


class StartNode(Struct, frozen=True):
    """Create one node and start it."""

    node: NodeSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        gpus = f"  gpus: {','.join(self.node.gpus)}" if self.node.gpus else ""
        return f"+ start node {self.node.name}{gpus}  ({_reason(self)})"


class ChangeNode(Struct, frozen=True):
    """Give a node that stays the name and limits that it should have, and thaw a paused one."""

    node: ObservedNode
    wanted: NodeSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"~ change node {self.wanted.name}  ({_reason(self)})"


class StartSidecar(Struct, frozen=True):
    """Create a sidecar, start it, and wait until it is ready for the nodes.

    `restores` are the compute modes, by UUID, that its GPUs are to be given back when it goes.
    """

    sidecar: SidecarSpec
    cause: str
    changes: tuple[FieldChange, ...] = ()
    restores: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        gpus = f"  gpus: {','.join(self.sidecar.gpus)}" if self.sidecar.gpus else ""
        return f"+ start {self.sidecar.title} {self.sidecar.name}{gpus}  ({_reason(self)})"


class RemoveSidecar(Struct, frozen=True):
    """Keep a sidecar's log and remove it; no node needs it any more."""

    sidecar: ObservedSidecar
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"- remove {self.sidecar.spec.title} {self.sidecar.name}  ({_reason(self)})"


class SetComputeMode(Struct, frozen=True):
    """Set who may use a GPU of this machine at a time, for whoever uses it, or put that back."""

    uuid: str
    mode: str
    cause: str
    changes: tuple[FieldChange, ...] = ()

    def __str__(self) -> str:
        return f"~ set gpu {self.uuid}  ({_reason(self)})"


Action = (
    BuildImage
    | PullImage
    | RemoveNode
    | SetComputeMode
    | RemoveSidecar
    | RemoveNetwork
    | CreateNetwork
    | StartSidecar
    | StartNode
    | ChangeNode
)


def _reason(action: Action) -> str:
    return "; ".join((*([action.cause] if action.cause else []), *map(str, action.changes)))


class Unchanged(Struct, frozen=True):
    """An object that is already as it should be, and in which state."""

    name: str  # its kind and its name: `node two-rank-node-0`
    why: str
    node_rank: int | None = None


class Plan(Struct, frozen=True):
    """The way from observed to desired, in the order in which it is carried out.

    The image comes first: while it cannot be had, what runs is left alone. All nodes
    go before any network, and all of the old gang goes before any of the new. Nodes are
    changed in place only where none is replaced. What is left alone is not ours.

    A sidecar goes after the nodes that need it and comes before them. What a GPU is set to is put
    back while the sidecar that remembers it is still there, and is set once its successor is.
    """

    project: str
    image: BuildImage | PullImage | None = None
    remove_nodes: tuple[RemoveNode, ...] = ()
    restore_modes: tuple[SetComputeMode, ...] = ()
    remove_sidecars: tuple[RemoveSidecar, ...] = ()
    remove_networks: tuple[RemoveNetwork, ...] = ()
    create_network: CreateNetwork | None = None
    start_sidecar: StartSidecar | None = None
    set_modes: tuple[SetComputeMode, ...] = ()
    start_nodes: tuple[StartNode, ...] = ()
    change_nodes: tuple[ChangeNode, ...] = ()
    unchanged: tuple[Unchanged, ...] = ()
    left_alone: tuple[Unchanged, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action, in order."""
        image = (self.image,) if self.image else ()
        network = (self.create_network,) if self.create_network else ()
        sidecar = (self.start_sidecar,) if self.start_sidecar else ()
        return (
            *image,
            *self.remove_nodes,
            *self.restore_modes,
            *self.remove_sidecars,
            *self.remove_networks,
            *network,
            *sidecar,
            *self.set_modes,
            *self.start_nodes,
            *self.change_nodes,
        )

    @property
    def is_empty(self) -> bool:
        """True when nothing has to be done."""
        return not self.actions
