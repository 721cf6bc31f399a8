"""Why a group did not form: who was told otherwise, who took another's place, who never came. Pure.

What a rank thinks the group is comes from the probe (`rendezvous_started`); without the probe
only the texts of the logs tell, and who is silent while others wait.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from orchestrator.state.observed import ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.checks.run import Run
from orchestrator.verify.facts import Impostor
from orchestrator.verify.rank_facts import Phase, RankFacts
from orchestrator.verify.suspects import Evidence, Suspect, Weight, is_address, is_loopback

NEVER_INIT = "never-init"
"""The id of a rank that has not called init_process_group."""

WAITING = frozenset({"peers-missing", "master-silent", "store-key-missing", "nccl-id-missing"})
"""Signatures of a rank that came, and waits for one that did not."""

_LEAVE = "leave {} as it is set for you"
_ORDER = list(Phase)


def suspects_of_joining(run: Run, others: tuple[Suspect, ...]) -> Iterator[Suspect]:
    """Who kept the group from forming; nobody once it has formed.

    Args:
        run: the run.
        others: what the nodes' ends and logs say.
    """
    if run.joined_at_s is not None:
        return
    for rank in run.facts.ranks:
        yield from _told_otherwise(run, rank)
    yield from _starts_ranks(run)
    yield from _in_anothers_place(run)
    yield from _never_came(run, others)


def _told_otherwise(run: Run, rank: int) -> Iterator[Suspect]:
    """Where a rank looks for the group is not where it was told to look."""
    view = run.facts.ranks[rank].rendezvous
    if view is None:
        return
    node_rank = run.node_of(rank)
    env = dict(run.facts.desired.nodes[node_rank].env)
    world_size = run.facts.desired.world_size
    if view.world_size is not None and view.world_size != world_size:
        what = f"waits for a group of {view.world_size}"
        why = f"it was given WORLD_SIZE {world_size}, and something changed it"
        yield _changed(run, rank, "world-size", (what, why, "WORLD_SIZE"))
    given_addr, given_port = env.get("MASTER_ADDR", ""), env.get("MASTER_PORT", "")
    if view.master_addr and given_addr and view.master_addr != given_addr:
        yield from _other_address(run, rank, view.master_addr, given_addr)
    if view.master_port and given_port and view.master_port != given_port:
        what = f"looks for rank 0 on port {view.master_port}"
        why = f"it was given MASTER_PORT {given_port}, and something changed it"
        yield _changed(run, rank, "master-port", (what, why, "MASTER_PORT"))


def _other_address(run: Run, rank: int, used: str, given: str) -> Iterator[Suspect]:
    why = f"it was given MASTER_ADDR {given}, and something changed it"
    is_name = Phase.RESOLVED not in run.facts.ranks[rank].phases and not is_address(used)
    if is_loopback(used):
        if run.node_of(rank) == 0:
            return  # rank 0 may well call itself that; it is the others that do not find it
        what = f"looks for rank 0 at {used}, which is its own node"
        yield _changed(run, rank, "master-loopback", (what, why, "MASTER_ADDR"))
    elif is_name:
        what = f"looks for rank 0 at {used}, a name that does not resolve"
        yield _changed(run, rank, "master-name", (what, why, "MASTER_ADDR"))
    else:
        what = f"looks for rank 0 at {used}"
        yield _changed(run, rank, "master-address", (what, why, "MASTER_ADDR"))


def _changed(run: Run, rank: int, kind: str, told: tuple[str, str, str]) -> Suspect:
    what, why, variable = told
    facts = run.facts.ranks[rank]
    view, at_s = facts.rendezvous, facts.phases.get(Phase.RENDEZVOUS, run.started_at_s)
    text = "init_process_group was called"
    if view is not None:
        text += (
            f" with MASTER_ADDR={view.master_addr} MASTER_PORT={view.master_port}"
            f" WORLD_SIZE={view.world_size}"
        )
    node_rank = run.node_of(rank)
    evidence = (Evidence(at_s, node_rank, text),)
    mend = _LEAVE.format(variable)
    return Suspect(kind, Weight.PRIMARY, at_s, node_rank, rank, what, why, mend, evidence)


def _starts_ranks(run: Run) -> Iterator[Suspect]:
    """A node that reports for more ranks than it was given: its script is made for one machine."""
    for spec in run.facts.desired.nodes:
        if not _has_more_ranks(run, spec):
            continue
        yield Suspect(
            "starts-ranks",
            Weight.PRIMARY,
            run.started_at_s,
            spec.node_rank,
            spec.ranks[0] if spec.num_ranks == 1 else None,
            "starts more ranks by itself",
            "its script spawns them, as for a single machine",
            "let each process be the one rank that RANK and WORLD_SIZE say;"
            " ranks.nproc_per_node is for more of them in a node",
            tuple(
                Evidence(run.started_at_s, spec.node_rank, str(each))
                for each in _further_ranks(run, spec)
            )[:1],
        )


def _has_more_ranks(run: Run, spec: NodeSpec) -> bool:
    """True for a node whose own ranks called init_process_group, and others in it too."""
    called = all(run.facts.ranks[rank].rendezvous is not None for rank in spec.ranks)
    return called and bool(_further_ranks(run, spec))


def _further_ranks(run: Run, spec: NodeSpec) -> tuple[Impostor, ...]:
    """What a node reported for ranks that it was not given."""
    own = (None, *spec.ranks)
    impostors = run.facts.nodes[spec.node_rank].impostors
    return tuple(each for each in impostors if each.rank not in own)


def _in_anothers_place(run: Run) -> Iterator[Suspect]:
    """A node that reports for a rank that another node was given, in place of its own."""
    for rank in run.facts.ranks:
        for node_rank in run.facts.claimants(rank):
            spec = run.facts.desired.nodes[node_rank]
            if _has_more_ranks(run, spec):
                continue
            own = str(spec.ranks[0]) if spec.num_ranks == 1 else f"{spec.ranks[0]} and on"
            impostors = run.facts.nodes[node_rank].impostors
            evidence = tuple(
                Evidence(run.started_at_s, node_rank, str(each))
                for each in impostors
                if each.rank == rank
            )
            yield Suspect(
                "rank-taken",
                Weight.PRIMARY,
                run.started_at_s,
                node_rank,
                spec.ranks[0] if spec.num_ranks == 1 else None,
                f"takes itself for rank {rank}, so that there are two",
                f"it was given RANK {own}, and something changed it",
                _LEAVE.format("RANK"),
                evidence[:1],
            )


def _never_came(run: Run, others: tuple[Suspect, ...]) -> Iterator[Suspect]:
    """Ranks that others wait for, by how far each has come."""
    nodes = {node.node_rank: node for node in run.nodes}
    has_probe = any(facts.phases for facts in run.facts.ranks.values())
    waiting = {each.node_rank for each in others if each.id in WAITING}
    if not has_probe and all(node.has_finished_well for node in run.nodes):
        return  # a script that reports nothing may have joined all the same
    for rank, facts in run.facts.ranks.items():
        node = nodes.get(run.node_of(rank))
        if node is None or facts.joined_at_s is not None:
            continue
        if node.has_finished_well:
            yield _left(run, rank, node, has_probe=has_probe)
        elif node.is_active and has_probe:
            # While one has left, the others may well be on their way yet.
            someone_left = any(node.has_finished_well for node in run.nodes)
            suspect = _by_phase(run, rank, facts)
            yield replace(suspect, weight=Weight.SECONDARY) if someone_left else suspect
        elif node.is_active and waiting and node.node_rank not in waiting:
            yield _silent(run, rank, node)


def _left(run: Run, rank: int, node: ObservedNode, *, has_probe: bool) -> Suspect:
    at_s = node.finished_at_s or run.now_s
    when = "before it joined the group" if has_probe else "while the others waited for it"
    return Suspect(
        "left-before-join" if has_probe else "left",
        Weight.LIKELY,
        at_s,
        node.node_rank,
        rank,
        f"ended with 0 {when}",
        "a group forms only when every rank calls init_process_group",
        "let every rank join, also one that has nothing to do",
        (*_last_word(run, node.node_rank), Evidence(at_s, node.node_rank, "the node ended with 0")),
    )


def _by_phase(run: Run, rank: int, facts: RankFacts) -> Suspect:
    phase, node_rank = facts.phase, run.node_of(rank)
    so_far = f"it got as far as: {phase.value}" if phase else "not even Python was seen to start"
    waited_s = run.now_s - run.started_at_s
    at_s = facts.phases.get(phase, run.started_at_s) if phase else run.started_at_s
    if phase is None or _ORDER.index(phase) < _ORDER.index(Phase.RENDEZVOUS):
        return Suspect(
            NEVER_INIT,
            Weight.LIKELY,
            run.started_at_s,
            node_rank,
            rank,
            f"did not call init_process_group within {waited_s:.0f} s",
            so_far,
            "call it on every rank, or see what it does instead",
            stack_lines(run, rank),
        )
    is_behind = _ORDER.index(phase) < _furthest(run)
    return Suspect(
        "behind-others" if is_behind else "waits-to-join",
        Weight.LIKELY if is_behind else Weight.SECONDARY,
        at_s,
        node_rank,
        rank,
        f"has waited {run.now_s - at_s:.0f} s to join the group",
        f"{so_far}, where others came further" if is_behind else so_far,
        "see what keeps it there" if is_behind else "see why the ranks do not reach each other",
        stack_lines(run, rank),
    )


def _furthest(run: Run) -> int:
    """How far the rank that came furthest has come, among those that have not joined."""
    phases = (f.phase for f in run.facts.ranks.values() if f.joined_at_s is None)
    return max((_ORDER.index(phase) for phase in phases if phase is not None), default=0)


def _silent(run: Run, rank: int, node: ObservedNode) -> Suspect:
    return Suspect(
        "silent",
        Weight.LIKELY,
        run.facts.nodes[node.node_rank].spoke_at_s or run.started_at_s,
        node.node_rank,
        rank,
        "runs, and did not come to the group that others wait in",
        "it hangs before init_process_group, or is told to look elsewhere",
        "see what it does before it joins; with probe: on that would be known",
        _last_word(run, node.node_rank),
    )


def _last_word(run: Run, node_rank: int) -> tuple[Evidence, ...]:
    said = run.facts.nodes[node_rank]
    if not said.tail or said.spoke_at_s is None:
        return ()
    return (Evidence(said.spoke_at_s, node_rank, said.tail[-1]),)


def stack_lines(run: Run, rank: int, limit: int = 4) -> tuple[Evidence, ...]:
    """Where the main thread of a rank is, the innermost frame first; empty where nobody looked."""
    facts = run.facts.ranks[rank]
    if facts.stacks is None or not facts.stacks.threads:
        return ()
    frames = next(iter(facts.stacks.threads.values()))[:limit]
    at_s = facts.stacks_at_s or run.now_s
    return tuple(Evidence(at_s, run.node_of(rank), f"it is at {frame}") for frame in frames)
