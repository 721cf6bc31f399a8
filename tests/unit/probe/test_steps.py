"""How training steps are counted and told, with optimizers that are fakes."""

from __future__ import annotations

import json
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
    durations = [each for record in others for each in record["times_s"]]
    assert first == {"event": "step", "rank": 0, "step": 1}
    assert (len(durations), others[-1]["step"]) == (39, 40)
    assert len([each for record in others for each in record["busy_s"]]) == 39


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
    monkeypatch: pytest.MonkeyPatch, *, sums_up: bool = False
) -> tuple[steps.Steps, _Recorder]:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv(reporting.ENV_SPOKEN_FOR, raising=False)
    recorder = _Recorder()
    return steps.Steps(reporting.Reporter("run", recorder), sums_up=sums_up), recorder


def test_more_steps_than_a_record_holds_keep_the_latest_durations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    clock = iter(number / 10_000 for number in range(1, 2000))
    monkeypatch.setattr(steps, "perf_counter", lambda: next(clock))
    for _ in range(500):
        counting.stepped(recorder, (), {})
    counting.flush(1.0)
    assert len(recorder.frames) == 2
    told = json.loads(recorder.frames[1][1:])
    assert (told["step"], told["times_s"]) == (500, [0.0001] * steps.MAX_BATCH)
    assert len(told["busy_s"]) == steps.MAX_BATCH


@pytest.mark.parametrize(("worked_s", "busy_s"), [(0.75, [0.5, 0.25]), (9.0, [2.0, 1.0])])
def test_time_at_work_is_shared_out_and_no_more_than_the_steps_took(
    monkeypatch: pytest.MonkeyPatch, worked_s: float, busy_s: list[float]
) -> None:
    counting, recorder = _counting(monkeypatch)
    clock = iter([1.0, 1.01, 3.01, 4.01])
    monkeypatch.setattr(steps, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(steps, "EVERY_S", 10.0)
    worked = iter([0.0, 0.0, worked_s])
    monkeypatch.setattr(steps.Work, "since_last", lambda _self: next(worked))
    for number in range(4):
        counting.stepped(recorder, (), {})
        if number == 1:
            counting.flush(1.0)
    counting.flush(1.0)
    told = json.loads(recorder.frames[-1][1:])
    assert (told["step"], told["times_s"], told["busy_s"]) == (4, [2.0, 1.0], busy_s)


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
