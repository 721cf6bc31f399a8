"""How a node ended: what the engine knows of it, and what its rank said. Pure."""

from __future__ import annotations

from orchestrator.state import ObservedNode
from orchestrator.verify.facts import RunFacts


def how_it_ended(node: ObservedNode, facts: RunFacts) -> str:
    """The exit code in words, and the reason that a rank of the node gave."""
    spec = next((s for s in facts.desired.nodes if s.node_rank == node.node_rank), node.spec)
    reasons = (facts.ranks[rank].failure for rank in spec.ranks if rank in facts.ranks)
    reason = next((reason for reason in reasons if reason), "")
    return f"{node.ending}: {reason}" if reason else node.ending
