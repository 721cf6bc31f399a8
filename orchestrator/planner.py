"""Desired and observed state in, plan out. Pure: no clock, no engine, no files.

Two rules shape every plan. The nodes of a run form one process group, so a node that
has diverged takes the whole gang with it. And jobs end: a node that exited 0 with the
desired spec has converged.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from orchestrator.errors import AddressUnavailable, ImageUnavailable, NameTaken, NotOwner
from orchestrator.plan import (
    BuildImage,
    CreateNetwork,
    Plan,
    PullImage,
    RemoveNetwork,
    RemoveNode,
    StartNode,
    Unchanged,
)
from orchestrator.state import (
    DesiredState,
    FieldChange,
    ForeignObject,
    ImageSpec,
    NetworkSpec,
    NodeSpec,
    NodeStatus,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedState,
    field_changes,
    sorted_env,
    spec_hash,
)


def make_plan(
    desired: DesiredState,
    observed: ObservedState,
    *,
    rerun: bool = False,
    failure: str = "",
) -> Plan:
    """Decide what must be done for `observed` to become `desired`.

    Args:
        desired: what the playbook asks for.
        observed: what the engine found.
        rerun: replace a gang that is as it should be all the same.
        failure: what the health checks say of the run that was observed; empty: they hold.

    Raises:
        NotOwner: the project is another owner's on this engine.
        NameTaken: an object that is not ours bears a name that is needed.
        ImageUnavailable: the image is not there, cannot be built and may not be pulled.
    """
    refuse_rivals(observed)
    _refuse_foreign(observed.foreign)
    image = _plan_image(desired.image, observed.image)
    stale = _stale_networks(desired, observed)
    causes = _own_causes(desired, observed) or _common_causes(
        desired, _common_cause(image, stale, rerun, failure)
    )
    causes = _spread_to_gang(desired, causes)
    network = _plan_network(desired, observed, stale)
    return Plan(
        project=desired.project,
        image=image,
        remove_nodes=_plan_removals(observed, causes),
        remove_networks=stale,
        create_network=network,
        start_nodes=tuple(
            StartNode(node, causes[node.node_rank]) for node in desired.nodes if causes
        ),
        unchanged=_unchanged(desired, observed, (image, network), not causes),
    )


def make_destroy_plan(observed: ObservedState) -> Plan:
    """Decide what must go for nothing of the project to be left."""
    cause = "destroy was asked for"
    return Plan(
        project=observed.project,
        remove_nodes=tuple(RemoveNode(node, cause) for node in observed.nodes),
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
            return BuildImage(wanted, "its inputs changed")
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
        RemoveNetwork(network, cause)
        for network in observed.networks
        if network.project == desired.project
        and (cause := _network_cause(network, desired, counts[network.name]))
    )


def _network_cause(network: ObservedNetwork, desired: DesiredState, count: int) -> str:
    wanted = desired.network
    if wanted is None or network.name != wanted.name:
        return "not in the playbook"
    if wanted.external:  # it was made here once; nodes cannot do without it now
        return ""
    if count > 1:  # Docker allows two of one name, and then neither can be used by name
        return "is there twice"
    if network.internal != wanted.internal:
        return f"internal: {_yaml(network.internal)} -> {_yaml(wanted.internal)}"
    return ""


def _yaml(value: bool) -> str:
    return str(value).lower()


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
            return CreateNetwork(wanted, removal.cause)
    if any(network.name == wanted.name for network in observed.networks):
        return None
    return CreateNetwork(wanted, "not there yet")


def _require(wanted: NetworkSpec, observed: ObservedState) -> None:
    if not any(network.name == wanted.name for network in observed.networks):
        raise AddressUnavailable(
            f"network {wanted.name} is external in the playbook and does not exist",
            fix=f"create it (`docker network create {wanted.name}`) or drop `external: true`",
        )


def _own_causes(desired: DesiredState, observed: ObservedState) -> dict[int, str]:
    """`{node rank: cause}` for each node that is not as it should be by itself."""
    run_id = _common_run(observed.nodes)
    found = {node.node_rank: node for node in observed.nodes}
    causes = {}
    for wanted in desired.nodes:
        node = found.get(wanted.node_rank)
        if cause := _node_cause(wanted, node, observed, run_id) if node else "not there yet":
            causes[wanted.node_rank] = cause
    wanted_ranks = {node.node_rank for node in desired.nodes}
    for rank, count in sorted(Counter(node.node_rank for node in observed.nodes).items()):
        if rank not in wanted_ranks:
            causes[rank] = "not in the playbook"
        elif count > 1:
            causes[rank] = "is there twice"
    return causes


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
        return f"network {stale_networks[0].network.name}: {stale_networks[0].cause}"
    if rerun:
        return "a new run was asked for"
    return f"the last run failed: {failure}" if failure else ""


def _common_causes(desired: DesiredState, cause: str) -> dict[int, str]:
    return {node.node_rank: cause for node in desired.nodes} if cause else {}


def _spread_to_gang(desired: DesiredState, causes: dict[int, str]) -> dict[int, str]:
    """A surviving rank cannot join a new process group: one diverged node replaces all."""
    if not causes:
        return {}
    names = {node.node_rank: node.name for node in desired.nodes}
    first = min(causes)
    gang = f"gang: {names.get(first, f'node {first}')} {causes[first]}"
    return {node.node_rank: gang for node in desired.nodes} | causes


def _common_run(nodes: tuple[ObservedNode, ...]) -> str:
    """The run that most nodes belong to; a gang cannot be made of two."""
    counts = Counter(node.run_id for node in nodes)
    return counts.most_common(1)[0][0] if counts else ""


def _node_cause(wanted: NodeSpec, found: ObservedNode, observed: ObservedState, run_id: str) -> str:
    if cause := _status_cause(found):
        return cause
    if found.run_id != run_id:
        return f"run: {found.run_id} -> {run_id}"
    image = observed.image
    if image is not None and found.image_id != image.id:
        return f"image: {_short(found.image_id)} -> {_short(image.id)}"
    if changes := _spec_changes(wanted, found, image):
        return "; ".join(str(change) for change in changes)
    if found.spec_hash != (digest := spec_hash(wanted)):
        return f"spec: {found.spec_hash[:18]} -> {digest[:18]}"
    return _endpoint_cause(found, observed)


def _spec_changes(
    wanted: NodeSpec, found: ObservedNode, image: ObservedImage | None
) -> tuple[FieldChange, ...]:
    changes = field_changes(found.spec, _with_defaults(wanted, image))
    if image is not None or wanted.image is None:
        return changes
    # The image is gone: what is there and not asked for may well be what it gave the node.
    return tuple(change for change in changes if change.new is not None)


def _status_cause(found: ObservedNode) -> str:
    match found.status:
        case NodeStatus.RUNNING:
            return ""
        case NodeStatus.EXITED if found.exit_code == 0:
            return ""
        case NodeStatus.EXITED:
            return found.ending
        case NodeStatus.CREATED:
            return f"was never started: {found.error}" if found.error else "was never started"
        case _:
            return f"is {found.status.value}"


def _short(image_id: str | None) -> str:
    return (image_id or "(none)")[:19]


def _with_defaults(spec: NodeSpec, image: ObservedImage | None) -> NodeSpec:
    """The spec as an engine reports it back: with what its image adds to it."""
    if image is None:
        return spec
    return replace(
        spec,
        env=sorted_env(dict(image.env), dict(spec.env)),
        user=spec.user or image.user or None,
        workdir=spec.workdir or image.workdir or None,
    )


def _endpoint_cause(found: ObservedNode, observed: ObservedState) -> str:
    """A running node may hang on a network that has since been replaced by one of its name."""
    if not found.is_active or found.network_id is None:
        return ""
    current = {each.id for each in observed.networks if each.name == found.spec.network}
    is_known = found.network_id in current
    return "" if is_known else "network: was replaced under it"


def _plan_removals(observed: ObservedState, causes: dict[int, str]) -> tuple[RemoveNode, ...]:
    return tuple(
        RemoveNode(node, causes[node.node_rank])
        for node in sorted(observed.nodes, key=lambda node: (node.node_rank, node.id))
        if causes
    )


def _unchanged(
    desired: DesiredState,
    observed: ObservedState,
    changes: tuple[object | None, object | None],
    gang_is_kept: bool,
) -> tuple[Unchanged, ...]:
    image, network = changes
    kept = []
    if desired.image is not None and image is None:
        kept.append(Unchanged(f"image {desired.image.tag}", "present"))
    if desired.network is not None and network is None:
        why = "external" if desired.network.external else "present"
        kept.append(Unchanged(f"network {desired.network.name}", why))
    if gang_is_kept:
        kept += [
            Unchanged(f"node {node.name}", "finished" if node.has_finished_well else "running")
            for node in sorted(observed.nodes, key=lambda node: node.node_rank)
        ]
    return tuple(kept)
