"""When nodes are looked at, and what becomes of looks that find nothing."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event

import pytest

from orchestrator import sampling
from orchestrator.errors import EngineUnavailable
from orchestrator.sampling import pause_s, sample_until_stopped
from orchestrator.state.observed import ObservedNode
from orchestrator.state.usage import Usage

FOUND = (Usage(0, 1.0, 2.0, 3), Usage(1, 1.0, 2.0, 3))


class Source:
    """Answers in turn, and stops the sampler with the last answer."""

    def __init__(self, *answers: tuple[Usage, ...] | Exception) -> None:
        self.answers = list(answers)
        self.stop = Event()

    def usage(self, nodes: Sequence[ObservedNode]) -> tuple[Usage, ...]:
        answer = self.answers.pop(0)
        if not self.answers:
            self.stop.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def test_the_more_nodes_the_rarer_the_looks() -> None:
    assert [pause_s(num) for num in (1, 2, 10, 64)] == [2.0, 2.0, 2.0, 12.8]
    assert [pause_s(2, spent_s) for spent_s in (0.001, 0.05)] == [2.0, 5.0]


def test_after_a_look_that_cost_much_the_next_one_is_long_in_coming() -> None:
    waited: list[float | None] = []

    class Stop(Event):
        def wait(self, timeout: float | None = None) -> bool:
            waited.append(timeout)
            return len(waited) == 3

    spent = iter([0.0, 0.25, 1.0, 1.0])
    source = Source(FOUND, EngineUnavailable("it sleeps"), FOUND)
    sample_until_stopped(source, (), lambda _: None, Stop(), spent=lambda: next(spent))
    assert waited == [2.0, 25.0, 2.0]


def test_looks_that_find_nothing_are_not_told_and_end_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sampling, "EVERY_S", 0.0)
    source, told = Source((), EngineUnavailable("it sleeps"), FOUND, FOUND), list[object]()
    sample_until_stopped(source, (), told.append, source.stop)
    assert told == [FOUND]  # the last one came when it was stopped


def test_a_sampler_that_is_stopped_looks_no_more() -> None:
    source = Source(FOUND)
    source.stop.set()
    sample_until_stopped(source, (), lambda _: pytest.fail("told"), source.stop)
    assert source.answers == [FOUND]
