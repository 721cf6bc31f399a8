"""Events -> one line of JSON each. Pure.

What a node wrote and what it used are not among them: those are files of their own.
"""

from __future__ import annotations

import re
from typing import Any

from orchestrator.events import Event, LogEnded, NodeSpoke, NodesSampled
from orchestrator.kept.values import document
from orchestrator.plans.document import counts, planned_objects
from orchestrator.plans.plan import (
    Action,
    ChangeNode,
    Plan,
    RemoveNetwork,
    RemoveNode,
    RemoveSidecar,
    SetComputeMode,
    StartNode,
    StartSidecar,
)
from orchestrator.state.observed import ObservedNode

_OF_NODE = (
    "name",
    "node_rank",
    "id",
    "run_id",
    "status",
    "exit_code",
    "oom_killed",
    "started_at_s",
    "finished_at_s",
    "image_id",
    "error",
)
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def event_document(event: Event, at_s: float) -> dict[str, Any] | None:
    """An event as data; None for what is kept elsewhere.

    Args:
        event: what happened.
        at_s: when it was told, in seconds since the epoch.
    """
    if isinstance(event, NodeSpoke | LogEnded | NodesSampled):
        return None
    told = {name: _shown(getattr(event, name)) for name in event.__struct_fields__}
    return {"at_s": round(at_s, 6), "event": _snake(type(event).__name__), **told}


def _snake(name: str) -> str:
    return _WORD.sub("_", name).lower()


def _shown(value: object) -> Any:
    """A field of an event. A plan and a node are kept whole elsewhere, and told in short here."""
    match value:
        case Plan():
            return {change.value: n for change, n in counts(planned_objects(value)).items()}
        case ObservedNode():
            return _node(value)
        case tuple():
            return [_shown(item) for item in value]
        case _ if isinstance(value, Action):
            return document(_action(value))
        case _:
            return document(value)


def _action(action: Action) -> dict[str, Any]:
    return {"kind": _snake(type(action).__name__), "name": _name(action), "cause": action.cause}


def _name(action: Action) -> str:
    match action:
        case RemoveNode(node) | StartNode(node):
            return node.name
        case RemoveSidecar(sidecar) | StartSidecar(sidecar):
            return sidecar.name
        case SetComputeMode(uuid):
            return uuid
        case ChangeNode(_, wanted):
            return wanted.name
        case RemoveNetwork(network):
            return network.name
        case _:
            return action.image.tag if hasattr(action, "image") else action.network.name


def _node(node: ObservedNode) -> Any:
    return document({name: getattr(node, name) for name in _OF_NODE})
