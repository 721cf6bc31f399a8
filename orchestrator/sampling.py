"""Looks now and then at what nodes use of the machine, seldom enough to cost next to nothing.

A look costs an engine about two milliseconds a node [measured on Docker 20.10], so looks are
as far apart as it takes to spend less than a hundredth of one processor on them.
"""

from __future__ import annotations

import time
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

SPARING: Final = 100
"""How many times as long to wait as a look has cost."""

OnUsage = Callable[[tuple[Usage, ...]], None]


def pause_s(num_nodes: int, spent_s: float = 0.0) -> float:
    """How long to wait between two looks.

    Args:
        num_nodes: that are looked at.
        spent_s: processor time that this program spent on the last look: where it is this
            program that counts, over all processes of the machine, they may be many.
    """
    return max(EVERY_S, NODE_S * num_nodes, SPARING * spent_s)


def sample_until_stopped(
    source: UsageSource,
    nodes: Sequence[ObservedNode],
    on_usage: OnUsage,
    stop: Event,
    spent: Callable[[], float] = time.thread_time,
) -> None:
    """Hand over what the nodes use, again and again until `stop` is set.

    An engine that does not answer is asked again later: no run fails for want of a sample.
    """
    spent_s = 0.0
    while not stop.wait(pause_s(len(nodes), spent_s)):
        before_s = spent()
        try:
            found = source.usage(nodes)
        except OrchestrateError:
            continue
        finally:
            spent_s = spent() - before_s
        if found and not stop.is_set():
            on_usage(found)
