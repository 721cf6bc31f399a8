"""Follows a run until every declared check holds or one fails.

One thread reads the logs, this one asks for the nodes' states now and then and judges.
The end of a node's log makes it ask at once, so that a death is seen in well under the
second that the polling takes.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.asking import ask_once, ask_until_answered
from orchestrator.beside import sidecar_for
from orchestrator.engines.base import Engine, UsageSource
from orchestrator.events import (
    AttemptBegan,
    CheckChanged,
    LogEnded,
    NodeEnded,
    NodeSpoke,
    NodesSampled,
    Sink,
    StillWaiting,
)
from orchestrator.framing import RS
from orchestrator.kept.answers import kept_answers
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.playbook.models import Check, Training
from orchestrator.sampling import sample_until_stopped
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedNode, ObservedSidecar
from orchestrator.state.usage import Usage
from orchestrator.verify.answers import Answer, asks_nodes, questions
from orchestrator.verify.checks import CheckResult, Run, Status, evaluate
from orchestrator.verify.diagnose import Diagnosis, diagnose
from orchestrator.verify.facts import RunFacts
from orchestrator.verify.hangs import stacks_may_come
from orchestrator.verify.suspects import Weight

POLL_S = 1.0
"""How often the nodes' states are asked for while nothing hints at a change."""

LAST_WORDS_S = 1.0
"""How long the log of a node that has ended may take to arrive before the run is judged
without the rest of it."""

FIRST_CAUSE_S = 3.0
"""How long a run in which every dead node speaks of a lost peer is watched for the one that
was lost: torchrun outlives a rank by a moment."""

STACKS_S = 3.0
"""How long the stacks of ranks that stand still may take to arrive before anything is stopped."""

SIGN_OF_LIFE_S = 2.0
"""A user is told what is waited for when nothing else was told for this long."""

QUEUE_LINES = 10_000
"""Lines read but not yet judged; a reader that gets further ahead waits."""

TURN_S = 0.05
"""How long a turn of watching waits for the first line."""

TURN_LINES = 1_000
"""Lines taken before the run is judged again: a node that never stops talking must not
keep a deadline from passing."""

READER_END_S = 5.0
"""How long the reader may take to return once it is told to stop."""

Clock = Callable[[], float]


class Look(Struct, frozen=True):
    """A moment of a run that is followed: its facts, which go on changing, and what checks said."""

    run: Run
    checks: tuple[Check, ...]
    results: tuple[CheckResult, ...]


OnLook = Callable[[Look], None]
"""Takes each moment that was judged, many times a second: what a live board shows."""


class Watched(Struct, frozen=True):
    """What to watch, and where to tell of it.

    Attributes:
        reference: as in `Run`.
        on_look: gets each moment that is judged.
        to_the_end: goes on when the checks are settled, until no node of the run runs any more.
    """

    engine: Engine
    desired: DesiredState
    checks: tuple[Check, ...]
    sink: Sink
    clock: Clock = time.time
    reference: Mapping[int, float] | None = None
    on_look: OnLook | None = None
    to_the_end: bool = False


class Judgement(Struct, frozen=True):
    """The results when watching ended, the run that they were judged on, and why it failed."""

    results: tuple[CheckResult, ...]
    run: Run
    diagnosis: Diagnosis | None = None

    @property
    def holds(self) -> bool:
        """True when no check failed or was skipped."""
        return all(result.status is Status.OK for result in self.results)

    @property
    def failure(self) -> str:
        """The first check that failed, in a line; empty when all hold."""
        failed = next((each for each in self.results if each.status is Status.FAILED), None)
        return f"{failed.name}: {failed.why}" if failed else ""


def milestone_of(checks: Sequence[Check]) -> int:
    """The step whose time matters to the checks."""
    return next((check.steps for check in checks if isinstance(check, Training)), 1)


def judge_kept_logs(watched: Watched, nodes: tuple[ObservedNode, ...]) -> Judgement:
    """Judge a run by what its nodes have written so far, without waiting for anything.

    What nodes that still run may yet reach in time is skipped, not failed.
    """
    facts = _facts(watched, nodes)
    watched.engine.read_logs(nodes, facts.add)
    if asks_nodes(watched.checks):
        asked = questions(watched.checks, nodes)
        for answer in (*kept_answers(nodes), *ask_once(asked, watched.clock)):
            facts.add_answer(answer)
    if not any(node.is_active for node in nodes):
        facts.finish()
    beside = sidecar_for(watched.engine, watched.desired)
    return judge(watched.checks, Run(facts, nodes, watched.clock(), watched.reference, beside))


