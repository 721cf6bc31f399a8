"""What a node is told of the run that it belongs to: never part of its spec. Pure.

Two attempts at one playbook differ in these variables alone, so they must neither enter
the spec's hash nor count as drift. The same goes for what the probe is told of the checks: an
edited deadline is no reason to replace nodes that run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from orchestrator.state.desired import ProbeOrders, RunIdentity

ENV_RUN_ID: Final = "ORCHESTRATE_RUN_ID"
ENV_RESTART_COUNT: Final = "ORCHESTRATE_RESTART_COUNT"
ENV_TORCH_RESTART_COUNT: Final = "TORCHELASTIC_RESTART_COUNT"
"""What scripts written for torchrun read; inside a node, torchrun counts its own restarts in it."""

ENV_PROBE_CHANNEL: Final = "ORCHESTRATE_PROBE_CHANNEL"
"""The path that the probe writes to: the node's own log, past whatever a script redirects."""

ENV_PROBE_JOIN_S: Final = "ORCHESTRATE_PROBE_JOIN_S"
ENV_PROBE_HANG_S: Final = "ORCHESTRATE_PROBE_HANG_S"
ENV_PROBE_CHECKSUM: Final = "ORCHESTRATE_PROBE_CHECKSUM"

ENV_PYTHONPATH: Final = "PYTHONPATH"

RUN_VARIABLES: Final = frozenset(
    {
        ENV_RUN_ID,
        ENV_RESTART_COUNT,
        ENV_TORCH_RESTART_COUNT,
        ENV_PROBE_CHANNEL,
        ENV_PROBE_JOIN_S,
        ENV_PROBE_HANG_S,
        ENV_PROBE_CHECKSUM,
    }
)


def told_to_nodes(identity: RunIdentity) -> dict[str, str]:
    """The variables that every node of a run gets besides those of its spec."""
    count = str(identity.restart_count)
    return {
        ENV_RUN_ID: identity.run_id,
        ENV_RESTART_COUNT: count,
        ENV_TORCH_RESTART_COUNT: count,
        **_orders(identity.probe),
    }


def _orders(orders: ProbeOrders) -> dict[str, str]:
    told = {ENV_PROBE_JOIN_S: orders.join_s, ENV_PROBE_HANG_S: orders.hang_s}
    times = {name: f"{value:g}" for name, value in told.items() if value is not None}
    return times | ({ENV_PROBE_CHECKSUM: "1"} if orders.checksum else {})


def without_run(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """An environment as a spec holds it: sorted, without what `told_to_nodes` added."""
    return tuple(sorted((name, value) for name, value in env.items() if name not in RUN_VARIABLES))


def with_probe(env: Mapping[str, str], folder: str, inherited: str = "") -> dict[str, str]:
    """An environment in which Python finds the probe first, and then what it would have found.

    Args:
        env: what the node is given.
        folder: where the node sees the probe.
        inherited: the PYTHONPATH that holds where `env` has none, such as its image's.
    """
    own = env.get(ENV_PYTHONPATH, inherited)
    # An empty part of it would be the current folder.
    return {**env, ENV_PYTHONPATH: f"{folder}:{own}" if own else folder}


def without_probe(env: Mapping[str, str], folder: str) -> dict[str, str] | None:
    """The environment that `with_probe` was given, with what it inherited; None for any other."""
    first, _, own = env.get(ENV_PYTHONPATH, "").partition(":")
    if first != folder:
        return None
    rest = {name: value for name, value in env.items() if name != ENV_PYTHONPATH}
    return rest | ({ENV_PYTHONPATH: own} if own else {})
