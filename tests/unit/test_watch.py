"""Following a run: when watching ends, with what, and what is told on the way."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from types import SimpleNamespace

import pytest

from orchestrator import sampling
from orchestrator import watch as watching
from orchestrator.engines.base import OnLog
from orchestrator.errors import EngineUnavailable
from orchestrator.events import (
    AttemptBegan,
    CheckChanged,
    Event,
    NodeEnded,
    NodeSpoke,
    NodesSampled,
    StillWaiting,
)
from orchestrator.loglines import LogLine
from orchestrator.playbook.models import Check, Completed, Joined, Loss, Progress, Training
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedNode
from orchestrator.state.usage import Usage
from orchestrator.verify.checks import Finding, Status
from orchestrator.verify.results import CheckResult
from orchestrator.watch import (
    FIRST_CAUSE_S,
    LAST_WORDS_S,
    POLL_S,
    QUEUE_LINES,
    SIGN_OF_LIFE_S,
    STACKS_S,
    Judgement,
    Watched,
    judge_kept_logs,
    milestone_of,
    watch,
)
from tests.unit.fake_engine import START_S, Clock, FakeEngine, Script, joined, rank_failed
from tests.unit.fakes import PROJECT, desired_state
from tests.unit.verify.results import failed, ok

ALIVE = "runs, or has ended with 0"
IN_ORDER = ok("alive", "2 nodes in order")


@dataclass
class Post:
    """Two nodes of scripts, watched by a clock that ticks each time it is asked."""

    scripts: dict[int, Script] = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    tick_s: float = 0.05
    events: list[Event] = field(default_factory=list)
    is_followed: bool = False

    def __post_init__(self) -> None:
        self.clock = Clock(tick_s=self.tick_s)
        self.engine = FakeEngine(now=lambda: self.clock.now_s, scripts=self.scripts)
        self.engine.world.add_image("app:1")
        self.engine.world.add_network(f"{PROJECT}-net")
        identity = RunIdentity(PROJECT, "run-1", "")
        self.engine.start_nodes(desired_state().nodes, identity, lambda _: None)

    @property
    def nodes(self) -> tuple[ObservedNode, ...]:
        return self.engine.observe_nodes(PROJECT)

    @property
    def watched(self) -> Watched:
        return Watched(self.engine, desired_state(), self.checks, self.events.append, self.tick)

    def tick(self) -> float:
        """Let time pass, but not ahead of the reader: a busy machine changes nothing."""
        now_s = self.clock()
        if self.is_followed:
            self.engine.wait_for_reader(now_s)
        return now_s

    def watch(self) -> Judgement:
        nodes, self.is_followed = self.nodes, True
        return watch(self.watched, nodes)

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


@pytest.fixture(autouse=True)
def _turns_are_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "TURN_S", 0.001)


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    """Whatever a test does, its reader is gone when it ends."""
    before = threading.active_count()
    yield
    deadline_s = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert threading.active_count() == before


def both(*lines: tuple[float, str], ends_after_s: float | None = None) -> dict[int, Script]:
    """Two ranks that join after a second and then go on alike."""
    return {
        rank: Script(((1.0, joined(rank)), *lines), ends_after_s=ends_after_s) for rank in (0, 1)
    }


def step(rank: int, number: int, loss: float = 1.0) -> str:
    return (
        f'{{"event": "step", "rank": {rank}, "run_id": "$RUN_ID", "step": {number},'
        f' "loss": {loss}}}'
    )


# -- when it ends ----------------------------------------------------------------


def test_it_ends_when_every_check_holds_although_the_nodes_run_on() -> None:
    post = Post(both(), (Joined(),))
    judgement = post.watch()
    assert judgement.results == (IN_ORDER, ok("joined", "2 ranks after 1.0 s"))
    assert (judgement.holds, judgement.failure) == (True, "")
    assert [node.is_active for node in judgement.run.nodes] == [True, True]
    assert judgement.run.now_s < START_S + 3.0


def test_with_no_check_it_ends_at_once() -> None:
    post = Post()
    assert post.watch().results == (IN_ORDER,)
    assert post.events == [AttemptBegan(post.nodes), CheckChanged(IN_ORDER)]


def test_the_end_of_every_node_is_waited_for_where_it_is_asked_for() -> None:
    post = Post(both(ends_after_s=2.0), (Joined(), Completed()))
    judgement = post.watch()
    results = (
        IN_ORDER,
        ok("joined", "2 ranks after 1.0 s"),
        ok("completed", "2 nodes ended with 0 after 2.0 s"),
    )
    assert judgement.results == results
    assert post.told(CheckChanged) == [CheckChanged(result) for result in results]
    assert post.told(NodeEnded) == [NodeEnded(node) for node in post.nodes]
    assert sorted(_spoken(post)) == [("pair-node-0", 1001.0), ("pair-node-1", 1001.0)]


def _spoken(post: Post) -> list[tuple[str, float]]:
    return [(each.node_name, each.line.at_s) for each in post.events if isinstance(each, NodeSpoke)]


def test_a_node_that_dies_ends_it_at_once_with_the_reason_it_gave() -> None:
    scripts = both() | {1: Script(((0.5, rank_failed(1, "no corpus")),), 0.5, code=3)}
    post = Post(scripts, (Joined(within_s=60.0), Completed()), tick_s=0.02)
    judgement = post.watch()
    dies = "exited with code 3: ValueError: no corpus"
    lost = Finding(1, 1, "process_group_joined within 60 s", f"nothing; it {dies}")
    results = {result.name: result for result in judgement.results}
    assert results["alive"] == failed(
        "alive", "a node is not in order", Finding(1, None, ALIVE, dies)
    )
    assert lost in results["joined"].findings
    assert results["completed"] == failed(
        "completed",
        "2 of 2 nodes did not complete",
        Finding(0, None, "exit code 0 within 300 s", "still runs"),
        Finding(1, None, "exit code 0 within 300 s", dies),
    )
    assert judgement.failure == "alive: a node is not in order"
    assert judgement.run.now_s < START_S + 0.5 + POLL_S


def test_the_end_of_a_log_asks_for_the_nodes_before_the_next_poll() -> None:
    post = Post({1: Script((), 0.01, code=1)}, (Completed(),), tick_s=0.001)
    judgement = post.watch()
    assert judgement.failure == "alive: a node is not in order"
    assert judgement.run.now_s < START_S + POLL_S


def test_a_node_that_vanishes_ends_it() -> None:
    post = Post({}, (Completed(),), tick_s=0.5)
    nodes = post.nodes
    post.engine.remove_nodes(nodes[1:])
    judgement = watch(post.watched, nodes)
    assert judgement.results[0] == failed(
        "alive", "a node is not in order", Finding(1, None, ALIVE, "is gone")
    )


@pytest.mark.parametrize("is_mute", [True, False])
def test_last_words_are_waited_for_but_not_for_long(is_mute: bool) -> None:
    """A dead node's log that never ends holds the judgement up by LAST_WORDS_S and no more."""
    post = Post({1: Script((), 0.0, code=1)}, (Completed(),), tick_s=0.05)
    post.engine.mute = {1} if is_mute else set()
    judgement = post.watch()
    waited_s = judgement.run.now_s - START_S
    assert judgement.failure == "alive: a node is not in order"
    assert (waited_s > LAST_WORDS_S) == is_mute
    assert waited_s < POLL_S + LAST_WORDS_S + 10 * post.tick_s