def judge(checks: Sequence[Check], run: Run) -> Judgement:
    """What the checks say at one moment; what is still open then is skipped."""
    return _judged(evaluate(checks, run), run)


def watch(watched: Watched, nodes: tuple[ObservedNode, ...]) -> Judgement:
    """Follow the nodes' logs and states until the checks are settled.

    Returns when every check holds, or as soon as one fails; it waits for nothing else.
    """
    watched.sink(AttemptBegan(nodes))
    beside = sidecar_for(watched.engine, watched.desired)
    watcher = _Watcher(watched, nodes, _facts(watched, nodes), beside)
    with (
        _reading(watched.engine, nodes) as arrivals,
        _asking(watched, nodes, arrivals),
        _sampling(watched.engine, nodes, arrivals),
    ):
        return watcher.run_until_settled(arrivals)


def _facts(watched: Watched, nodes: tuple[ObservedNode, ...]) -> RunFacts:
    run_id = nodes[0].run_id if nodes else ""
    return RunFacts(watched.desired, run_id, milestone=milestone_of(watched.checks))


Arrival = LogLine | LogEnd | Answer | tuple[Usage, ...] | Exception
Arrivals = queue.Queue[Arrival]


@contextmanager
def _reading(engine: Engine, nodes: tuple[ObservedNode, ...]) -> Iterator[Arrivals]:
    """Read the logs in a thread of their own for as long as the block lasts."""
    arrivals: Arrivals = queue.Queue(QUEUE_LINES)
    stop = threading.Event()

    def hand_over(item: LogLine | LogEnd | Exception) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                arrivals.put(item, timeout=0.2)
                return

    def read() -> None:
        try:
            engine.follow_logs(nodes, hand_over, stop)
        except Exception as exc:  # noqa: BLE001  (a bug too must end the wait, not this thread alone)
            hand_over(exc)

    thread = threading.Thread(target=read, name="log reader", daemon=True)
    thread.start()
    try:
        yield arrivals
    finally:
        stop.set()
        thread.join(timeout=READER_END_S)


@contextmanager
def _asking(
    watched: Watched, nodes: tuple[ObservedNode, ...], arrivals: Arrivals
) -> Iterator[None]:
    """Knock at the nodes' ports in a thread of its own, where a check asks for that."""
    asked, stop = questions(watched.checks, nodes), threading.Event()

    def hand_over(answer: Answer) -> None:
        while not stop.is_set():
            with suppress(queue.Full):
                arrivals.put(answer, timeout=0.2)
                return

    def ask() -> None:
        ask_until_answered(asked, hand_over, stop, watched.clock)

    thread = threading.Thread(target=ask, name="asker", daemon=True)
    if asked:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if asked:
            thread.join(timeout=READER_END_S)


@contextmanager
def _sampling(
    engine: Engine, nodes: tuple[ObservedNode, ...], arrivals: Arrivals
) -> Iterator[None]:
    """Look at what the nodes use in a thread of its own, where the engine counts that."""
    stop = threading.Event()

    def hand_over(usages: tuple[Usage, ...]) -> None:
        with suppress(queue.Full):  # one look more or less is no matter
            arrivals.put_nowait(usages)

    if isinstance(engine, UsageSource):
        threading.Thread(
            target=sample_until_stopped,
            args=(engine, nodes, hand_over, stop),
            name="sampler",
            daemon=True,
        ).start()
    try:
        yield
    finally:
        # Not waited for: a look may take a second, and what it finds is of no use any more.
        stop.set()


