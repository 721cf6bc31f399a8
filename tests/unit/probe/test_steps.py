"""How training steps are counted and told, with optimizers that are fakes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from orchestrator.probe.site.orchestrate_probe import channel, parameters, reporting, steps
from tests.unit.probe.stand import run

ALONE = {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500"}


@pytest.mark.parametrize(
    ("loop", "expected"),
    [
        ("for _ in range(300): a.step()", 300),
        ("for _ in range(7): a.step(); b.step()", 7),
        ("for _ in range(7): a.step(); a.step(); b.step()", 14),
        ("for _ in range(7): a.step()\nfor _ in range(7): b.step()", 13),
        ("many = [Optimizer() for _ in range(50)]\nfor _ in range(9): [o.step() for o in many]", 9),
    ],
    ids=["one", "two in turn", "one more often", "one after the other", "one for each parameter"],
)
def test_an_iteration_is_a_step_whatever_number_of_optimizers_it_has(
    loop: str, expected: int
) -> None:
    script = f"from torch.optim import Optimizer\na, b = Optimizer(), Optimizer()\n{loop}"
    outcome = run("-c", script, env=ALONE)
    told = outcome.channel.of("step")
    assert outcome.seen == (0, "", "")
    assert told[-1]["step"] == expected
    assert outcome.channel.of("process_ended") == [
        {"event": "process_ended", "rank": 0, "steps": expected}
    ]


def test_steps_that_come_fast_are_told_together_and_none_is_lost() -> None:
    script = "from torch.optim import Optimizer\na = Optimizer()\nfor _ in range(40): a.step()"
    told = run("-c", script, env=ALONE).channel.of("step")
    first, *others = told
    durations = [each for record in others for each in record["times_us"]]
    assert first == {"event": "step", "rank": 0, "step": 1}
    assert (len(durations), others[-1]["step"]) == (39, 40)
    assert all("busy_share" in record for record in others)


def test_a_process_of_no_rank_tells_no_steps() -> None:
    script = "from torch.optim import Optimizer\nOptimizer().step()"
    assert run("-c", script).channel.of("step", "probe_fault") == []


class _Recorder(channel.Channel):
    """Keeps frames."""

    def __init__(self) -> None:
        super().__init__("/dev/null")
        self.frames: list[bytes] = []

    def write(self, frame: bytes) -> None:
        self.frames.append(frame)


def _counting(
    monkeypatch: pytest.MonkeyPatch, *, hang_s: float = 0.0, sums_up: bool = False
) -> tuple[steps.Steps, _Recorder]:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv(reporting.ENV_SPOKEN_FOR, raising=False)
    recorder = _Recorder()
    reporter = reporting.Reporter("run", recorder)
    return steps.Steps(reporter, hang_s=hang_s, sums_up=sums_up), recorder


def _at(monkeypatch: pytest.MonkeyPatch, *times_s: float) -> None:
    """The clock says this, from step to step."""
    clock = iter(times_s)
    monkeypatch.setattr(steps, "perf_counter", lambda: next(clock))


def _told(recorder: _Recorder) -> list[dict[str, Any]]:
    """What the records say of steps."""
    kept = ("step", "times_us", "busy_share")
    found = [json.loads(each[1:]) for each in recorder.frames]
    return [{key: each[key] for key in kept if key in each} for each in found]


def test_more_steps_than_a_record_holds_keep_the_latest_durations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    _at(monkeypatch, *(number / 10_000 for number in range(1, 501)))
    for _ in range(500):
        counting.stepped(recorder, (), {})
    counting.flush(1.0)
    assert len(recorder.frames) == 2
    told = json.loads(recorder.frames[1][1:])
    assert (told["step"], told["times_us"]) == (500, [100] * steps.MAX_BATCH)


@pytest.mark.parametrize(("worked_s", "share"), [(0.75, 0.25), (9.0, 1.0)])
def test_time_at_work_is_told_as_its_share_and_no_more_than_the_steps_took(
    monkeypatch: pytest.MonkeyPatch, worked_s: float, share: float
) -> None:
    counting, recorder = _counting(monkeypatch)
    _at(monkeypatch, 1.0, 1.01, 3.01, 4.01)
    monkeypatch.setattr(steps, "pause_s", lambda _age_s, _hang_s: 10.0)
    worked = iter([0.0, 0.0, worked_s])
    monkeypatch.setattr(steps.Work, "since_last", lambda _self: next(worked))
    for number in range(4):
        counting.stepped(recorder, (), {})
        if number == 1:
            counting.flush(1.0)
    counting.flush(1.0)
    assert _told(recorder)[1:] == [
        {"step": 2, "times_us": [10_000], "busy_share": 0.0},
        {"step": 4, "times_us": [2_000_000, 1_000_000], "busy_share": share},
    ]


def test_how_long_the_first_step_took_is_not_told_nor_its_work(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    counting._lock.acquire()  # another thread reports just now
    _at(monkeypatch, 1.0, 1.5, 3.5)
    for _ in range(3):
        counting.stepped(recorder, (), {})
    counting._lock.release()
    counting.flush(1.0)
    assert _told(recorder) == [{"step": 3, "times_us": [500_000, 2_000_000]}]


def _told_at(
    monkeypatch: pytest.MonkeyPatch, every_s: float, until_s: float, hang_s: float = 0.0
) -> list[float]:
    """When steps are told that are made so often, the first one at 1000 s."""
    counting, recorder = _counting(monkeypatch, hang_s=hang_s)
    when = []
    for number in range(int(until_s / every_s) + 1):
        at_s = 1000 + number * every_s
        _at(monkeypatch, at_s)
        before = len(recorder.frames)
        counting.stepped(recorder, (), {})
        when += [at_s - 1000] * (len(recorder.frames) - before)
    return when


def test_steps_are_told_at_once_and_often_and_later_twice_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when = _told_at(monkeypatch, 0.0625, 12.0)
    gaps = [after - before for before, after in pairwise(when)]
    growing = {0.1875: 7, 0.25: 5, 0.3125: 4, 0.375: 3, 0.4375: 3}
    assert {gap: gaps.count(gap) for gap in gaps} == {0.125: 21, **growing, 0.5: 6}
    assert gaps == sorted(gaps)


def test_where_a_hang_is_looked_out_for_no_gap_between_records_comes_near_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    when = _told_at(monkeypatch, 0.0625, 100.0, hang_s=2.0)
    gaps = {after - before for before, after in pairwise(when)}
    assert gaps == {0.125, 0.1875, 0.25}


def test_each_step_is_told_that_takes_longer_than_the_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert _told_at(monkeypatch, 0.75, 30.0) == [number * 0.75 for number in range(41)]


def test_a_look_tells_what_no_further_step_does_once_it_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    reporter = counting._reporter
    _at(monkeypatch, 1.0, 1.03125, 1.0625)
    for _ in range(3):
        counting.stepped(recorder, (), {})
    seen = []
    for now_s in (1.0625, 1.09375, 1.125, 9.0):
        reporter.look(now_s)
        seen.append((len(recorder.frames), reporter.num_steps, reporter.progressed_s))
    assert seen == [(1, 1, 1.0625), (1, 1, 1.0625), (2, 3, 1.0625), (2, 3, 1.0625)]
    assert _told(recorder)[1]["times_us"] == [31_250, 31_250]


def test_the_step_after_a_pause_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, recorder = _counting(monkeypatch)
    _at(monkeypatch, 1.0, 1.05, 3.0, 3.05)
    counting.stepped(recorder, (), {})
    counting.stepped(recorder, (), {})
    counting.look(2.5)
    counting.stepped(recorder, (), {})
    counting.stepped(recorder, (), {})
    assert [each["step"] for each in _told(recorder)] == [1, 2, 3]


def test_what_another_record_has_told_along_is_not_due_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    _at(monkeypatch, 1.0, 1.09, 1.15)
    counting.stepped(recorder, (), {})
    counting.stepped(recorder, (), {})
    counting._reporter.send("checkpoint_saved", path="/x")
    counting.stepped(recorder, (), {})
    assert [json.loads(each[1:])["event"] for each in recorder.frames] == [
        "step",
        "step",
        "checkpoint_saved",
    ]


def test_a_checksum_names_the_step_that_it_was_taken_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch, sums_up=True)
    monkeypatch.setattr(parameters, "checksum", lambda _optimizer: ("abc", 7))
    for _ in range(12):
        counting.stepped(recorder, (), {})
    told = [json.loads(each[1:]) for each in recorder.frames]
    sums = [(each["step"], each["checksum"]) for each in told if each["event"] == "parameters"]
    assert sums == [(step, "abc") for step in (1, 2, 5, 10)]
    # Between two checksums, steps are told together as ever.
    assert [each["step"] for each in told if each["event"] == "step"] == [1, 2, 5, 10]


def test_checksums_are_taken_at_few_steps() -> None:
    due = [step for step in range(1001) if parameters.is_due(step)]
    assert due == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_work_is_what_the_thread_did_that_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    work = steps.Work()
    work.follow()
    used: Any = iter([10.0, 10.25])
    monkeypatch.setattr(steps, "clock_gettime", lambda _clock: next(used))
    monkeypatch.setattr(steps.Work, "_in_line_s", lambda _self: 1.0)
    work.since_last()
    assert work.since_last() == 0.25


def test_steps_that_are_counted_while_others_are_reported_are_not_lost() -> None:
    """The stepping thread goes on while another one flushes, as fast as both can."""
    script = """
import sys, threading, torch.optim as optim
sys.setswitchinterval(1e-6)
optimizer, hooks = optim.Optimizer(), optim.optimizer._hooks
flush = hooks[0].__self__.flush
over = threading.Event()
def flushing():
    while not over.is_set(): flush(0.0)
threading.Thread(target=flushing).start()
for _ in range(30_000): optimizer.step()
over.set()
"""
    outcome = run("-c", script, env=ALONE)
    assert outcome.seen == (0, "", "")
    assert outcome.channel.of("process_ended")[0]["steps"] == 30_000
