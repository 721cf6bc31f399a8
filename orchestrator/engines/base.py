"""The one interface between this program and whatever runs the nodes.

An engine observes and performs; it decides nothing. Every method returns within a
deadline of its own or raises one of the types in `orchestrator.errors`. Engines keep
what they must remember on their own objects (labels), so any of these calls works from
another process than the one that created them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event
from typing import Protocol, runtime_checkable

from msgspec import Struct

from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import (
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ObservedState,
    ProjectSummary,
)
from orchestrator.state.spec import NodeSpec, SidecarSpec
from orchestrator.state.traits import EngineTraits
from orchestrator.state.usage import Usage


class Query(Struct, frozen=True):
    """What to look at besides the objects that bear the project's label.

    The names are those a playbook needs: an object that bears one of them and is not
    the project's comes back as a `ForeignObject`.
    """

    project: str
    image_tag: str | None = None
    network: str | None = None
    network_is_external: bool = False
    node_names: tuple[str, ...] = ()
    sidecar: str | None = None

    @property
    def container_names(self) -> tuple[str, ...]:
        """The names of all containers that the playbook needs."""
        return (*self.node_names, self.sidecar) if self.sidecar else self.node_names


OnLine = Callable[[str], None]
"""Takes one line of progress text."""

OnLog = Callable[[LogLine | LogEnd], None]
"""Takes what comes from the nodes' logs; called from one thread at a time."""


class Engine(Protocol):
    """What every engine can do. Optional abilities are protocols of their own."""

    @property
    def traits(self) -> EngineTraits:
        """What the engine has; fixed for its lifetime."""

    def observe(self, query: Query) -> ObservedState:
        """Look at one project. Changes nothing."""

    def observe_nodes(self, project: str) -> tuple[ObservedNode, ...]:
        """The project's nodes alone, in rank order: the cheap call for a loop."""

    def projects(self, name: str | None = None) -> tuple[ProjectSummary, ...]:
        """Every project on this engine, by name, found by labels alone; or those of one name.

        Two of one name are of two owners. Asking for one does not grow with what else there is.
        """

    def build_image(self, image: ImageSpec, on_line: OnLine) -> None:
        """Build `image.tag` from `image.recipe`. Raises ImageUnavailable."""

    def pull_image(self, image: ImageSpec, on_line: OnLine) -> None:
        """Fetch `image.tag`. Raises ImageUnavailable."""

    def create_network(self, network: NetworkSpec, project: str) -> None:
        """Create the network, labelled as the project's."""

    def remove_network(self, network: ObservedNetwork) -> None:
        """Remove a network; one that is gone already is no error."""

    def start_nodes(
        self, nodes: Sequence[NodeSpec], identity: RunIdentity, on_started: Callable[[str], None]
    ) -> None:
        """Create and start the nodes, several at a time; `on_started` gets each name.

        After an error no further node is started; those that were stay as they are.
        """

    def change_node(self, node: ObservedNode, wanted: NodeSpec) -> None:
        """Change what `traits.in_place` names while the node's processes go on.

        A field that is as wanted already is no error, so the call may be repeated.
        """

    def stop_nodes(self, nodes: Sequence[ObservedNode], *, grace_s: float) -> None:
        """SIGTERM to all at once, SIGKILL to those that still run after `grace_s`."""

    def remove_nodes(self, nodes: Sequence[ObservedNode]) -> None:
        """Remove the nodes, with force; one that is gone already is no error."""

    def clear(self, project: str) -> None:
        """Remove what a killed call left of a project that has no nodes and networks any more.

        That is what no other call tells of, such as an empty folder. Nothing there is no error.
        """

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """Hand over every line from each node's start, live, merged as they come.

        Each node's lines are followed by its `LogEnd` once it has ended and nothing more
        will come. Returns after the last `LogEnd`, or soon after `stop` is set.
        """

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """Hand over what the nodes have written so far, node by node, and return.

        A node that has ended gets its `LogEnd`.
        """

    def save_log(self, node: ObservedNode, path: Path) -> None:
        """Write the node's whole output, byte for byte, to `path`, atomically. Raises LogGone."""


@runtime_checkable
class InjectsDevices(Protocol):
    """An engine that may know devices by names of the Container Device Interface."""

    def cdi_devices(self) -> frozenset[str]:
        """The names that it can inject now, such as `nvidia.com/gpu=GPU-…`; none without CDI."""


@runtime_checkable
class UsageSource(Protocol):
    """An engine that counts what its nodes use."""

    def usage(self, nodes: Sequence[ObservedNode]) -> tuple[Usage, ...]:
        """What the nodes that still run have used; one that has ended is left out."""


Restores = tuple[tuple[str, str], ...]
"""Compute modes of GPUs by UUID: what a sidecar remembers of them, for when it goes."""


@runtime_checkable
class RunsSidecars(Protocol):
    """An engine that keeps a container beside the nodes, whose IPC namespace they join."""

    def observe_sidecars(self, project: str) -> tuple[ObservedSidecar, ...]:
        """The project's sidecars alone; more than one only where somebody meddled."""

    def start_sidecar(
        self, sidecar: SidecarSpec, identity: RunIdentity, restores: Restores
    ) -> None:
        """Create and start it; returns once its health command has passed.

        Raises:
            SidecarNotStarted: it ended, or has not become ready in time.
        """

    def remove_sidecars(self, sidecars: Sequence[ObservedSidecar]) -> None:
        """Remove them, with force; one that is gone already is no error."""

    def save_sidecar_log(self, sidecar: ObservedSidecar, path: Path) -> None:
        """As `Engine.save_log` does. Raises LogGone."""
