"""How a node ended, and which one failed first: engine and ranks together. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.state.observed import COMMAND_CODES, ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.facts import RunFacts

LAST_OWN_CODE = 128
"""Codes above it mean death by a signal, of which a node's last line says nothing."""

_PEER_LOST = re.compile(
    r"Connection (closed by peer|reset by peer|refused)|Broken pipe|got 0 bytes|recvValue failed"
    r"|Socket Timeout|Gloo connectFullMesh failed|NCCL.*(remote|peer)",
    re.IGNORECASE,
)
"""What a rank says when another one has gone: it was not the first to fail."""


def how_it_ended(node: ObservedNode, facts: RunFacts) -> str:
    """The exit code in words, and the reason that a rank of the node gave."""
    reason = _reason(node, facts)
    return f"{node.ending}: {reason}" if reason else node.ending


@dataclass(frozen=True, slots=True)
class Failure:
    """One node that failed, and whether it only followed another one."""

    node_rank: int
    at_s: float
    words: str
    is_echo: bool

    def __str__(self) -> str:
        return f"node {self.node_rank} {self.words}"


def failures(nodes: Iterable[ObservedNode], facts: RunFacts) -> tuple[Failure, ...]:
    """The nodes that have failed, the first cause first.

    A node that says that a peer was lost is an echo, and comes after those that do not,
    although it may have ended before: torchrun outlives a rank by a moment.
    """
    failed = (
        _failure(node, facts)
        for node in nodes
        if node.exit_code is not None and not node.has_finished_well
    )
    return tuple(sorted(failed, key=lambda each: (each.is_echo, each.at_s, each.node_rank)))


def _failure(node: ObservedNode, facts: RunFacts) -> Failure:
    reason = _reason(node, facts)
    said = _first_words(_spec(node, facts), facts)
    at_s = said[0] if said else node.finished_at_s or 0.0
    echo = bool(_PEER_LOST.search(reason)) and not node.oom_killed
    return Failure(node.node_rank, at_s, how_it_ended(node, facts), echo)


def _reason(node: ObservedNode, facts: RunFacts) -> str:
    spec = _spec(node, facts)
    said = facts.nodes.get(node.node_rank)
    if node.exit_code in COMMAND_CODES and spec.num_ranks > 1 and spec.command[:1] == ("torchrun",):
        return "torchrun, which starts the ranks of a node, is not in its image"
    summary = said.torchrun if said else None
    if summary and summary.killed:
        return str(summary.killed)
    if words := _first_words(spec, facts):
        return words[1]
    if summary and summary.ends:
        return str(next(iter(summary.ends.values())))
    return _last_line(node, facts)


def _spec(node: ObservedNode, facts: RunFacts) -> NodeSpec:
    return next((s for s in facts.desired.nodes if s.node_rank == node.node_rank), node.spec)


def _first_words(spec: NodeSpec, facts: RunFacts) -> tuple[float, str] | None:
    """When and why a rank of the node first said that it failed; those that lost a peer last."""
    said = [
        (bool(_PEER_LOST.search(rank.failure)), rank.failed_at_s, number, rank.failure)
        for number in spec.ranks
        if (rank := facts.ranks.get(number)) is not None and rank.failed_at_s is not None
    ]
    if not said:
        return None
    _, at_s, number, reason = min(said)
    return at_s, f"rank {number}: {reason}" if spec.num_ranks > 1 else reason


def _last_line(node: ObservedNode, facts: RunFacts) -> str:
    """What a node that gave up by itself wrote last: of a Python traceback, the error."""
    gave_up = node.exit_code is not None and 0 < node.exit_code <= LAST_OWN_CODE
    said = facts.nodes.get(node.node_rank)
    if not gave_up or node.oom_killed or said is None:
        return ""
    last = next((line.strip() for line in reversed(said.tail) if any(map(str.isalnum, line))), "")
    return f"last line `{last[:200]}`" if last else ""
