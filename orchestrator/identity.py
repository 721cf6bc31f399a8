"""What a node is told of the run that it belongs to: never part of its spec. Pure.

Two attempts at one playbook differ in these variables alone, so they must neither enter
the spec's hash nor count as drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.state.desired import RunIdentity

ENV_RUN_ID: Final = "ORCHESTRATE_RUN_ID"
ENV_RESTART_COUNT: Final = "ORCHESTRATE_RESTART_COUNT"
ENV_TORCH_RESTART_COUNT: Final = "TORCHELASTIC_RESTART_COUNT"
"""What scripts written for torchrun read; inside a node, torchrun counts its own restarts in it."""

RUN_VARIABLES: Final = frozenset({ENV_RUN_ID, ENV_RESTART_COUNT, ENV_TORCH_RESTART_COUNT})


def told_to_nodes(identity: RunIdentity) -> dict[str, str]:
    """The variables that every node of a run gets besides those of its spec."""
    count = str(identity.restart_count)
    return {
        ENV_RUN_ID: identity.run_id,
        ENV_RESTART_COUNT: count,
        ENV_TORCH_RESTART_COUNT: count,
    }


def without_run(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """An environment as a spec holds it: sorted, without what `told_to_nodes` added."""
    return tuple(sorted((name, value) for name, value in env.items() if name not in RUN_VARIABLES))
