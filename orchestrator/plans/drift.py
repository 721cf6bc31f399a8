"""How each object of a project differs from what is wanted of it, found by looking at it. Pure.

The hash in a node's labels is asked last: what was changed by hand is found field by field,
and what an image adds to its containers is never a difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.plans.difference import BUILD_INPUTS, FieldChange, field_changes
from orchestrator.state.desired import DesiredState, NetworkSpec
from orchestrator.state.observed import (
    NodeStatus,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ObservedState,
    Oddity,
)
from orchestrator.state.spec import (
    ContainerSpec,
    HealthCommand,
    NodeSpec,
    SidecarSpec,
    sorted_env,
    spec_hash,
)


class Drift(Struct, frozen=True):
    """Why an object is not as it should be: in words, field by field, or both."""

    why: str = ""
    changes: tuple[FieldChange, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.why or self.changes)

    @property
    def forces_replacement(self) -> bool:
        """True unless all of it can be changed while the object stays."""
        return bool(self.why) or any(change.forces_replacement for change in self.changes)


class Surroundings(Struct, frozen=True):
    """What a node is compared with besides its own spec."""

    image: ObservedImage | None
    run_id: str
    networks: dict[str, frozenset[str]]  # `{name: ids of the networks of that name}`
    names: Counter[str]
    in_place: frozenset[str]

    @classmethod
    def of(cls, observed: ObservedState, in_place: frozenset[str]) -> Surroundings:
        """What surrounds every node of an observed state."""
        networks: dict[str, frozenset[str]] = {}
        for network in observed.networks:
            networks[network.name] = networks.get(network.name, frozenset()) | {network.id}
        names = Counter(node.name for node in observed.nodes)
        return cls(observed.image, _common_run(observed.nodes), networks, names, in_place)


def node_drifts(
    desired: DesiredState, observed: ObservedState, in_place: frozenset[str]
) -> dict[int, Drift]:
    """`{node rank: drift}` for each node that is not as it should be by itself."""
    around = Surroundings.of(observed, in_place)
    found = {node.node_rank: node for node in observed.nodes}
    drifts = {}
    for wanted in desired.nodes:
        node = found.get(wanted.node_rank)
        if drift := _node_drift(wanted, node, around) if node else Drift("not there yet"):
            drifts[wanted.node_rank] = drift
    wanted_ranks = {node.node_rank for node in desired.nodes}
    for rank, count in sorted(Counter(node.node_rank for node in observed.nodes).items()):
        if rank not in wanted_ranks:
            drifts[rank] = Drift("not in the playbook")
        elif count > 1:
            drifts[rank] = Drift("is there twice")
    return drifts


def sidecar_drift(wanted: SidecarSpec | None, observed: ObservedState) -> Drift:
    """How the project's sidecar differs from the one that is wanted, if one is."""
    found = observed.sidecars
    if wanted is None:
        return Drift("not in the playbook") if found else Drift()
    if len(found) != 1:
        missing = "is gone" if observed.nodes else "not there yet"
        return Drift("is there twice" if found else missing)
    around = Surroundings.of(observed, frozenset())
    # A job that has ended needs it no more: a daemon that ended later is no drift.
    is_needed = not all(node.has_finished_well for node in observed.nodes)
    cause = _sidecar_cause(found[0], around) if is_needed else ""
    return Drift(cause, _container_changes(wanted, found[0], around))


def _sidecar_cause(found: ObservedSidecar, around: Surroundings) -> str:
    if found.run_id != around.run_id:
        return f"is of run {found.run_id or '(none)'}, the nodes of {around.run_id or '(none)'}"
    if found.exit_code is not None:
        return found.ending
    if found.was_restarted:
        return "was started again by hand: the nodes knew another process"
    health = found.health
    if found.status is NodeStatus.RUNNING and (health is None or health.status != "healthy"):
        return f"does not answer{f': {health.output}' if health and health.output else ''}"
    return _status_cause(found)


def network_drift(network: ObservedNetwork, wanted: NetworkSpec | None, count: int) -> Drift:
    """How a network of ours differs; `count` networks bear its name."""
    if wanted is None or network.name != wanted.name:
        return Drift("not in the playbook")
    if wanted.external:  # it was made here once; nodes cannot do without it now
        return Drift()
    if count > 1:  # Docker allows two of one name, and then neither can be used by name
        return Drift("is there twice")
    changes = _odd(network.oddities)
    if network.internal != wanted.internal:
        internal = FieldChange("internal", _yaml(network.internal), _yaml(wanted.internal))
        changes = (internal, *changes)
    return Drift(changes=changes)


def remaining_differences(
    desired: DesiredState, observed: ObservedState
) -> tuple[tuple[str, FieldChange], ...]:
    """`(object, field)` of what is there and not as wanted; how nodes fare is left out.

    Right after an apply there is none, whether a quick job has ended by then or not.
    """
    around = Surroundings.of(observed, frozenset())
    found = {node.node_rank: node for node in observed.nodes}
    nodes = tuple(
        (f"node {wanted.name}", change)
        for wanted in desired.nodes
        if (node := found.get(wanted.node_rank))
        for change in _container_changes(wanted, node, around)
    )
    networks = tuple(
        (f"network {network.name}", change)
        for network in observed.networks
        if network.project == desired.project
        for change in network_drift(network, desired.network, 1).changes
    )
    sidecars = tuple(
        (f"{wanted.title} {wanted.name}", change)
        for wanted in ([desired.sidecar] if desired.sidecar else [])
        for sidecar in observed.sidecars
        for change in _container_changes(wanted, sidecar, around)
    )
    return (*_image_left(desired, observed.image), *networks, *sidecars, *nodes)


