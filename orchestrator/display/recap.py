"""The last line of an apply, counted as Ansible counts. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

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
from orchestrator.verify.results import CheckResult, Status


class Recap(Struct, frozen=True):
    """How many objects and checks were as they should be, changed, failed, or not reached."""

    ok: int = 0
    changed: int = 0
    failed: int = 0
    skipped: int = 0

    def __str__(self) -> str:
        return f"ok={self.ok} changed={self.changed} failed={self.failed} skipped={self.skipped}"


def object_of(action: object) -> str:
    """The object that an action changes; removing and starting a node change the same one."""
    match action:
        case BuildImage(image) | PullImage(image):
            named = f"image {image.tag}"
        case CreateNetwork(network) | RemoveNetwork(network):
            named = f"network {network.name}"
        case RemoveNode(node) | StartNode(node) | ChangeNode(_, node):
            named = f"node {node.name}"
        case RemoveSidecar(sidecar):
            named = f"{sidecar.spec.title} {sidecar.name}"
        case StartSidecar(sidecar):
            named = f"{sidecar.title} {sidecar.name}"
        case SetComputeMode(uuid):
            named = f"gpu {uuid}"
        case _:
            raise AssertionError(f"no such action: {action}")
    return named


def gang(project: str, engine: str, num_nodes: int) -> str:
    """What runs where, in a title: `pair on docker, 2 nodes`."""
    return f"{project} on {engine}, {num_nodes} {'node' if num_nodes == 1 else 'nodes'}"


def doing(action: object) -> str:
    """What is done to which object: `start node pair-node-0`."""
    verb = str(action).split(" ", 2)[1]
    return f"{verb} {object_of(action)}"


def recap(
    plan: Plan,
    results: Sequence[CheckResult] = (),
    *,
    done: Sequence[object] = (),
    failed: Sequence[object] = (),
) -> Recap:
    """Count a run.

    Args:
        plan: what was to be done.
        results: the checks, if it came to them.
        done: the actions that were performed.
        failed: the actions that the engine refused.
    """
    broken = {object_of(action) for action in failed}
    changed = {object_of(action) for action in done} - broken
    # With `pull: always` the image is pulled before the plan is made, which then finds it there.
    ok = {each.name for each in plan.unchanged} - broken - changed
    untouched = {object_of(action) for action in plan.actions} - broken - changed
    statuses = [result.status for result in results]
    return Recap(
        ok=len(ok) + statuses.count(Status.OK),
        changed=len(changed),
        failed=len(broken) + statuses.count(Status.FAILED),
        skipped=len(untouched) + statuses.count(Status.SKIPPED),
    )
