"""How a node ended: what the engine knows of it, and what its rank said. Pure."""

from __future__ import annotations

from orchestrator.state import ObservedNode
from orchestrator.verify.facts import RunFacts

LAST_OWN_CODE = 128
"""Codes above it mean death by a signal, of which a node's last line says nothing."""


def how_it_ended(node: ObservedNode, facts: RunFacts) -> str:
    """The exit code in words, and the reason that a rank of the node gave."""
    spec = next((s for s in facts.desired.nodes if s.node_rank == node.node_rank), node.spec)
    reasons = (facts.ranks[rank].failure for rank in spec.ranks if rank in facts.ranks)
    reason = next((reason for reason in reasons if reason), "") or _last_line(node, facts)
    return f"{node.ending}: {reason}" if reason else node.ending


def _last_line(node: ObservedNode, facts: RunFacts) -> str:
    """What a node that gave up by itself wrote last: of a Python traceback, the error."""
    gave_up = node.exit_code is not None and 0 < node.exit_code <= LAST_OWN_CODE
    said = facts.nodes.get(node.node_rank)
    if not gave_up or node.oom_killed or said is None:
        return ""
    last = next((line.strip() for line in reversed(said.tail) if any(map(str.isalnum, line))), "")
    return f"last line `{last[:200]}`" if last else ""
