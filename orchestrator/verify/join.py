"""What is wrong with a join, rank by rank. Pure.

Proof of a join is a collective that adds up, reported once by each rank from the node
that was given it, all naming one group. Each rule here is one way in which a group can
look whole and not be.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from orchestrator.records import ProcessGroupJoined, RendezvousStarted
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.rank_facts import RankFacts


def rank_has_joined(facts: RunFacts, rank: int) -> bool:
    """True when the rank has reported a join at all."""
    return facts.ranks[rank].num_joins > 0


def join_faults(facts: RunFacts, deadline_s: float) -> dict[int, tuple[str, str]]:
    """`{rank: (expected, found)}` for every rank that has reported, but wrongly, or is about to.

    Args:
        facts: what the ranks said.
        deadline_s: seconds since the epoch by which they had to.
    """
    found = {rank: _fault(facts, said, deadline_s) for rank, said in facts.ranks.items()}
    return {rank: fault for rank, fault in found.items() if fault}


def _fault(facts: RunFacts, said: RankFacts, deadline_s: float) -> tuple[str, str] | None:
    if not said.joins:
        return _view_fault(facts, said.rendezvous) if said.rendezvous else None
    at_s, join = said.joins[0]
    if said.num_joins > 1:
        return "one report", f"{said.num_joins} reports"
    if at_s > deadline_s:
        return "a report by the deadline", f"one {at_s - deadline_s:.1f} s after it"
    return _content_fault(facts, join) or _gpu_fault(facts, join.rank)


def _view_fault(facts: RunFacts, view: RendezvousStarted) -> tuple[str, str] | None:
    """What a rank asks of the rendezvous that no join which counts can come of.

    It is known as the rank calls init_process_group, minutes before torch gives up.
    """
    world_size = facts.desired.world_size
    if view.world_size is not None and view.world_size != world_size:
        return f"world_size {world_size}", f"a rendezvous for world_size {view.world_size}"
    if view.master_addr and (expected := _expected_address(facts, view.master_addr)):
        return f"master_addr {expected}", f"a rendezvous at master_addr {view.master_addr}"
    return None


def _content_fault(facts: RunFacts, join: ProcessGroupJoined) -> tuple[str, str] | None:
    world_size = facts.desired.world_size
    if join.world_size != world_size:
        return f"world_size {world_size}", f"world_size {join.world_size}"
    expected_sum = world_size * (world_size - 1) // 2
    if join.rank_sum != expected_sum:
        return f"rank_sum {expected_sum}", f"rank_sum {join.rank_sum}"
    if expected := _expected_address(facts, join.master_addr):
        return f"master_addr {expected}", f"master_addr {join.master_addr}"
    backend = _majority(facts, lambda each: each.backend)
    if join.backend != backend:
        return f"backend {backend}, as the others", f"backend {join.backend}"
    return _peers_fault(facts, join)


def _peers_fault(facts: RunFacts, join: ProcessGroupJoined) -> tuple[str, str] | None:
    """Who else a rank met in the group is not whom the others met, or not in a node of its own."""
    if join.peers:
        common = Counter(each.peers for each in _joins(facts) if each.peers).most_common(1)[0][0]
        if join.peers != common:
            return f"peers {common}, as the others", f"peers {join.peers}: it is in another group"
    if not join.hostname or facts.desired.network is None:
        return None  # nodes without a network of their own share the machine's name
    num_ranks = facts.desired.nodes[0].num_ranks
    same = [
        each.rank
        for each in _joins(facts)
        if each.hostname == join.hostname and each.rank // num_ranks != join.rank // num_ranks
    ]
    return ("a host of its own", f"{join.hostname}, as rank {same[0]} has") if same else None


def _joins(facts: RunFacts) -> Iterator[ProcessGroupJoined]:
    """The first join of each rank that has one."""
    return (said.joins[0][1] for said in facts.ranks.values() if said.joins)


def _gpu_fault(facts: RunFacts, rank: int) -> tuple[str, str] | None:
    """A GPU that is not the node's, or one that two ranks of a node have, each with its own.

    Who is on another node's GPU is at fault, and not that node, which is where it should be.
    """
    demand, used = facts.desired.gpus, facts.ranks[rank].gpu
    nodes = facts.desired.nodes
    own = nodes[rank // nodes[0].num_ranks]
    if not used:
        return None
    if own.gpus and used not in own.gpu_uuids:
        whose = (node.node_rank for node in nodes if used in node.gpu_uuids)
        theirs = (f", which is node {node_rank}'s" for node_rank in whose)
        return f"gpu {' or '.join(own.gpu_uuids)}", f"gpu {used}{next(theirs, '')}"
    if demand is not None and demand.is_alone:
        same = [each for each in own.ranks if each != rank and facts.ranks[each].gpu == used]
        if same:
            return "a gpu of its own", f"gpu {used}, as rank {same[0]} has"
    return None


def _expected_address(facts: RunFacts, used: str) -> str:
    """The address that the nodes were given; empty when a rank used just that."""
    given = dict(facts.desired.nodes[0].env).get("MASTER_ADDR", used)
    return "" if used == given else given


def _majority(facts: RunFacts, value: Callable[[ProcessGroupJoined], str]) -> str:
    counts = Counter(map(value, _joins(facts)))
    return counts.most_common(1)[0][0]
