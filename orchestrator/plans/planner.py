"""Desired and observed state in, plan out. Pure: no clock, no engine, no files.

Two rules shape every plan. The nodes of a run form one process group, so a node that
has diverged takes the whole gang with it, unless it can be mended while it runs. And jobs
end: a node that exited 0 with the desired spec has converged.
"""

from __future__ import annotations

from collections import Counter

from msgspec.structs import replace

from orchestrator.errors import AddressUnavailable, ImageUnavailable, NameTaken, NotOwner
from orchestrator.plans.difference import BUILD_INPUTS, FieldChange
from orchestrator.plans.drift import Drift, network_drift, node_drifts, sidecar_drift
from orchestrator.plans.plan import (
    BuildImage,
    ChangeNode,
    CreateNetwork,
    Plan,
    PullImage,
    RemoveNetwork,
    RemoveNode,
    StartNode,
    Unchanged,
)
from orchestrator.plans.sidecars import (
    SidecarSteps,
    keep_sidecar,
    remove_sidecars,
    replace_sidecar,
)
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec
from orchestrator.state.observed import ForeignObject, ObservedImage, ObservedNode, ObservedState


def make_plan(
    desired: DesiredState,
    observed: ObservedState,
    *,
    rerun: bool = False,
    failure: str = "",
    in_place: frozenset[str] = frozenset(),
) -> Plan:
    """Decide what must be done for `observed` to become `desired`.

    Args:
        desired: what the playbook asks for.
        observed: what the engine found.
        rerun: replace a gang that is as it should be all the same.
        failure: what the health checks say of the run that was observed; empty: they hold.
        in_place: the fields that the engine can change while a node runs.

    Raises:
        NotOwner: the project is another owner's on this engine.
        NameTaken: an object that is not ours bears a name that is needed.
        ImageUnavailable: the image is not there, cannot be built and may not be pulled.
    """
    refuse_rivals(observed)
    _refuse_foreign(observed.foreign)
    image = _plan_image(desired.image, observed.image)
    stale = _stale_networks(desired, observed)
    network = _plan_network(desired, observed, stale)
    own = node_drifts(desired, observed, in_place)
    beside = sidecar_drift(desired.sidecar, observed)
    common = _common_cause(image, stale, rerun, failure) or _cause_beside(desired, beside)
    why = _gang_cause(desired, own, common)
    drifts = _spread_to_gang(desired, own, why)
    sidecar = _plan_sidecar(desired, observed, beside, why)
    unchanged = _unchanged(desired, observed, (image, network), drifts or own)
    return Plan(
        project=desired.project,
        image=image,
        remove_nodes=_plan_removals(observed, drifts),
        restore_modes=sidecar.restore_modes,
        remove_sidecars=sidecar.remove,
        remove_networks=stale,
        create_network=network,
        start_sidecar=sidecar.start,
        set_modes=sidecar.set_modes,
        start_nodes=_plan_starts(desired, drifts),
        change_nodes=() if drifts else _plan_changes(desired, observed, own),
        unchanged=(*unchanged, *sidecar.unchanged),
        left_alone=_left_alone(observed),
    )


def make_destroy_plan(observed: ObservedState) -> Plan:
    """Decide what must go for nothing of the project to be left."""
    cause = "destroy was asked for"
    sidecar = remove_sidecars(observed.sidecars, cause)
    return Plan(
        project=observed.project,
        remove_nodes=tuple(RemoveNode(node, cause) for node in observed.nodes),
        restore_modes=sidecar.restore_modes,
        remove_sidecars=sidecar.remove,
        remove_networks=tuple(
            RemoveNetwork(net, cause)
            for net in observed.networks
            if net.project == observed.project
        ),
    )


def refuse_rivals(observed: ObservedState) -> None:
    """Keep off a project that another owner has on this engine. Raises NotOwner."""
    rivals = [each for each in observed.foreign if each.project == observed.project]
    if rivals:
        raise NotOwner(
            f"project {observed.project} is another owner's here: {', '.join(map(str, rivals))}",
            fix="choose another `name`, or set ORCHESTRATE_OWNER where you share that project",
        )


def _refuse_foreign(foreign: tuple[ForeignObject, ...]) -> None:
    if not foreign:
        return
    raise NameTaken(
        f"a name that the playbook needs is taken by {', '.join(map(str, foreign))}",
        fix="rename or remove it, or choose another `name` in the playbook",
    )


def _plan_image(
    wanted: ImageSpec | None, found: ObservedImage | None
) -> BuildImage | PullImage | None:
    if wanted is None:
        return None
    if wanted.recipe is not None:
        if found is None:
            return BuildImage(wanted, "not there yet")
        if found.build_inputs != wanted.build_inputs:
            inputs = FieldChange(BUILD_INPUTS, found.build_inputs, wanted.build_inputs)
            return BuildImage(wanted, "its inputs changed", (inputs,))
        return None
    if found is None and wanted.pull == "never":
        raise ImageUnavailable(
            f"image {wanted.tag} is not on this engine and the playbook says pull: never",
            fix="build it, load it, or say pull: missing",
        )
    return PullImage(wanted, "not there yet") if found is None else None


def _stale_networks(desired: DesiredState, observed: ObservedState) -> tuple[RemoveNetwork, ...]:
    """Networks of ours that are not what the playbook asks for."""
    counts = Counter(network.name for network in observed.networks)
    return tuple(
        RemoveNetwork(network, drift.why, drift.changes)
        for network in observed.networks
        if network.project == desired.project
        and (drift := network_drift(network, desired.network, counts[network.name]))
    )


