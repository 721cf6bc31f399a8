"""A plan as people and machines read it: what becomes of each object, and why. Pure.

An action is a step; removing a node and starting one in its place are two. What is shown
is objects, each once, in a fixed order: image, networks, sidecars and their GPUs, nodes by rank.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.plans.difference import FieldChange
from orchestrator.plans.plan import (
    Action,
    Plan,
    RemoveNetwork,
    RemoveNode,
    SetComputeMode,
    Unchanged,
)

PLAN_VERSION: Final = 1
"""Of the JSON form; raised when a field changes its meaning or goes."""

_LONGEST = 200
_CAUSE_COLUMN = 64


class Change(StrEnum):
    """What becomes of an object."""

    CREATE = "create"
    CHANGE = "change"
    REPLACE = "replace"
    REMOVE = "remove"
    KEEP = "keep"


SIGNS: Final = {
    Change.CREATE: " + ",
    Change.CHANGE: " ~ ",
    Change.REPLACE: "-/+",
    Change.REMOVE: " - ",
    Change.KEEP: " = ",
}
_WITHOUT_WORDS: Final = {Change.CHANGE: "changed in place", Change.REPLACE: "replaced"}


class PlannedObject(Struct, frozen=True):
    """One object, what becomes of it, and why."""

    change: Change
    kind: str  # image | network | node | gpu, or what a sidecar is called
    name: str
    cause: str
    changes: tuple[FieldChange, ...] = ()
    gpus: tuple[str, ...] = ()  # which a node or sidecar that starts is given

    def __str__(self) -> str:
        gpus = f"  gpus: {','.join(self.gpus)}" if self.gpus else ""
        return f"{self.kind} {self.name}{gpus}"


def planned_objects(plan: Plan) -> tuple[PlannedObject, ...]:
    """Every object that a plan speaks of, but those that are not the project's."""
    kept = [(each.node_rank, _kept(each)) for each in plan.unchanged]
    nodes = [(rank, each) for rank, each in kept if rank is not None]
    nodes += list(_nodes(plan))
    return (
        *_image(plan),
        *(each for _, each in kept if each.kind == "image"),
        *(each for _, each in kept if each.kind == "network"),
        *_networks(plan),
        *(each for rank, each in kept if rank is None and each.kind not in _PLACED),
        *_sidecars(plan),
        *(each for _, each in kept if each.kind == "gpu"),
        *_gpus(plan),
        *(
            each
            for _, each in sorted(nodes, key=lambda pair: (pair[0], pair[1].change != "replace"))
        ),
    )


_PLACED: Final = ("image", "network", "gpu")
"""What has a place of its own among objects; what else is kept is a sidecar or a node."""


def counts(objects: Iterable[PlannedObject]) -> dict[Change, int]:
    """How many objects meet each change."""
    found = dict.fromkeys(Change, 0)
    for each in objects:
        found[each.change] += 1
    return found


def plan_text(plan: Plan) -> str:
    """The whole plan, a line for each object and one below it for each field."""
    objects = planned_objects(plan)
    lines = [line for each in objects for line in _lines(each)]
    lines += [(f" !  {each.name}", f"({each.why})") for each in plan.left_alone]
    width = max((len(left) for left, _ in lines if len(left) <= _CAUSE_COLUMN), default=0)
    told = [f"{left:{width}}  {right}".rstrip() for left, right in lines]
    return "\n".join([*told, _summary(objects)])


def _summary(objects: tuple[PlannedObject, ...]) -> str:
    found = counts(objects)
    return (
        f"Plan: {found[Change.CREATE]} to create, {found[Change.CHANGE]} to change,"
        f" {found[Change.REPLACE]} to replace, {found[Change.REMOVE]} to remove,"
        f" {found[Change.KEEP]} as they should be."
    )


def plan_document(plan: Plan, engine: str) -> dict[str, Any]:
    """The JSON form: two plans of one situation are the same text (see docs/plan.md)."""
    objects = planned_objects(plan)
    return {
        "version": PLAN_VERSION,
        "project": plan.project,
        "engine": engine,
        "counts": {change.value: count for change, count in counts(objects).items()},
        "objects": [_document(each) for each in objects],
    }


