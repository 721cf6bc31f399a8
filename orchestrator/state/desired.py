"""What a playbook asks of one engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from orchestrator.state.spec import NodeSpec, SidecarSpec

if TYPE_CHECKING:
    from orchestrator.gpus.demand import GpuDemand
    from orchestrator.images.recipe import BuildRecipe


class ImageSpec(Struct, frozen=True):
    """The image all nodes run; `build_inputs` is the digest of what it is built from."""

    tag: str
    pull: str = "missing"  # never | missing | always
    recipe: BuildRecipe | None = None
    build_inputs: str | None = None


class NetworkSpec(Struct, frozen=True):
    """The network that joins the nodes; an external one is used, never made or removed."""

    name: str
    internal: bool = True
    external: bool = False


class DesiredState(Struct, frozen=True):
    """Everything a playbook asks of one engine; `image`, `network` None where it has none.

    `gpus` is asked of the machine; the nodes have theirs once `devices.with_gpus` has chosen.
    `sidecar` is there before the nodes are, and of one run with them: one gang, one sidecar.
    """

    project: str
    image: ImageSpec | None
    network: NetworkSpec | None
    nodes: tuple[NodeSpec, ...]
    playbook: str = ""
    playbook_digest: str = ""
    gpus: GpuDemand | None = None
    sidecar: SidecarSpec | None = None

    @property
    def world_size(self) -> int:
        """The number of ranks over all nodes."""
        return sum(node.num_ranks for node in self.nodes)


class ProbeOrders(Struct, frozen=True):
    """What the probe is told of the checks, None or False where it has nothing to do for them.

    Attributes:
        join_s: a process that is not joined by then says where its threads are.
        hang_s: so does one that makes no optimizer step for so long.
        checksum: each rank reports a checksum of its parameters.
    """

    join_s: float | None = None
    hang_s: float | None = None
    checksum: bool = False


class RunIdentity(Struct, frozen=True):
    """What tells one run of a project from another; becomes labels and `told_to_nodes`."""

    project: str
    run_id: str
    run_dir: str  # absolute folder on the host for this run's logs and events
    playbook: str = ""
    playbook_digest: str = ""
    restart_count: int = 0  # attempts of the same job before this one
    probe: ProbeOrders = ProbeOrders()
