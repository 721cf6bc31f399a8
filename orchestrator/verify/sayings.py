"""Who may be to blame, by what nodes and ranks said: log lines and reports of exceptions. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from msgspec.structs import replace

from orchestrator.state.observed import NodeStatus
from orchestrator.state.spec import NodeSpec
from orchestrator.verify.checks.run import Run
from orchestrator.verify.signatures import Reading, read_text
from orchestrator.verify.suspects import Evidence, Suspect, Weight, is_loopback, only_rank
from orchestrator.verify.words import Heard

EXCEPTION = "exception"
"""The signature of any error of Python: it says what, not why."""

LAST_WORDS_S = 30.0
"""Lines that a node wrote so long before its last one did not end it."""

AGAINST_WHAT_WAS_GIVEN = frozenset({"world-size", "master-changed"})
"""What a rank says that contradicts the environment its node was given."""

_FRAME = re.compile(r'File "([^"\n]{1,300})", line (\d{1,9}), in ([^\n]{1,100})')
_LIBRARIES = ("site-packages/", "dist-packages/", "/lib/python", "<frozen", "/orchestrate_probe/")
"""In the file of every frame that is not the user's; the probe stands around init_process_group."""

_RANK_PREFIX = re.compile(r"\[rank(\d{1,7})\]:")


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


def last_words(spec: NodeSpec, run: Run) -> Suspect | None:
    """Of what a node that has ended said of its end, what says most; None where it said nothing."""
    found = tuple(_words(spec, run))
    best = _best(found)
    return best if best is None or best.id != EXCEPTION else _with_its_place(best, found)


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
    yield from failed_ranks(spec, run)


def _of_line(heard: Heard, spec: NodeSpec, run: Run) -> Iterator[Suspect]:
    named = _RANK_PREFIX.match(heard.text)
    rank = int(named[1]) if named and int(named[1]) in spec.ranks else only_rank(spec)
    line = Evidence(heard.at_s, spec.node_rank, heard.text)
    yield _of_reading(heard.reading, line, rank, run)


def failed_ranks(spec: NodeSpec, run: Run) -> Iterator[Suspect]:
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
            suspect = _of_reading(reading, line, rank, run)
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


def _of_reading(reading: Reading, line: Evidence, rank: int | None, run: Run) -> Suspect:
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