def _image_left(
    desired: DesiredState, found: ObservedImage | None
) -> tuple[tuple[str, FieldChange], ...]:
    wanted = desired.image
    if wanted is None or wanted.recipe is None or found is None:
        return ()
    inputs = FieldChange(BUILD_INPUTS, found.build_inputs, wanted.build_inputs)
    return () if inputs.old == inputs.new else ((f"image {wanted.tag}", inputs),)


def _common_run(nodes: tuple[ObservedNode, ...]) -> str:
    """The run that most nodes belong to; a gang cannot be made of two."""
    counts = Counter(node.run_id for node in nodes)
    return counts.most_common(1)[0][0] if counts else ""


def _node_drift(wanted: NodeSpec, found: ObservedNode, around: Surroundings) -> Drift:
    changes = _container_changes(wanted, found, around)
    if found.status is NodeStatus.PAUSED and "status" in around.in_place:
        thaw = FieldChange("status", "paused", "running", forces_replacement=False)
        return Drift(_outer_cause(found, around), (thaw, *changes))
    return Drift(_status_cause(found) or _outer_cause(found, around), changes)


def _container_changes(
    wanted: ContainerSpec, found: ObservedContainer, around: Surroundings
) -> tuple[FieldChange, ...]:
    """Every field that differs; the hash speaks where no field does."""
    # A sidecar may have an image of its own, which was not looked at.
    image = around.image if around.image and around.image.tag == wanted.image else None
    is_of_image = image is None or found.image_id == image.id
    changes = _spec_changes(wanted, found, image if is_of_image else None)
    if image is not None and not is_of_image:
        moved = FieldChange("image id", _short(found.image_id), _short(image.id))
        changes = (moved, *changes)
    elif image is not None and found.entrypoint != image.entrypoint:
        old, new = (" ".join(words) or None for words in (found.entrypoint, image.entrypoint))
        changes = (*changes, FieldChange("entrypoint", old, new))
    changes = (*changes, *_odd(found.oddities))
    if not changes and found.spec_hash != (digest := spec_hash(wanted)):
        return (FieldChange("spec hash", found.spec_hash[:18], digest[:18]),)
    can_stay = _stays(found, around)
    return tuple(
        replace(change, forces_replacement=False) if can_stay(change) else change
        for change in changes
    )


def _stays(found: ObservedContainer, around: Surroundings) -> Callable[[FieldChange], bool]:
    """Which changes leave the node where it is.

    The limits of a job that has ended are those that it ran with: another limit is another
    run. A limit is not taken away in place, as Docker has no word for it.
    """

    def can_stay(change: FieldChange) -> bool:
        if change.field not in around.in_place or change.new is None:
            return False
        if change.field == "name":
            return not around.names[change.new]
        return found.is_active

    return can_stay


def _spec_changes(
    wanted: ContainerSpec, found: ObservedContainer, image: ObservedImage | None
) -> tuple[FieldChange, ...]:
    changes = field_changes(_plain(found.spec), _plain(_with_defaults(wanted, image)))
    if image is not None or wanted.image is None:
        return changes
    # Its image is not the one that is here now, if any: what is there and not asked for may
    # well be what that image gave the node.
    return tuple(change for change in changes if change.new is not None)


def _with_defaults(spec: ContainerSpec, image: ObservedImage | None) -> ContainerSpec:
    """The spec as an engine reports it back: with what its image adds to it."""
    if image is None:
        return spec
    return replace(
        spec,
        env=sorted_env(dict(image.env), dict(spec.env)),
        user=spec.user or image.user or None,
        workdir=spec.workdir or image.workdir or None,
        health=_with_image_health(spec.health, image.health),
    )


def _plain(spec: ContainerSpec) -> ContainerSpec:
    """The spec without a PYTHONPATH of nothing, which is none once the probe is put before it."""
    if not spec.probe or ("PYTHONPATH", "") not in spec.env:
        return spec
    return replace(spec, env=tuple(pair for pair in spec.env if pair[0] != "PYTHONPATH"))


def _with_image_health(
    own: HealthCommand | None, of_image: HealthCommand | None
) -> HealthCommand | None:
    """Docker takes a start period of 0 for one that was left out."""
    if own is None or of_image is None or own.start_period_s:
        return own or of_image
    return replace(own, start_period_s=of_image.start_period_s)


def _status_cause(found: ObservedContainer) -> str:
    match found.status:
        case NodeStatus.RUNNING:
            return ""
        case NodeStatus.EXITED if found.exit_code == 0:
            return ""
        case NodeStatus.EXITED:
            return found.ending
        case NodeStatus.CREATED:
            return f"was never started: {found.error}" if found.error else "was never started"
        case NodeStatus.DEAD if found.error:
            return f"is dead: {found.error}"
        case _:
            return f"is {found.status.value}"


def _outer_cause(found: ObservedNode, around: Surroundings) -> str:
    """What of a node's surroundings keeps it from being one with the others."""
    if found.was_restarted and found.is_active:
        return "was started again by hand: its peers knew another process"
    if found.run_id != around.run_id:
        return f"is of run {found.run_id or '(none)'}, the others of {around.run_id or '(none)'}"
    # A running node may hang on a network that has since been replaced by one of its name.
    ids = around.networks.get(found.spec.network or "", frozenset())
    if found.is_active and found.network_id is not None and found.network_id not in ids:
        return "its network was replaced under it"
    return ""


def _odd(oddities: tuple[Oddity, ...]) -> tuple[FieldChange, ...]:
    return tuple(
        FieldChange(oddity.field, oddity.found or None, oddity.usual or None) for oddity in oddities
    )


def _short(image_id: str | None) -> str | None:
    return image_id[:19] if image_id else None


def _yaml(value: bool) -> str:
    return str(value).lower()
