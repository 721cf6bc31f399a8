"""What will be done, as values: one frozen class per action, each with its cause.

`str(plan)` is the text that planner tests compare and that `orchestrate plan` prints.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.state import ImageSpec, NetworkSpec, NodeSpec, ObservedNetwork, ObservedNode


@dataclass(frozen=True, slots=True)
class BuildImage:
    """Build `image.tag` from `image.recipe`."""

    image: ImageSpec
    cause: str

    def __str__(self) -> str:
        return f"+ build image {self.image.tag}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class PullImage:
    """Fetch `image.tag` from its registry."""

    image: ImageSpec
    cause: str

    def __str__(self) -> str:
        return f"+ pull image {self.image.tag}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class RemoveNode:
    """Stop a node if it runs, keep its log, remove it."""

    node: ObservedNode
    cause: str

    def __str__(self) -> str:
        return f"- remove node {self.node.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class RemoveNetwork:
    """Remove a network of ours that no node uses any more."""

    network: ObservedNetwork
    cause: str

    def __str__(self) -> str:
        return f"- remove network {self.network.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """Create the network that the nodes share."""

    network: NetworkSpec
    cause: str

    def __str__(self) -> str:
        return f"+ create network {self.network.name}  ({self.cause})"


@dataclass(frozen=True, slots=True)
class StartNode:
    """Create one node and start it."""

    node: NodeSpec
    cause: str

    def __str__(self) -> str:
        gpus = f"  gpus: {','.join(self.node.gpus)}" if self.node.gpus else ""
        return f"+ start node {self.node.name}{gpus}  ({self.cause})"


Action = BuildImage | PullImage | RemoveNode | RemoveNetwork | CreateNetwork | StartNode


@dataclass(frozen=True, slots=True)
class Unchanged:
    """An object that is already as it should be, and in which state."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"= {self.name}  ({self.why})"


@dataclass(frozen=True, slots=True)
class Plan:
    """The way from observed to desired, in the order in which it is carried out.

    The image comes first: while it cannot be had, what runs is left alone. All nodes
    go before any network, and all of the old gang goes before any of the new.
    """

    project: str
    image: BuildImage | PullImage | None = None
    remove_nodes: tuple[RemoveNode, ...] = ()
    remove_networks: tuple[RemoveNetwork, ...] = ()
    create_network: CreateNetwork | None = None
    start_nodes: tuple[StartNode, ...] = ()
    unchanged: tuple[Unchanged, ...] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """Every action, in order."""
        image = (self.image,) if self.image else ()
        network = (self.create_network,) if self.create_network else ()
        return (
            *image,
            *self.remove_nodes,
            *self.remove_networks,
            *network,
            *self.start_nodes,
        )

    @property
    def is_empty(self) -> bool:
        """True when nothing has to be done."""
        return not self.actions

    def __str__(self) -> str:
        return "\n".join(str(line) for line in (*self.unchanged, *self.actions))
