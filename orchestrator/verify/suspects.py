"""Who may be to blame: each node by how it ended and what it said. Pure.

A suspect is one thing that happened to one rank or node. What names a cause outright is
PRIMARY; what a peer's trouble brings about is SECONDARY; LIKELY is what fits the facts where
nobody says more. The earliest of the lowest weight is the cause (`diagnose.py`).
"""

from __future__ import annotations

import ipaddress
import re
import signal
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from orchestrator.state.observed import COMMAND_CODES, NodeStatus, ObservedNode
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.checks.run import Run
from orchestrator.verify.signatures import Reading, read_text
from orchestrator.verify.torchrun import RankEnd
from orchestrator.verify.words import Heard

EXCEPTION = "exception"
"""The signature of any error of Python: it says what, not why."""

LAST_WORDS_S = 30.0
"""Lines that a node wrote so long before its last one did not end it."""

AGAINST_WHAT_WAS_GIVEN = frozenset({"world-size", "master-changed"})
"""What a rank says that contradicts the environment its node was given."""

_FRAME = re.compile(r'File "([^"\n]{1,300})", line (\d{1,9}), in ([^\n]{1,100})')
_LIBRARIES = ("site-packages/", "dist-packages/", "/lib/python", "<frozen")
_RANK_PREFIX = re.compile(r"\[rank(\d{1,7})\]:")


class Weight(IntEnum):
    """How much a suspect says of the cause; the lowest comes first."""

    PRIMARY = 0
    LIKELY = 1
    SECONDARY = 2


@dataclass(frozen=True, slots=True)
class Evidence:
    """A line of a node's log, or what the engine or the probe says of it, and when."""

    at_s: float
    node_rank: int
    text: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """One thing that happened, to a rank or, where `rank` is None, to a node.

    `id` is that of a signature, or a word for what no text says. `what` follows the rank's
    name in a sentence.
    """

    id: str
    weight: Weight
    at_s: float
    node_rank: int
    rank: int | None
    what: str
    why: str = ""
    mend: str = ""
    evidence: tuple[Evidence, ...] = ()


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
            yield of_ended_node(node, spec, run)
        else:
            yield from _failed_ranks(spec, run)


def said_by_the_living(run: Run) -> Iterator[Suspect]:
    """What nodes that still run say while the group has not formed: no more than likely.

    A script may catch an error and go on; that it looks elsewhere than it was told to is sure.
    """
    if run.joined_at_s is not None:
        return
    for node in run.nodes:
        if node.status is NodeStatus.RUNNING:
            spec = run.facts.desired.nodes[node.node_rank]
            lines = run.facts.nodes[node.node_rank].words
            said = [each for heard in lines for each in _of_line(heard, spec, run)]
            best = _best(each for each in said if each.id != EXCEPTION)
            if best is not None and best.id not in AGAINST_WHAT_WAS_GIVEN:
                best = replace(best, weight=max(best.weight, Weight.LIKELY))
            if best is not None:
                yield best


def _gone(spec: NodeSpec, run: Run) -> Suspect:
    return Suspect(
        "gone",
        Weight.PRIMARY,
        run.facts.nodes[spec.node_rank].spoke_at_s or run.started_at_s,
        spec.node_rank,
        _only_rank(spec),
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
        _only_rank(spec),
        what,
        why,
        mend,
        (state,),
    )


def of_ended_node(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect:
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
        _only_rank(spec),
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
        rank.rank if rank else _only_rank(spec),
        f"was killed by signal {number} ({name})",
        why,
        mend,
    )


