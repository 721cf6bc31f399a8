"""What a run was asked for, as it is kept."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.engines.base import Engine
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.redaction import VEIL, redacted
from orchestrator.state.desired import DesiredState
from orchestrator.state.spec import NodeSpec
from orchestrator.versions import versions


class Asked(Struct, frozen=True):
    """What a run was asked for.

    Attributes:
        desired: what the playbook means on the engine.
        playbook: the resolved playbook as YAML, secrets hidden.
        health_checks: its checks, as data that the playbook's reader takes.
        versions: of what takes part.
    """

    desired: DesiredState
    playbook: str
    health_checks: list[Any]
    engine: str
    endpoint: str
    versions: dict[str, str]


def asked_of(loaded: LoadedPlaybook, engine: Engine, desired: DesiredState) -> Asked:
    """What is kept of a playbook, for whoever judges its run again."""
    # Writing YAML is for a new run alone: planning and applying again go without.
    from orchestrator.playbook.show import resolved, resolved_yaml, secret_texts

    shown = resolved(loaded.playbook, loaded.secret)
    texts = secret_texts(loaded.playbook, loaded.secret)
    return Asked(
        replace(desired, nodes=tuple(_without(node, texts) for node in desired.nodes)),
        redacted(resolved_yaml(shown)),
        shown["health_checks"],
        engine.traits.name,
        engine.traits.endpoint,
        versions(engine),
    )


def _without(node: NodeSpec, texts: frozenset[str]) -> NodeSpec:
    """The node without what its command took from the environment."""
    return replace(node, command=tuple(VEIL if word in texts else word for word in node.command))
