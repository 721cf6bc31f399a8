"""Who may be to blame, by how the engine found each node. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from msgspec.structs import replace

from orchestrator.state.observed import COMMAND_CODES, NodeStatus, ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.checks.run import Run
from orchestrator.verify.sayings import EXCEPTION, failed_ranks, last_words
from orchestrator.verify.suspects import Evidence, Suspect, Weight, only_rank
from orchestrator.verify.torchrun import RankEnd


def suspects_of_nodes(run: Run) -> Iterator[Suspect]:
    """One suspect for each node that is not in order, and for each rank that said it fails."""
    seen = {node.node_rank: node for node in run.nodes}
    for spec in run.facts.desired.nodes:
        node = seen.get(spec.node_rank)
        if node is None:
            yield _gone(spec, run)
        elif node.status in {NodeStatus.PAUSED, NodeStatus.DEAD, NodeStatus.CREATED}:
            yield _not_running(node, spec, run)
        elif node.exit_code is not None and not node.has_finished_well:
            yield _of_ended_node(node, spec, run)
        else:
            yield from failed_ranks(spec, run)


def _gone(spec: NodeSpec, run: Run) -> Suspect:
    return Suspect(
        "gone",
        Weight.PRIMARY,
        run.facts.nodes[spec.node_rank].spoke_at_s or run.started_at_s,
        spec.node_rank,
        only_rank(spec),
        "is gone",
        "somebody removed its container while it ran",
        "apply again",
    )


def _not_running(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect:
    at_s = run.facts.nodes[node.node_rank].spoke_at_s or run.started_at_s
    what, why, mend = f"is {node.status.value}", node.error, "apply again: it replaces the gang"
    if node.status is NodeStatus.PAUSED:
        what, why = "is paused", "somebody froze its container while it ran"
        mend = f"unpause it (docker unpause {node.name}), or apply again"
    state = Evidence(run.now_s, node.node_rank, f"the engine says: {node.status.value}")
    return Suspect(
        node.status.value,
        Weight.PRIMARY,
        at_s,
        node.node_rank,
        only_rank(spec),
        what,
        why,
        mend,
        (state,),
    )


def _of_ended_node(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect:
    """Why a node ended with another code than 0, as far as it and the engine tell."""
    ended = Evidence(node.finished_at_s or run.now_s, node.node_rank, f"the node {node.ending}")
    suspect = (
        _out_of_memory(node, spec)
        or _killed_under_torchrun(node, spec, run)
        or _said(node, spec, run)
        or _by_its_code(node, spec, run)
    )
    return replace(suspect, evidence=(*suspect.evidence, ended))


def _out_of_memory(node: ObservedNode, spec: NodeSpec) -> Suspect | None:
    if not node.oom_killed:
        return None
    limit = spec.limits.memory_bytes
    return Suspect(
        "out-of-memory",
        Weight.PRIMARY,
        node.finished_at_s or 0.0,
        node.node_rank,
        only_rank(spec),
        "ran out of memory",
        f"its node may use {limit / 2**20:g} MiB" if limit else "the machine has no more",
        "raise ranks.resources.memory, or use a smaller batch or model",
    )


def _killed_under_torchrun(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect | None:
    killed = run.facts.nodes[node.node_rank].torchrun.killed
    if killed is None:
        return None
    at_s = _first_word_s(node, run)
    return _killed(killed, -killed.code, at_s, node, spec)


def _killed(
    rank: RankEnd | None, number: int, at_s: float, node: ObservedNode, spec: NodeSpec
) -> Suspect:
    name = signal.Signals(number).name if number in set(signal.Signals) else "unknown"
    why, mend = _SIGNALS.get(number, ("", "see the last lines of its log"))
    return Suspect(
        "killed" if number == signal.SIGKILL else f"signal-{number}",
        Weight.PRIMARY,
        at_s,
        node.node_rank,
        rank.rank if rank else only_rank(spec),
        f"was killed by signal {number} ({name})",
        why,
        mend,
    )


_SIGNALS: dict[int, tuple[str, str]] = {
    signal.SIGKILL: (
        "the engine saw no memory limit reached, so something outside of it did that",
        "look for who killed it: docker kill, a batch system, or the kernel (dmesg)",
    ),
    signal.SIGTERM: ("something asked it to stop", "look for who did: docker stop, a batch system"),
    signal.SIGBUS: (
        "often /dev/shm is full",
        "raise ranks.resources.shm_size, or use fewer DataLoader workers",
    ),
    signal.SIGSEGV: ("native code failed", "set PYTHONFAULTHANDLER=1 to see where"),
    signal.SIGABRT: ("native code gave up", "see the last lines of its log"),
    signal.SIGILL: (
        "its binaries use instructions that this CPU lacks",
        "use builds for this CPU",
    ),
}


def _said(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect | None:
    """What the node, or a rank of it, said; None for one that a signal ended without a word."""
    code = node.exit_code or 0
    spoke_last = code <= 128 or code == 128 + signal.SIGABRT
    best = last_words(spec, run) if spoke_last else None
    return None if best and best.id == EXCEPTION and code in COMMAND_CODES else best


def _by_its_code(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect:
    """A node that gave no reason: what its exit code says, and its last line."""
    code, at_s = node.exit_code or 0, node.finished_at_s or run.now_s
    if code in COMMAND_CODES:
        return _never_began(node, spec, at_s)
    if code > 128:
        return _killed(None, code - 128, at_s, node, spec)
    rank, what, last = only_rank(spec), f"exited with code {code}", _last_line(node, run)
    ends = (end for _, end in sorted(run.facts.nodes[node.node_rank].torchrun.ends.items()))
    if first := next((end for end in ends if end.code > 0), None):
        rank, what = first.rank, f"exited with code {first.code}"
    return Suspect(
        "exit-code",
        Weight.PRIMARY,
        at_s,
        node.node_rank,
        rank,
        f"{what}: last line `{last}`" if last else what,
        "" if last else "it wrote nothing",
        "see the last lines of its log" if last else "see what ranks.command does",
        (Evidence(at_s, node.node_rank, last),) if last else (),
    )


def _never_began(node: ObservedNode, spec: NodeSpec, at_s: float) -> Suspect:
    under_torchrun = spec.num_ranks > 1 and spec.command[:1] == ("torchrun",)
    name = "torchrun, which starts the ranks of a node," if under_torchrun else spec.command[0]
    return Suspect(
        "command",
        Weight.PRIMARY,
        at_s,
        node.node_rank,
        only_rank(spec),
        f"did not start: {COMMAND_CODES[node.exit_code or 0]}",
        f"{name} is not in its image, or not a program",
        "use an image that has it, or mend ranks.command",
    )


def _last_line(node: ObservedNode, run: Run) -> str:
    tail = run.facts.nodes[node.node_rank].tail
    return next((line.strip()[:200] for line in reversed(tail) if any(map(str.isalnum, line))), "")


def _first_word_s(node: ObservedNode, run: Run) -> float:
    first = next(iter(run.facts.nodes[node.node_rank].words), None)
    return first.at_s if first else node.finished_at_s or run.now_s
