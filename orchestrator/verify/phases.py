"""The way of each rank into the group, phase by phase: where it stopped, and what took long. Pure.

The phases come from the probe; when a container was made and started, from the engine. All
times are by the engine's clock.
"""

from __future__ import annotations

from itertools import pairwise

from msgspec import Struct

from orchestrator.state.observed import ObservedNode
from orchestrator.verify.checks.run import Run
from orchestrator.verify.rank_facts import Phase, RankFacts

PHASE_KEYS = {
    Phase.INTERPRETER: "interpreter",
    Phase.TORCH: "torch",
    Phase.RENDEZVOUS: "rendezvous",
    Phase.RESOLVED: "resolved",
    Phase.REACHED: "reached",
    Phase.STORE: "store",
    Phase.JOINED: "joined",
}
_WHAT_TOOK = {
    Phase.INTERPRETER: "Python",
    Phase.TORCH: "import torch",
    Phase.RENDEZVOUS: "up to init_process_group",
    Phase.RESOLVED: "master's name",
    Phase.REACHED: "connection to the master",
    Phase.STORE: "wait for peers",
    Phase.JOINED: "collective",
}
_STOPPED = {
    Phase.INTERPRETER: "Python started, torch not imported",
    Phase.TORCH: "torch imported, init_process_group never called",
    Phase.RENDEZVOUS: "rendezvous started, {where} not reached",
    Phase.RESOLVED: "name resolved, no connection to {where}",
    Phase.REACHED: "master reached, store not joined: {connected} are connected",
    Phase.STORE: "store joined, the collective over all ranks not ended",
    Phase.JOINED: "a join that does not count",
}
_ORDER = list(Phase)

WORTH_TELLING_S = 0.1
NUM_SLOWEST = 2


class Way(Struct, frozen=True):
    """When a rank reached each phase, in seconds since its node started; None: not seen."""

    rank: int
    node_rank: int
    times_s: tuple[tuple[str, float | None], ...]

    def document(self) -> dict[str, int | float | None]:
        """The same for `--json`, to the millisecond."""
        rounded = {
            name: None if time_s is None else round(time_s, 3) for name, time_s in self.times_s
        }
        return {"rank": self.rank, "node_rank": self.node_rank, **rounded}


def ways(run: Run) -> tuple[Way, ...]:
    """The way of every rank whose node has started, in rank order."""
    nodes = {node.node_rank: node for node in run.nodes}
    return tuple(
        Way(rank, node.node_rank, _times_s(node, node.started_at_s, facts))
        for rank, facts in run.facts.ranks.items()
        if (node := nodes.get(run.node_of(rank))) and node.started_at_s is not None
    )


def _times_s(
    node: ObservedNode, started_at_s: float, facts: RankFacts
) -> tuple[tuple[str, float | None], ...]:
    created_s = None if node.created_at_s is None else node.created_at_s - started_at_s
    reached = {
        name: facts.phases[phase] - started_at_s if phase in facts.phases else None
        for phase, name in PHASE_KEYS.items()
    }
    return (("created", created_s), ("started", 0.0), *reached.items())


def slowest(run: Run) -> str:
    """What took longest of the rank that joined last, in its order; empty where nobody saw it."""
    rank, facts = max(run.facts.ranks.items(), key=lambda each: each[1].joined_at_s or 0.0)
    if facts.phases.keys() <= {Phase.JOINED}:
        return ""
    node_rank = run.node_of(rank)
    started_at_s = next(n.started_at_s or 0.0 for n in run.nodes if n.node_rank == node_rank)
    reached = sorted((at_s, phase) for phase, at_s in facts.phases.items())
    times = [started_at_s, *(at_s for at_s, _ in reached)]
    took = [
        (after - before, phase)
        for (before, after), (_, phase) in zip(pairwise(times), reached, strict=True)
    ]
    longest = sorted(took, reverse=True)[:NUM_SLOWEST]
    told = [
        f"{_WHAT_TOOK[phase]} {took_s:.1f} s"
        for took_s, phase in took
        if (took_s, phase) in longest and took_s >= WORTH_TELLING_S
    ]
    return f"rank {rank}: {', '.join(told)}" if told else ""


def how_far(run: Run, rank: int) -> str:
    """How far a rank has come that has not joined, and what did not happen next."""
    facts = run.facts.ranks[rank]
    if facts.phase is None:
        return "nothing"
    view = facts.rendezvous
    master = view.master_addr if view and view.master_addr else "the master"
    if facts.phase is Phase.RENDEZVOUS and facts.name_error:
        return f"rendezvous started, {master} does not resolve ({facts.name_error})"
    port = f" port {view.master_port}" if view and view.master_port else ""
    return _STOPPED[facts.phase].format(where=f"{master}{port}", connected=_connected(run))


def _connected(run: Run) -> str:
    phases = (facts.phase for facts in run.facts.ranks.values())
    reached = _ORDER.index(Phase.REACHED)
    num = sum(phase is not None and _ORDER.index(phase) >= reached for phase in phases)
    return f"{num} of {len(run.facts.ranks)} ranks"
