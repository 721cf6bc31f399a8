"""Which rank holds the others up: by where each one is and how far each has come. Pure.

A rank that waits for a peer is in a collective; the one that it waits for is not, or in
another one. Where the probe took no stacks, the rank with the fewest steps is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks.run import Run
from orchestrator.verify.joining import stack_lines
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Status
from orchestrator.verify.suspects import Evidence, Suspect, Weight

SAME_CALLS = (
    "make every rank call the same collectives, in the same order and as often as the others"
)
_COLLECTIVE = re.compile(
    r"_?(all_|reduce|broadcast|barrier|monitored_barrier|gather|scatter|i?send|i?recv|batch_isend"
    r"|new_group|split_group|wait|unshard|destroy_process_group)"
)
"""Functions of torch.distributed in which a rank waits for others."""

_BACKWARD = "torch/autograd/"

A_COLLECTIVE = "a collective"
"""Where a rank was that waited until its time was up."""


OF_STANDSTILL = frozenset({"joined", "training", "progress", "completed"})
"""Checks that fail because nothing happens: the stacks then say where it does not."""


def stacks_may_come(results: Sequence[CheckResult], run: Run) -> bool:
    """True when the probe of a rank that stands still has yet to say where that rank is."""
    failed = {each.name for each in results if each.status is Status.FAILED}
    if "alive" in failed or not failed & OF_STANDSTILL:
        return False
    if any(facts.failed_at_s is not None for facts in run.facts.ranks.values()):
        return False  # a rank has said why, and is on its way out
    if "progress" not in failed and any(node.exit_code is not None for node in run.nodes):
        return False  # it failed because a node has left: nobody stands still for long yet
    running = {node.node_rank for node in run.nodes if node.status is NodeStatus.RUNNING}
    return any(
        run.node_of(rank) in running
        and facts.interpreter is not None
        and facts.stacks is None
        and not facts.has_finished
        for rank, facts in run.facts.ranks.items()
    )


def suspects_of_a_hang(run: Run, said: Sequence[Suspect] = ()) -> Iterator[Suspect]:
    """Who keeps a formed group from going on; nobody where no rank that could work stands still.

    Args:
        run: the run.
        said: what is known of nodes that have ended: where they only waited until their time was
            up, whoever they waited for may still run.
    """
    stuck = _stuck(run)
    if not stuck or any(each.weight is not Weight.SECONDARY for each in said):
        return
    left = {rank: facts for rank, facts in run.facts.ranks.items() if _has_left(run, rank)}
    if left and not said:
        for rank in left:
            yield left_early(run, rank)
    if left:
        return
    waits = {rank: _waits_in(facts) for rank, facts in stuck.items()}
    ended = {each.rank: run.facts.ranks[each.rank] for each in said if each.rank is not None}
    waits |= {rank: _waits_in(facts) or A_COLLECTIVE for rank, facts in ended.items()}
    found = _elsewhere(run, stuck, waits) or _behind(run, stuck)
    yield from found or (() if said else _all_alike(run, waits))


def _stuck(run: Run) -> dict[int, RankFacts]:
    running = {node.node_rank for node in run.nodes if node.status is NodeStatus.RUNNING}
    return {
        rank: facts
        for rank, facts in run.facts.ranks.items()
        if run.node_of(rank) in running
        and (facts.joined_at_s is not None or facts.last_step_at_s is not None)
        and not facts.has_finished
    }


def _has_left(run: Run, rank: int) -> bool:
    node_rank = run.node_of(rank)
    return any(n.node_rank == node_rank and n.has_finished_well for n in run.nodes)


def left_early(run: Run, rank: int) -> Suspect:
    """A rank that has ended well, and too early for the others."""
    facts, node_rank = run.facts.ranks[rank], run.node_of(rank)
    node = next(node for node in run.nodes if node.node_rank == node_rank)
    at_s = node.finished_at_s or run.now_s
    # What it did in its last moment it may not have reported: it is no count of its steps.
    last = f"it last reported step {facts.last_step}, and " if facts.last_step else "it "
    return Suspect(
        "left",
        Weight.LIKELY,
        at_s,
        node_rank,
        rank,
        "ended with 0 while others were still in the group",
        f"{last}took part in fewer collectives than they did, as with fewer batches",
        "give every rank the same number of steps (drop_last, or DDP's join())",
        (Evidence(at_s, node_rank, "the node ended with 0"),),
    )


def _elsewhere(run: Run, stuck: dict[int, RankFacts], waits: dict[int, str]) -> tuple[Suspect, ...]:
    """The ranks that are not where the others wait; none where all are alike or nobody looked."""
    calls = [call for call in waits.values() if call]
    if not calls or len(set(waits.values())) == 1:
        return ()
    common = max(calls, key=calls.count)
    waiting = sorted(rank for rank, call in waits.items() if call == common)
    return tuple(
        _one_elsewhere(run, rank, waits[rank], (waiting[0], common))
        for rank, facts in stuck.items()
        if waits[rank] != common and facts.stacks is not None
    )


def _one_elsewhere(run: Run, rank: int, call: str, other: tuple[int, str]) -> Suspect:
    facts, (peer, common) = run.facts.ranks[rank], other
    where = f"in {call}" if call else f"at {_own_frame(facts)}"
    return Suspect(
        "elsewhere",
        Weight.LIKELY,
        facts.last_step_at_s or facts.joined_at_s or run.started_at_s,
        run.node_of(rank),
        rank,
        f"is {where} while rank {peer} {_waiting(common)}",
        _steps_of_both(facts.last_step, run.facts.ranks[peer].last_step, peer),
        SAME_CALLS if call else "see why it does not get on from there",
        (*_standing(run, rank), *_standing(run, peer)),
    )


def _waiting(call: str) -> str:
    return f"waits for it in {call}" if call != A_COLLECTIVE else f"waited for it in {call}"


def _steps_of_both(own: int, others: int, peer: int) -> str:
    if own == others:
        return f"both have done step {own}" if own else "neither has done a step"
    return f"it has done step {own}, rank {peer} step {others}"


def _behind(run: Run, stuck: dict[int, RankFacts]) -> tuple[Suspect, ...]:
    """The ranks with fewer steps than others; none where all have as many."""
    furthest = max(facts.last_step for facts in run.facts.ranks.values())
    return tuple(
        Suspect(
            "behind",
            Weight.LIKELY,
            facts.last_step_at_s or facts.joined_at_s or run.started_at_s,
            run.node_of(rank),
            rank,
            f"came no further than step {facts.last_step}, others did step {furthest}",
            f"it made no step for {_waited_s(run, facts):.0f} s",
            "see what it does after that step; with probe: on its stack would be known",
            _standing(run, rank),
        )
        for rank, facts in stuck.items()
        if facts.last_step < furthest
    )


def _all_alike(run: Run, waits: dict[int, str]) -> tuple[Suspect, ...]:
    """Every rank stands still at one place: each of them is said to."""
    return tuple(
        Suspect(
            "hang",
            Weight.LIKELY,
            facts.last_step_at_s or facts.joined_at_s or run.started_at_s,
            run.node_of(rank),
            rank,
            f"made no step after {f'step {facts.last_step}' if facts.last_step else 'it joined'}",
            _where(facts, call),
            _mend(facts, call),
            _standing(run, rank),
        )
        for rank, call in waits.items()
        for facts in (run.facts.ranks[rank],)
    )


def _mend(facts: RankFacts, call: str) -> str:
    if call:
        return SAME_CALLS
    if _importing(facts):
        return "give it more time (progress.every)"
    return "see what it does after that step"


def _where(facts: RankFacts, call: str) -> str:
    if call:
        return f"it waits in {call}"
    if module := _importing(facts):
        return f"it is still importing {module}"
    return f"it is at {_own_frame(facts)}" if facts.stacks else ""


def _waited_s(run: Run, facts: RankFacts) -> float:
    return run.now_s - (facts.last_step_at_s or facts.joined_at_s or run.started_at_s)


def _standing(run: Run, rank: int) -> tuple[Evidence, ...]:
    """A rank's last step, the collective it is in, and its stack."""
    facts, node_rank = run.facts.ranks[rank], run.node_of(rank)
    at_s = facts.last_step_at_s or facts.joined_at_s or run.started_at_s
    call = _waits_in(facts)
    text = f"its last step is {facts.last_step}" + (f", it waits in {call}" if call else "")
    return (Evidence(at_s, node_rank, text), *stack_lines(run, rank))