def test_a_deadline_that_passes_fails_the_check() -> None:
    post = Post({0: Script(((1.0, joined(0)),))}, (Joined(within_s=5.0),), tick_s=0.25)
    judgement = post.watch()
    assert judgement.results == (
        IN_ORDER,
        failed(
            "joined",
            "1 of 2 ranks did not join",
            Finding(1, 1, "process_group_joined within 5 s", "nothing"),
        ),
    )
    assert 5.0 < judgement.run.now_s - START_S < 5.0 + 10 * post.tick_s


def test_what_is_open_when_something_fails_is_skipped_and_never_pending() -> None:
    lines = both((1.5, step(0, 1)))
    scripts = lines | {1: Script(((1.0, joined(1)), (2.0, "x")), 2.0, code=1)}
    checks = (Joined(), Training(steps=5), Progress(), Loss(decreases=True))
    post = Post(scripts, checks, tick_s=0.05)
    judgement = post.watch()
    statuses = {result.name: result.status for result in judgement.results}
    assert statuses == {
        "alive": Status.FAILED,
        "joined": Status.OK,
        "training": Status.FAILED,
        "progress": Status.OK,
        "loss": Status.SKIPPED,
    }
    assert judgement.results[-1].why == "not reached (judged at the end of the run)"
    changed = [each.result for each in post.events if isinstance(each, CheckChanged)]
    assert Status.PENDING not in {result.status for result in changed}
    assert not judgement.holds