class _Watcher(Struct):
    watched: Watched
    nodes: tuple[ObservedNode, ...]
    facts: RunFacts
    sidecar: ObservedSidecar | None
    _asked_at_s: float = field(default=0.0)
    _shown: dict[str, Status] = field(default_factory=dict)
    _ended: set[int] = field(default_factory=set)
    _told_at_s: float = field(default=0.0)
    _began_at_s: float = field(default=0.0)

    def run_until_settled(self, arrivals: Arrivals) -> Judgement:
        """Take what comes and judge it, until nothing is pending or something failed."""
        settled_since_s: float | None = None
        watched = self.watched
        self._asked_at_s = self._began_at_s = self._told_at_s = watched.clock()
        self._tell_of_endings()
        while True:
            hint = self._take(arrivals)
            self._refresh(at_once=hint)
            run = Run(self.facts, self.nodes, watched.clock(), watched.reference, self.sidecar)
            results = evaluate(watched.checks, run)
            self._tell_of_checks(result for result in results if result.status is Status.OK)
            if watched.on_look is not None:
                watched.on_look(Look(run, watched.checks, results))
            if self._goes_on() or not _is_settled(results):
                settled_since_s = None
                self._tell_of_waiting(results, run.now_s)
                continue
            settled_since_s = settled_since_s or run.now_s
            if self._is_explained(run, results, run.now_s - settled_since_s):
                return self._conclude(run, results)

    def _take(self, arrivals: Arrivals) -> bool:
        """Take what has arrived, waiting a moment for the first; True if a log ended."""
        a_log_ended = False
        with suppress(queue.Empty):
            a_log_ended |= self._take_one(arrivals.get(timeout=TURN_S))
            for _ in range(TURN_LINES):
                a_log_ended |= self._take_one(arrivals.get_nowait())
        return a_log_ended

    def _take_one(self, item: Arrival) -> bool:
        if isinstance(item, Exception):
            raise item
        if isinstance(item, Answer):
            self.facts.add_answer(item)
            return False
        if isinstance(item, tuple):
            self.watched.sink(NodesSampled(item))
            return False
        self.facts.add(item)
        if isinstance(item, LogEnd):
            self.watched.sink(LogEnded(item.node_rank))
            return True
        if not item.text.startswith(RS):  # a record of the probe is not shown
            self._told_at_s = self.watched.clock()
        name = self.watched.desired.nodes[item.node_rank].name
        self.watched.sink(NodeSpoke(name, item))
        return False

    def _refresh(self, *, at_once: bool) -> None:
        now_s = self.watched.clock()
        if at_once or now_s - self._asked_at_s >= POLL_S:
            self._asked_at_s = now_s
            self.nodes = self.watched.engine.observe_nodes(self.watched.desired.project)
            self.sidecar = sidecar_for(self.watched.engine, self.watched.desired)
            self._tell_of_endings()

    def _goes_on(self) -> bool:
        """True when the end is waited for, and nodes of this very run still run."""
        return self.watched.to_the_end and any(
            node.is_active and node.run_id == self.facts.run_id for node in self.nodes
        )

    def _is_explained(self, run: Run, results: tuple[CheckResult, ...], waited_s: float) -> bool:
        """True when what could still come would not change what the failure is put down to."""
        if not self._is_silent() and waited_s <= LAST_WORDS_S:
            return False
        if stacks_may_come(results, run) and waited_s <= STACKS_S:
            return False
        diagnosis = diagnose(results, run)
        only_echoes = diagnosis is not None and diagnosis.weight is Weight.SECONDARY
        may_tell_more = any(node.is_active for node in run.nodes)
        return not (only_echoes and may_tell_more) or waited_s > FIRST_CAUSE_S

    def _is_silent(self) -> bool:
        """True when every node that has ended has had its say."""
        return all(
            self.facts.nodes[node.node_rank].has_ended
            for node in self.nodes
            if not node.is_active and node.node_rank in self.facts.nodes
        )

    def _tell_of_endings(self) -> None:
        for node in self.nodes:
            if node.exit_code is not None and node.node_rank not in self._ended:
                self._ended.add(node.node_rank)
                self.watched.sink(NodeEnded(node))

    def _tell_of_checks(self, results: Iterable[CheckResult]) -> None:
        for result in results:
            if self._shown.get(result.name) is not result.status:
                self._shown[result.name] = result.status
                self.watched.sink(CheckChanged(result))

    def _tell_of_waiting(self, results: Sequence[CheckResult], now_s: float) -> None:
        if now_s - self._told_at_s >= SIGN_OF_LIFE_S:
            self._told_at_s = now_s
            pending = tuple(each for each in results if each.status is Status.PENDING)
            self.watched.sink(StillWaiting(pending, now_s - self._began_at_s))

    def _conclude(self, run: Run, results: tuple[CheckResult, ...]) -> Judgement:
        judgement = _judged(results, run)
        self._tell_of_checks(judgement.results)
        return judgement


def _judged(results: tuple[CheckResult, ...], run: Run) -> Judgement:
    return Judgement(_concluded(results), run, diagnose(results, run))


def _is_settled(results: Sequence[CheckResult]) -> bool:
    """True when something failed, or nothing is open any more."""
    statuses = {result.status for result in results}
    return Status.FAILED in statuses or Status.PENDING not in statuses


def _concluded(results: Sequence[CheckResult]) -> tuple[CheckResult, ...]:
    """What is still open when the run is judged has not been shown, and counts as skipped."""
    return tuple(
        replace(result, status=Status.SKIPPED, why=f"not reached ({result.why})")
        if result.status is Status.PENDING
        else result
        for result in results
    )
