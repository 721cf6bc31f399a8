"""One moment of a run, as every check looks at it, and the words that they have in common. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from msgspec import Struct

from orchestrator.state.observed import ObservedNode, ObservedSidecar
from orchestrator.verify.facts import RunFacts, last_start_s
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import Finding


class Run(Struct, frozen=True):
    """One moment of a run: its facts, its nodes as last seen, and the time.

    `reference` is `{step: loss}` of the same command in a single process; None without one.
    `sidecar` is what the nodes lean on; None where it is gone, or they need none.
    """

    facts: RunFacts
    nodes: tuple[ObservedNode, ...]
    now_s: float
    reference: Mapping[int, float] | None = None
    sidecar: ObservedSidecar | None = None

    @property
    def started_at_s(self) -> float:
        """When the last node started."""
        return last_start_s(self.nodes)

    @property
    def has_ended(self) -> bool:
        """True when no node runs any more and every log is complete."""
        return not any(node.is_active for node in self.nodes) and all(
            node.has_ended for node in self.facts.nodes.values()
        )

    @property
    def joined_at_s(self) -> float | None:
        """When the last rank joined; None while one is missing."""
        times = [rank.joined_at_s for rank in self.facts.ranks.values()]
        return None if None in times else max(time for time in times if time is not None)

    def deadline_s(self, within_s: float) -> float:
        """So long after the join; after the start of the last node while there is none."""
        return (self.joined_at_s or self.started_at_s) + within_s

    def is_silent(self, node_rank: int) -> bool:
        """True when nothing more will come from a node."""
        return self.facts.nodes[node_rank].has_ended

    def node_of(self, rank: int) -> int:
        """The node that a rank runs in."""
        return rank // self.facts.desired.nodes[0].num_ranks


def rank_findings(
    run: Run,
    ranks: Mapping[int, RankFacts],
    expected: str,
    found: Callable[[RankFacts], str],
) -> tuple[Finding, ...]:
    """One finding for each of these ranks."""
    return tuple(
        Finding(run.node_of(rank), rank, expected, found(facts)) for rank, facts in ranks.items()
    )


def is_over(run: Run, ranks: Iterable[int], deadline_s: float) -> bool:
    """True when nothing more is to be waited for: it is too late, or a rank's node has ended."""
    return run.now_s > deadline_s or any(run.is_silent(run.node_of(rank)) for rank in ranks)


def count(number: int, one: str, many: str = "") -> str:
    """A number and what it counts."""
    return f"{number} {one if number == 1 else many or one + 's'}"
