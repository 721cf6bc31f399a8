"""How a node ended, in words: engine and ranks together. Pure."""

from __future__ import annotations

from orchestrator.state.observed import COMMAND_CODES, ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.signatures import read_text

LAST_OWN_CODE = 128
"""Codes above it mean death by a signal, of which a node's last line says nothing."""


def how_it_ended(node: ObservedNode, facts: RunFacts) -> str:
    """The exit code in words, and the reason that a rank of the node gave."""
    reason = _reason(node, facts)
    return f"{node.ending}: {reason}" if reason else node.ending


def _reason(node: ObservedNode, facts: RunFacts) -> str:
    spec = _spec(node, facts)
    said = facts.nodes.get(node.node_rank)
    if node.exit_code in COMMAND_CODES and spec.num_ranks > 1 and spec.command[:1] == ("torchrun",):
        return "torchrun, which starts the ranks of a node, is not in its image"
    summary = said.torchrun if said else None
    if summary and summary.killed:
        return str(summary.killed)
    if words := _first_words(spec, facts):
        return words
    if summary and summary.ends:
        return str(next(iter(summary.ends.values())))
    return _last_line(node, facts)


def _spec(node: ObservedNode, facts: RunFacts) -> NodeSpec:
    return next((s for s in facts.desired.nodes if s.node_rank == node.node_rank), node.spec)


def _first_words(spec: NodeSpec, facts: RunFacts) -> str:
    """Why a rank of the node failed, as it said itself; those that lost a peer come last."""
    said = [
        (_is_echo(rank.failure), rank.failed_at_s, number, rank.failure)
        for number in spec.ranks
        if (rank := facts.ranks.get(number)) is not None and rank.failed_at_s is not None
    ]
    if not said:
        return ""
    _, _, number, reason = min(said)
    return f"rank {number}: {reason}" if spec.num_ranks > 1 else reason


def _is_echo(reason: str) -> bool:
    reading = read_text(reason)
    return reading is not None and not reading.signature.is_primary


def _last_line(node: ObservedNode, facts: RunFacts) -> str:
    """What a node that gave up by itself wrote last: of a Python traceback, the error."""
    gave_up = node.exit_code is not None and 0 < node.exit_code <= LAST_OWN_CODE
    said = facts.nodes.get(node.node_rank)
    if not gave_up or node.oom_killed or said is None:
        return ""
    last = next((line.strip() for line in reversed(said.tail) if any(map(str.isalnum, line))), "")
    return f"last line `{last[:200]}`" if last else ""
