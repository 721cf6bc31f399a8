"""The GPU side of a run: from the playbook's `gpu` to what every node is given. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import TYPE_CHECKING, TypeVar

from msgspec.structs import replace

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.names import cdi_name, is_cdi
from orchestrator.playbook.models import Playbook
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import UNLIMITED, NodeSpec, SidecarSpec, sorted_env
from orchestrator.state.traits import EngineTraits

if TYPE_CHECKING:
    from orchestrator.gpus.assignment import Uuids
    from orchestrator.gpus.inventory import Gpu

Spec = TypeVar("Spec", NodeSpec, SidecarSpec)

ENV_MODE = "ORCHESTRATE_GPU_MODE"
ENV_GPUS = "ORCHESTRATE_GPUS"
"""The UUIDs of a node's own GPUs, by whatever way it was given them."""

ENV_ORDER = "CUDA_DEVICE_ORDER"

_AUTO = {"cpu": "gloo", "exclusive": "nccl", "shared": "gloo", "mps": "gloo", "mig": "gloo"}


def backend(playbook: Playbook) -> str:
    """What ranks are told to give to `init_process_group`."""
    asked, mode = playbook.rendezvous.backend, playbook.gpu.mode
    chosen = _AUTO[mode] if asked == "auto" else asked
    # Where CUDA is present, plain "gloo" has a DeviceMesh quietly add nccl for CUDA tensors.
    return "cpu:gloo,cuda:gloo" if chosen == "gloo" and mode != "cpu" else chosen


def gpu_env(playbook: Playbook, traits: EngineTraits) -> Mapping[str, str]:
    """What every node is told besides which GPUs are its own; nothing in mode cpu."""
    gpu = playbook.gpu
    if gpu.mode == "cpu":
        return {}
    # CUDA's own order is by speed, and then the driver's: LOCAL_RANK would pick any of them.
    order = {ENV_ORDER: "PCI_BUS_ID"}
    env = {**traits.gpu_env, **order, "ORCHESTRATE_DEVICE": "cuda", ENV_MODE: gpu.mode}
    if gpu.memory_fraction is not None:
        env["ORCHESTRATE_GPU_MEMORY_FRACTION"] = f"{gpu.memory_fraction:g}"
    return env


def memlock_bytes(playbook: Playbook) -> int | None:
    """How much memory a node may lock: any amount, as NCCL asks; None in mode cpu."""
    gpu = playbook.gpu
    if gpu.mode == "cpu":
        return None
    return UNLIMITED if gpu.memlock_bytes is None else gpu.memlock_bytes


def gpu_demand(playbook: Playbook, traits: EngineTraits) -> GpuDemand | None:
    """What is asked of the machine's GPUs; None in mode cpu."""
    gpu = playbook.gpu
    if gpu.mode == "cpu":
        return None
    per_node = gpu.per_node or playbook.ranks.nproc_per_node
    return GpuDemand(gpu.mode, traits.gpu_variable, per_node, gpu.devices)


def with_gpus(
    desired: DesiredState,
    gpus: Sequence[Gpu],
    nodes: Iterable[ObservedNode],
    others: Iterable[ObservedNode] = (),
    offered: Set[str] = frozenset(),
) -> DesiredState:
    """Give every node its GPUs; one that has suitable ones keeps them.

    Args:
        desired: what the playbook asks for.
        gpus: what the machine has.
        nodes: the project's nodes, as an engine found them.
        others: the nodes of all other projects.
        offered: the devices that the engine knows by CDI names.

    Raises:
        GpuUnavailable: there are too few, or not the ones that the playbook names.
    """
    demand = desired.gpus
    if demand is None:
        return desired
    from orchestrator.gpus.assignment import assign  # most playbooks ask for no GPU
    from orchestrator.gpus.pool import closed

    nodes = tuple(nodes)
    held = {node.node_rank: _planned(node) for node in nodes}
    wanted = [held.get(node.node_rank, ()) for node in desired.nodes]
    given = assign(demand, gpus, wanted, _taken(demand, others) | closed(demand, gpus))
    give = _by_cdi if _uses_cdi(given, nodes, offered) else _by_uuid
    pairs = zip(desired.nodes, given, strict=True)
    beside = desired.sidecar
    return replace(
        desired,
        nodes=tuple(give(node, uuids, demand) for node, uuids in pairs),
        sidecar=give(beside, given[0], demand) if beside else None,
    )


def compute_modes(gpus: Iterable[Gpu]) -> tuple[tuple[str, str], ...]:
    """Who may use each GPU at a time, by UUID, in the words in which that is set."""
    return tuple((gpu.uuid, gpu.compute_mode.upper()) for gpu in gpus)


def refuse_collisions(
    desired: DesiredState, starting: Iterable[NodeSpec], others: Iterable[ObservedNode]
) -> None:
    """Refuse to start a node on a GPU that a node of another project has for itself, or would.

    NCCL does not notice: its check for one GPU used twice ends at the container.

    Raises:
        GpuUnavailable: with who uses it.
    """
    taken = _taken(desired.gpus, others) if desired.gpus else {}
    for node in starting:
        for uuid in node.gpu_uuids:
            if uuid in taken:
                raise GpuUnavailable(
                    f"{uuid}, which node {node.name} had: {taken[uuid]} now",
                    fix="wait for it, destroy one of the two projects, or name other gpu.devices",
                )


def _planned(node: ObservedNode) -> Uuids:
    """What the node was told, not what it has: a device that was changed by hand is drift."""
    told = dict(node.spec.env).get(ENV_GPUS, "")
    return tuple(told.split(",")) if told else ()


def _taken(demand: GpuDemand, others: Iterable[ObservedNode]) -> dict[str, str]:
    """`{uuid: why}` of the GPUs that this demand cannot have because of other projects."""
    return {
        uuid: f"node {node.name} uses it"
        for node in others
        if node.is_active and (demand.mode in _ALONE or _mode(node) in _ALONE)
        for uuid in node.spec.gpu_uuids
    }


# A GPU that one project's MPS server holds is of no use to another's.
_ALONE = ("exclusive", "mps", "mig")


def _mode(node: ObservedNode) -> str:
    return dict(node.spec.env).get(ENV_MODE, "")


def _uses_cdi(given: Sequence[Uuids], nodes: Sequence[ObservedNode], offered: Set[str]) -> bool:
    """True where the engine knows every device by a CDI name.

    Nodes that were given theirs by UUID stay as they are: a toolkit that is newer now is no
    reason to make a run again.
    """
    if not all(cdi_name(uuid) in offered for uuids in given for uuid in uuids):
        return False
    asked = [name for node in nodes for name in node.spec.gpus]
    return not asked or any(map(is_cdi, asked))


def _by_uuid(node: Spec, uuids: Uuids, demand: GpuDemand) -> Spec:
    own = {ENV_GPUS: ",".join(uuids), demand.variable: ",".join(uuids)}
    return replace(node, gpus=uuids, env=sorted_env(dict(node.env), own))


def _by_cdi(node: Spec, uuids: Uuids, _: GpuDemand) -> Spec:
    """The engine injects them; NVIDIA's runtime, told that it has none to add, keeps out of it."""
    env = sorted_env(dict(node.env), {ENV_GPUS: ",".join(uuids)})
    return replace(node, gpus=tuple(map(cdi_name, uuids)), env=env)