# -- what is told while nothing happens ------------------------------------------


def test_in_silence_a_sign_of_life_is_given_now_and_then() -> None:
    post = Post({}, (Joined(within_s=9.0),), tick_s=0.25)
    post.watch()
    pending = CheckResult("joined", Status.PENDING, "0 of 2 ranks")
    waits = [each for each in post.events if isinstance(each, StillWaiting)]
    assert [each.pending for each in waits] == [(pending,)] * len(waits)
    gaps = [b - a for a, b in pairwise([0.0, *(each.waited_s for each in waits)])]
    assert len(waits) >= 3
    assert all(SIGN_OF_LIFE_S <= gap < SIGN_OF_LIFE_S + 4 * post.tick_s for gap in gaps)


def test_while_nodes_speak_no_sign_of_life_is_given() -> None:
    chatter = tuple((number * 0.5, f"line {number}") for number in range(20))
    post = Post({0: Script(chatter)}, (Joined(within_s=9.0),), tick_s=0.1)
    post.watch()
    assert post.told(StillWaiting) == []


LOST = "Connection closed by peer [172.18.0.3]:4711"


def test_a_lost_peer_is_waited_for_a_moment_as_it_is_the_cause() -> None:
    post = Post(
        {
            0: Script(((1.0, rank_failed(0, LOST)),), 1.0, code=1),
            1: Script((), 2.0, code=137),
        },
        (Completed(),),
    )
    judgement = post.watch()
    assert [node.exit_code for node in judgement.run.nodes] == [1, 137]
    assert judgement.run.now_s - START_S < 1.0 + FIRST_CAUSE_S


def test_a_peer_that_does_not_die_is_not_waited_for_long() -> None:
    post = Post({0: Script(((1.0, rank_failed(0, LOST)),), 1.0, code=1)}, (Completed(),))
    judgement = post.watch()
    assert [node.exit_code for node in judgement.run.nodes] == [1, None]
    waited_s = judgement.run.now_s - START_S - 1.0
    assert FIRST_CAUSE_S < waited_s < FIRST_CAUSE_S + POLL_S + 1.0


def test_a_cause_that_is_known_is_not_waited_for() -> None:
    post = Post({0: Script(((1.0, rank_failed(0, "no corpus")),), 1.0, code=1)}, (Completed(),))
    assert post.watch().run.now_s - START_S < 1.0 + POLL_S


def of_probe(rank: int, event: str, more: str = "") -> str:
    return f'{{"event": "{event}", "source": "probe", "rank": {rank}, "run_id": "$RUN_ID"{more}}}'


def hanging(stacks_at_s: float | None) -> dict[int, Script]:
    """Two ranks with the probe, which join after a second and then stand still."""
    threads = ', "call": "barrier", "threads": {"MainThread": ["/s/a.py:7 step"]}'
    said = [(stacks_at_s, of_probe(1, "stacks", threads))] if stacks_at_s is not None else []
    return {
        rank: Script(
            (
                (0.5, of_probe(rank, "interpreter_started")),
                (1.0, joined(rank)),
                *((at_s, text.replace('"rank": 1', f'"rank": {rank}')) for at_s, text in said),
            )
        )
        for rank in (0, 1)
    }


def test_the_stacks_of_ranks_that_stand_still_are_waited_for() -> None:
    post = Post(hanging(6.5), (Joined(), Progress(every_s=5.0), Completed()))
    judgement = post.watch()
    assert judgement.diagnosis is not None
    assert judgement.diagnosis.headline == (
        "ranks 0 and 1 each made no step after it joined: it waits in barrier; make every rank call"
        " the same collectives, in the same order and as often as the others"
    )
    assert [line.text for line in judgement.diagnosis.evidence[-2:]] == [
        "it is at /s/a.py:7 step"
    ] * 2
    assert 6.5 <= judgement.run.now_s - START_S < 6.5 + POLL_S