def _document(each: PlannedObject) -> dict[str, Any]:
    return {
        "kind": each.kind,
        "name": each.name,
        "action": each.change.value,
        "cause": each.cause,
        **({"gpus": list(each.gpus)} if each.gpus else {}),
        "fields": [
            {
                "field": change.field,
                "old": change.old,
                "new": change.new,
                "forces_replacement": change.forces_replacement,
            }
            for change in each.changes
        ],
    }


def _lines(each: PlannedObject) -> Iterator[tuple[str, str]]:
    cause = each.cause or _WITHOUT_WORDS.get(each.change, "")
    yield f"{SIGNS[each.change]} {each}", f"({_on_one_line(cause)})" if cause else ""
    for change in each.changes:
        effect = "forces replacement" if change.forces_replacement else "in place"
        yield f"      {_on_one_line(str(change))}", effect


def _on_one_line(text: str) -> str:
    text = text.replace("\n", "\\n")  # a variable may hold several lines
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _kept(each: Unchanged) -> PlannedObject:
    kind, _, name = each.name.rpartition(" ")
    return PlannedObject(Change.KEEP, kind, name, each.why)


def _image(plan: Plan) -> Iterator[PlannedObject]:
    if plan.image is not None:
        change = Change.REPLACE if plan.image.changes else Change.CREATE
        yield _planned(change, "image", plan.image.image.tag, plan.image)


def _networks(plan: Plan) -> Iterator[PlannedObject]:
    """One that takes the place of another of its name is replaced."""
    made = plan.create_network
    replaced: RemoveNetwork | None = None
    for removal in sorted(plan.remove_networks, key=lambda each: each.network.name):
        if made is not None and replaced is None and removal.network.name == made.network.name:
            replaced = removal
            continue
        yield _planned(Change.REMOVE, "network", removal.network.name, removal)
    if made is not None:
        change = Change.REPLACE if replaced else Change.CREATE
        yield _planned(change, "network", made.network.name, made)


def _sidecars(plan: Plan) -> Iterator[PlannedObject]:
    """One that starts where others were takes the place of the first."""
    gone = list(plan.remove_sidecars)
    if (start := plan.start_sidecar) is not None:
        change = Change.REPLACE if gone else Change.CREATE
        planned = _planned(change, start.sidecar.title, start.sidecar.name, start)
        yield replace(planned, gpus=start.sidecar.gpus)
        gone = gone[1:]
    for removal in gone:
        yield _planned(Change.REMOVE, removal.sidecar.spec.title, removal.sidecar.name, removal)


def _gpus(plan: Plan) -> Iterator[PlannedObject]:
    """What a GPU is set to in the end; one that is put back and set again stays as it is."""
    last: dict[str, SetComputeMode] = {}
    first: dict[str, SetComputeMode] = {}
    for each in (*plan.restore_modes, *plan.set_modes):
        first.setdefault(each.uuid, each)
        last[each.uuid] = each
    for uuid, action in last.items():
        before, after = first[uuid].changes[0].old, action.mode
        if before == after:
            yield PlannedObject(Change.KEEP, "gpu", uuid, f"compute mode {after}")
        else:
            yield _planned(Change.CHANGE, "gpu", uuid, action)


def _nodes(plan: Plan) -> Iterator[tuple[int, PlannedObject]]:
    """`(rank, node)`; a node that starts in the place of another replaces it."""
    gone: dict[int, list[RemoveNode]] = {}
    for removal in plan.remove_nodes:
        gone.setdefault(removal.node.node_rank, []).append(removal)
    for start in plan.start_nodes:
        rank = start.node.node_rank
        replaced = bool(gone.get(rank)) and gone[rank].pop(0) is not None
        change = Change.REPLACE if replaced else Change.CREATE
        planned = _planned(change, "node", start.node.name, start)
        yield rank, replace(planned, gpus=start.node.gpus)
    for rank, removals in gone.items():
        for removal in removals:
            yield rank, _planned(Change.REMOVE, "node", removal.node.name, removal)
    for each in plan.change_nodes:
        yield each.node.node_rank, _planned(Change.CHANGE, "node", each.wanted.name, each)


def _planned(change: Change, kind: str, name: str, action: Action) -> PlannedObject:
    return PlannedObject(change, kind, name, action.cause, action.changes)