def _waits_in(facts: RankFacts) -> str:
    """The collective that a rank is in; a backward pass waits for those of DDP and FSDP."""
    if facts.stacks is None or _importing(facts):
        return ""
    if _COLLECTIVE.match(facts.stacks.call):
        return facts.stacks.call
    innermost = next(iter(_main_thread(facts)), "")
    return "the backward pass" if _BACKWARD in innermost else ""


def _importing(facts: RankFacts) -> str:
    """The library module that the main thread is loading; empty where it loads none.

    The first step of a run does that, for seconds where the machine is busy.
    """
    modules = (frame for frame in _main_thread(facts) if frame.endswith(" <module>"))
    return next((frame.partition(":")[0] for frame in modules if _is_library(frame)), "")


def _own_frame(facts: RankFacts) -> str:
    """The innermost frame that is the user's own, else the innermost of all."""
    frames = _main_thread(facts)
    own = (frame for frame in frames if not _is_library(frame))
    return next(own, frames[0] if frames else "a place that nobody saw")


def _is_library(frame: str) -> bool:
    """True for the standard library, and for packages, whose paths the probe cuts short."""
    path = frame.partition(":")[0]
    is_package = "/" in path and not path.startswith("/")
    return is_package or path.startswith("<") or "/lib/python" in path


def _main_thread(facts: RankFacts) -> tuple[str, ...]:
    if facts.stacks is None or not facts.stacks.threads:
        return ()
    threads = facts.stacks.threads
    return threads.get("MainThread") or next(iter(threads.values()))