def _plan_network(
    desired: DesiredState, observed: ObservedState, stale: tuple[RemoveNetwork, ...]
) -> CreateNetwork | None:
    wanted = desired.network
    if wanted is None:
        return None
    if wanted.external:
        _require(wanted, observed)
        return None
    for removal in stale:
        if removal.network.name == wanted.name:
            return CreateNetwork(wanted, removal.cause, removal.changes)
    if any(network.name == wanted.name for network in observed.networks):
        return None
    return CreateNetwork(wanted, "not there yet")


def _require(wanted: NetworkSpec, observed: ObservedState) -> None:
    if not any(network.name == wanted.name for network in observed.networks):
        raise AddressUnavailable(
            f"network {wanted.name} is external in the playbook and does not exist",
            fix=f"create it (`docker network create {wanted.name}`) or drop `external: true`",
        )


def _common_cause(
    image: BuildImage | PullImage | None,
    stale_networks: tuple[RemoveNetwork, ...],
    rerun: bool,
    failure: str,
) -> str:
    """What replaces every node although none has diverged by itself; empty: nothing does."""
    if image is not None:
        return f"image {image.image.tag}: {image.cause}"
    if stale_networks:
        removal = stale_networks[0]
        return f"network {removal.network.name} {removal.cause or 'is replaced'}"
    if rerun:
        return "a new run was asked for"
    return f"the last run failed: {failure}" if failure else ""


def _cause_beside(desired: DesiredState, drift: Drift) -> str:
    """How a sidecar that goes or comes replaces the nodes; empty: it does neither."""
    if not drift:
        return ""
    if desired.sidecar is None:
        return "a sidecar of the project is not in the playbook"
    return f"{desired.sidecar.title} {desired.sidecar.name} {drift.why or 'is replaced'}"


def _plan_sidecar(
    desired: DesiredState, observed: ObservedState, own: Drift, why: str
) -> SidecarSteps:
    """The sidecar is of one run with the nodes: it is replaced with them, and they with it."""
    modes = dict(observed.compute_modes)
    if not why:
        return keep_sidecar(desired.sidecar, observed.sidecars, modes)
    return replace_sidecar(desired.sidecar, observed.sidecars, modes, own or Drift(why))


def _gang_cause(desired: DesiredState, own: dict[int, Drift], common: str) -> str:
    """What replaces every node: the first that has diverged, or what they have in common."""
    forced = [rank for rank, drift in own.items() if drift.forces_replacement]
    if not forced:
        return common
    names = {node.node_rank: node.name for node in desired.nodes}
    first = min(forced)
    return f"gang: {names.get(first, f'node {first}')} {own[first].why or 'is replaced'}"


def _spread_to_gang(desired: DesiredState, own: dict[int, Drift], common: str) -> dict[int, Drift]:
    """A surviving rank cannot join a new process group: one node replaced replaces all.

    Returns:
        Why each node is replaced; empty where none is.
    """
    if not common:
        return {}
    shared = {node.node_rank: Drift(common) for node in desired.nodes}
    for rank, drift in own.items():
        shared[rank] = drift if drift.forces_replacement else replace(drift, why=common)
    return shared


def _plan_removals(observed: ObservedState, drifts: dict[int, Drift]) -> tuple[RemoveNode, ...]:
    return tuple(
        RemoveNode(node, drifts[node.node_rank].why, drifts[node.node_rank].changes)
        for node in sorted(observed.nodes, key=_place)
        if drifts
    )


def _plan_starts(desired: DesiredState, drifts: dict[int, Drift]) -> tuple[StartNode, ...]:
    return tuple(
        StartNode(node, drifts[node.node_rank].why, drifts[node.node_rank].changes)
        for node in desired.nodes
        if drifts
    )


def _plan_changes(
    desired: DesiredState, observed: ObservedState, own: dict[int, Drift]
) -> tuple[ChangeNode, ...]:
    wanted = {node.node_rank: node for node in desired.nodes}
    return tuple(
        ChangeNode(node, wanted[node.node_rank], "", own[node.node_rank].changes)
        for node in sorted(observed.nodes, key=_place)
        if node.node_rank in own
    )


def _place(node: ObservedNode) -> tuple[int, str]:
    return node.node_rank, node.id


def _unchanged(
    desired: DesiredState,
    observed: ObservedState,
    changes: tuple[object | None, object | None],
    drifts: dict[int, Drift],
) -> tuple[Unchanged, ...]:
    image, network = changes
    kept = []
    if desired.image is not None and image is None:
        kept.append(Unchanged(f"image {desired.image.tag}", _presence(observed.image)))
    if desired.network is not None and network is None:
        why = "external" if desired.network.external else "present"
        kept.append(Unchanged(f"network {desired.network.name}", why))
    kept += [
        Unchanged(
            f"node {node.name}",
            "finished" if node.has_finished_well else "running",
            node.node_rank,
        )
        for node in sorted(observed.nodes, key=_place)
        if node.node_rank not in drifts
    ]
    return tuple(kept)


def _presence(image: ObservedImage | None) -> str:
    """Said of an image with an entrypoint: the words before the playbook's command."""
    if image is None or not image.entrypoint:
        return "present"
    return f"present; its entrypoint {' '.join(image.entrypoint)} runs the command"


def _left_alone(observed: ObservedState) -> tuple[Unchanged, ...]:
    why = "bears labels of the project, but was not made by orchestrate: left alone"
    return tuple(Unchanged(f"{each.kind} {each.name}", why) for each in observed.lookalikes)