def test_stacks_that_do_not_come_are_not_waited_for_long() -> None:
    post = Post(hanging(None), (Joined(), Progress(every_s=5.0), Completed()))
    judgement = post.watch()
    waited_s = judgement.run.now_s - START_S - 6.0
    assert STACKS_S < waited_s < STACKS_S + POLL_S
    assert judgement.diagnosis is not None
    assert judgement.diagnosis.brief == "ranks 0 and 1 each made no step after it joined"


def test_where_a_node_has_left_no_stacks_are_waited_for() -> None:
    scripts = {
        0: Script(((0.5, of_probe(0, "interpreter_started")),)),
        1: Script(((0.5, of_probe(1, "interpreter_started")),), 2.0),
    }
    post = Post(scripts, (Joined(), Completed()))
    judgement = post.watch()
    assert judgement.diagnosis is not None
    assert judgement.diagnosis.cause == "left-before-join"
    assert judgement.run.now_s - START_S < 2.0 + POLL_S + LAST_WORDS_S


def test_without_the_probe_no_stacks_are_waited_for() -> None:
    post = Post(both(), (Joined(), Progress(every_s=5.0), Completed()))
    judgement = post.watch()
    assert judgement.run.now_s - START_S < 6.0 + POLL_S


# -- the reader ------------------------------------------------------------------


def test_an_error_in_the_reader_is_raised_here() -> None:
    post = Post({}, (Completed(),))
    post.engine.failures["follow_logs"] = error = EngineUnavailable("it went away")
    with pytest.raises(EngineUnavailable) as caught:
        post.watch()
    assert caught.value is error


def test_a_bug_in_the_reader_is_raised_here_too() -> None:
    post = Post({}, (Completed(),))
    post.engine.failures["follow_logs"] = error = ZeroDivisionError("a bug")
    with pytest.raises(ZeroDivisionError) as caught:
        post.watch()
    assert caught.value is error


def test_an_error_while_asking_for_the_nodes_is_raised_and_ends_the_reader() -> None:
    post = Post({}, (Completed(),), tick_s=0.5)
    nodes = post.nodes
    post.engine.failures["observe_nodes"] = error = EngineUnavailable("it went away")
    with pytest.raises(EngineUnavailable) as caught:
        watch(post.watched, nodes)
    assert caught.value is error


class Reading(FakeEngine):
    """An engine whose logs come from a function of the test."""

    def __init__(self, post: Post, read: Callable[[OnLog, threading.Event], object]) -> None:
        super().__init__(world=post.engine.world, now=post.engine.now)
        self._read = read

    def follow_logs(
        self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: threading.Event
    ) -> None:
        self._read(on_log, stop)


def watch_reading(post: Post, read: Callable[[OnLog, threading.Event], object]) -> Judgement:
    watched = Watched(
        Reading(post, read), desired_state(), post.checks, post.events.append, post.clock
    )
    return watch(watched, post.nodes)


def test_a_reader_that_never_returns_does_not_keep_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "READER_END_S", 0.1)
    release = threading.Event()
    began_s = time.monotonic()
    judgement = watch_reading(Post(), lambda _on_log, _stop: release.wait(timeout=30))
    took_s = time.monotonic() - began_s
    release.set()
    assert judgement.results == (IN_ORDER,)
    assert took_s < 2.0


def test_a_hundred_thousand_lines_are_taken_in_bounded_pieces() -> None:
    num_lines, ahead = 100_000, []
    post = Post({}, (Joined(within_s=100.0),), tick_s=0.0)

    def read(on_log: OnLog, _stop: threading.Event) -> None:
        for number in range(num_lines):
            on_log(LogLine(0, START_S, b"x"))
            if number % 1000 == 0:
                ahead.append(number - len(post.events))
        for rank in (0, 1):
            on_log(LogLine(rank, START_S + 2.0, joined(rank).replace("$RUN_ID", "run-1").encode()))

    judgement = watch_reading(post, read)
    assert judgement.results == (IN_ORDER, ok("joined", "2 ranks after 2.0 s"))
    assert len(post.told(NodeSpoke)) == num_lines + 2
    assert max(ahead) <= QUEUE_LINES + 1


