"""Looks now and then at what nodes use of the machine, seldom enough to cost next to nothing.

A look costs an engine about two milliseconds a node [measured on Docker 20.10], so looks are
as far apart as it takes to spend less than a hundredth of one processor on them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Event
from typing import Final

from orchestrator.engines.base import UsageSource
from orchestrator.errors import OrchestrateError
from orchestrator.state.observed import ObservedNode
from orchestrator.state.usage import Usage

EVERY_S: Final = 2.0
"""How long to wait between two looks at a few nodes."""

NODE_S: Final = 0.2
"""How long to wait for each node, where they are many: a hundred times what a look costs."""

OnUsage = Callable[[tuple[Usage, ...]], None]


def pause_s(num_nodes: int) -> float:
    """How long to wait between two looks at so many nodes."""
    return max(EVERY_S, NODE_S * num_nodes)


def sample_until_stopped(
    source: UsageSource, nodes: Sequence[ObservedNode], on_usage: OnUsage, stop: Event
) -> None:
    """Hand over what the nodes use, again and again until `stop` is set.

    An engine that does not answer is asked again later: no run fails for want of a sample.
    """
    while not stop.wait(pause_s(len(nodes))):
        try:
            found = source.usage(nodes)
        except OrchestrateError:
            continue
        if found and not stop.is_set():
            on_usage(found)