_SIGNALS: dict[int, tuple[str, str]] = {
    signal.SIGKILL: (
        "its own memory limit was not reached, so something outside of it did that",
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
    found = tuple(_words(spec, run)) if spoke_last else ()
    best = _best(found)
    if best is None or (best.id == EXCEPTION and code in COMMAND_CODES):
        return None
    return best if best.id != EXCEPTION else _with_its_place(best, found)


def _with_its_place(error: Suspect, found: Sequence[Suspect]) -> Suspect:
    """The same error with where it was raised, if the rank's report of it says so."""
    reports = (each.why for each in found if each.id == EXCEPTION and each.rank == error.rank)
    return replace(error, why=next((why for why in reports if why), ""))


def _best(found: Iterable[Suspect]) -> Suspect | None:
    """Of what the ranks of a node say, the one that says most: a cause before what followed."""
    of_ranks: dict[int | None, list[Suspect]] = {}
    for each in sorted(found, key=lambda each: each.at_s):
        of_ranks.setdefault(each.rank, []).append(each)
    best = (_best_of_rank(said) for said in of_ranks.values())
    return min(best, key=lambda each: (each.weight, each.at_s), default=None)


def _best_of_rank(said: Sequence[Suspect]) -> Suspect:
    """An exact cause, else whatever came first.

    What came first may be a lost peer: the script's own error after it only followed.
    """
    exact = (each for each in said if each.weight is Weight.PRIMARY and each.id != EXCEPTION)
    return next(exact, said[0])


def _words(spec: NodeSpec, run: Run) -> Iterator[Suspect]:
    """What a node that has ended said of its end; an error that it got over is none of that."""
    said = run.facts.nodes[spec.node_rank]
    for heard in said.words:
        if heard.at_s >= (said.spoke_at_s or 0.0) - LAST_WORDS_S:
            yield from _of_line(heard, spec, run)
    yield from _failed_ranks(spec, run)


def _of_line(heard: Heard, spec: NodeSpec, run: Run) -> Iterator[Suspect]:
    named = _RANK_PREFIX.match(heard.text)
    rank = int(named[1]) if named and int(named[1]) in spec.ranks else _only_rank(spec)
    line = Evidence(heard.at_s, spec.node_rank, heard.text)
    yield of_reading(heard.reading, line, rank, run)


def _failed_ranks(spec: NodeSpec, run: Run) -> Iterator[Suspect]:
    """The ranks of a node that reported the exception that ended them."""
    for rank in spec.ranks:
        facts = run.facts.ranks[rank]
        if facts.failed_at_s is None:
            continue
        line = Evidence(facts.failed_at_s, spec.node_rank, facts.failure)
        reading = read_text(facts.failure)
        if reading is None:
            yield Suspect(
                EXCEPTION,
                Weight.PRIMARY,
                line.at_s,
                spec.node_rank,
                rank,
                f"raised {facts.failure}",
                _place(facts.traceback),
                "see the traceback in its log",
                (line,),
            )
        else:
            suspect = of_reading(reading, line, rank, run)
            place = _place(facts.traceback) if suspect.id == EXCEPTION else suspect.why
            yield replace(suspect, why=place)


def _place(traceback: str) -> str:
    """Where an exception was raised: of the user's own frames the innermost."""
    frames = [match.groups() for match in _FRAME.finditer(traceback)]
    own = [frame for frame in frames if not any(part in frame[0] for part in _LIBRARIES)]
    if not (own or frames):
        return ""
    path, line, function = (own or frames)[-1]
    return f"at {path}:{line}, in {function}"


def of_reading(reading: Reading, line: Evidence, rank: int | None, run: Run) -> Suspect:
    """What a line makes of the rank that wrote it."""
    signature = reading.signature
    suspect = Suspect(
        signature.id,
        Weight.PRIMARY if signature.is_primary else Weight.SECONDARY,
        line.at_s,
        line.node_rank,
        rank,
        reading.what,
        reading.why,
        reading.mend,
        (line,),
    )
    return _against_what_was_given(suspect, reading, run)


def _against_what_was_given(suspect: Suspect, reading: Reading, run: Run) -> Suspect:
    """A rank that waits for what it was never told to wait for has met the cause itself."""
    spec = run.facts.desired.nodes[suspect.node_rank]
    env, found = dict(spec.env), reading.found
    world_size = run.facts.desired.world_size
    if suspect.id == "peers-missing" and found["wanted"] != str(world_size):
        return replace(
            suspect,
            id="world-size",
            weight=Weight.PRIMARY,
            what=f"waits for {found['wanted']} ranks",
            why=f"it was given WORLD_SIZE {world_size}, and something changed it",
            mend="leave WORLD_SIZE as it is set for you",
        )
    given = (env.get("MASTER_ADDR", ""), env.get("MASTER_PORT", ""))
    used = (found.get("host", ""), found.get("port", ""))
    own_loopback = 0 in spec.ranks and is_loopback(used[0]) and used[1] == given[1]
    if suspect.id == "master-silent" and all(given) and given != used and not own_loopback:
        return replace(
            suspect,
            id="master-changed",
            weight=Weight.PRIMARY,
            what=f"connects to {':'.join(used)}, where rank 0 is not",
            why=f"it was given {':'.join(given)}, and something changed it",
            mend="leave MASTER_ADDR and MASTER_PORT as they are set for you",
        )
    return suspect


def is_loopback(address: str) -> bool:
    """True for the names and addresses under which a node finds itself."""
    return address in {"localhost", "::1"} or address.startswith("127.")


def is_address(host: str) -> bool:
    """True for an IP address, which needs no resolving."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _by_its_code(node: ObservedNode, spec: NodeSpec, run: Run) -> Suspect:
    """A node that gave no reason: what its exit code says, and its last line."""
    code, at_s = node.exit_code or 0, node.finished_at_s or run.now_s
    if code in COMMAND_CODES:
        return _never_began(node, spec, at_s)
    if code > 128:
        return _killed(None, code - 128, at_s, node, spec)
    rank, what, last = _only_rank(spec), f"exited with code {code}", _last_line(node, run)
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
        _only_rank(spec),
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


def _only_rank(spec: NodeSpec) -> int | None:
    return spec.ranks[0] if spec.num_ranks == 1 else None