class Endless(queue.Queue[LogLine]):
    """A queue in which there always is one more line; it has enough of it after 50,000."""

    num_taken = 0

    def get(self, block: bool = True, timeout: float | None = None) -> LogLine:
        self.num_taken += 1
        assert self.num_taken < 50_000, "lines are taken, and the run is never judged"
        return LogLine(0, START_S, b"x")


def test_a_node_that_never_stops_talking_does_not_keep_a_deadline_from_passing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    never_empty = SimpleNamespace(Queue=Endless, Empty=queue.Empty, Full=queue.Full)
    monkeypatch.setattr(watching, "queue", never_empty)
    post = Post({}, (Joined(within_s=5.0),), tick_s=0.001)
    judgement = watch_reading(post, lambda _on_log, _stop: None)
    assert judgement.failure == "joined: 2 of 2 ranks did not join"
    assert post.told(StillWaiting) == []


# -- without waiting -------------------------------------------------------------


def test_kept_logs_of_a_run_that_ended_are_judged_without_waiting() -> None:
    post = Post(both(ends_after_s=2.0), (Joined(), Completed()))
    post.clock.now_s += 5.0
    assert judge_kept_logs(post.watched, post.nodes).results == (
        IN_ORDER,
        ok("joined", "2 ranks after 1.0 s"),
        ok("completed", "2 nodes ended with 0 after 2.0 s"),
    )
    assert post.events == []


def test_what_a_running_gang_may_still_reach_is_not_called_failed() -> None:
    post = Post({0: Script(((1.0, joined(0)),))}, (Joined(), Training(), Completed()))
    post.clock.now_s += 5.0
    assert judge_kept_logs(post.watched, post.nodes).results == (
        IN_ORDER,
        CheckResult("joined", Status.SKIPPED, "not reached (1 of 2 ranks)"),
        CheckResult("training", Status.SKIPPED, "not reached (0 of 2 ranks there)"),
        CheckResult("completed", Status.SKIPPED, "not reached (0 of 2 nodes)"),
    )


def test_a_node_that_is_gone_when_the_others_have_ended_can_reach_nothing_more() -> None:
    post = Post({0: Script(((1.0, joined(0)),), 2.0)}, (Joined(),))
    post.clock.now_s += 5.0
    lost = Finding(1, 1, "process_group_joined within 60 s", "nothing")
    assert judge_kept_logs(post.watched, post.nodes[:1]).results == (
        failed("alive", "a node is not in order", Finding(1, None, ALIVE, "is gone")),
        failed("joined", "1 of 2 ranks did not join", lost),
    )


def test_no_nodes_at_all_are_judged_as_gone() -> None:
    post = Post({}, (Joined(),))
    judgement = judge_kept_logs(post.watched, ())
    assert [result.status for result in judgement.results] == [Status.FAILED, Status.FAILED]


def test_the_step_whose_time_matters() -> None:
    assert [milestone_of(()), milestone_of((Joined(), Training(steps=7)))] == [1, 7]


def test_a_skipped_check_is_no_failure_but_does_not_hold() -> None:
    post = Post()
    run = judge_kept_logs(post.watched, post.nodes).run
    judgement = Judgement((CheckResult("loss", Status.SKIPPED, "not reached"),), run)
    assert (judgement.holds, judgement.failure) == (False, "")


class CountingEngine(FakeEngine):
    """Counts what its nodes use, and lets them end once that was told."""

    def usage(self, nodes: Sequence[ObservedNode]) -> tuple[Usage, ...]:
        return tuple(Usage(node.node_rank, START_S, 1.5, 1024) for node in nodes)


def test_what_nodes_use_is_told_while_they_are_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sampling, "EVERY_S", 0.001)
    monkeypatch.setattr(sampling, "NODE_S", 0.0)
    post = Post(both(), (Completed(within_s=3600.0),), tick_s=0.0)
    post.engine.__class__ = CountingEngine

    def tell(event: Event) -> None:
        post.events.append(event)
        if isinstance(event, NodesSampled):
            ended = Script(((1.0, joined(0)),), 1.0)
            post.engine.scripts = {0: ended, 1: ended}
            post.clock.now_s = START_S + 2.0

    assert watch(Watched(post.engine, desired_state(), post.checks, tell, post.tick), post.nodes)
    usages = (Usage(0, START_S, 1.5, 1024), Usage(1, START_S, 1.5, 1024))
    assert post.told(NodesSampled)[0] == NodesSampled(usages)
