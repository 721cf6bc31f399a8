"""How training steps are counted and told, with optimizers that are fakes."""

from __future__ import annotations

import json
import time
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


def _counting(monkeypatch: pytest.MonkeyPatch) -> tuple[steps.Steps, _Recorder]:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv(reporting.ENV_SPOKEN_FOR, raising=False)
    recorder = _Recorder()
    return steps.Steps(reporting.Reporter("run", recorder)), recorder


def test_more_steps_than_a_record_holds_keep_the_latest_durations(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counting, recorder = _counting(monkeypatch)
    clock = iter(number / 10_000 for number in range(1, 2000))
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    for _ in range(500):
        counting.stepped(recorder, (), {})
    counting.flush()
    assert len(recorder.frames) == 2
    told = json.loads(recorder.frames[1][1:])
    assert (told["step"], told["times_s"]) == (500, [0.0001] * steps.MAX_BATCH)
    assert len(told["busy_s"]) == steps.MAX_BATCH


def test_time_at_work_is_no_more_than_the_step_took(monkeypatch: pytest.MonkeyPatch) -> None:
    counting, recorder = _counting(monkeypatch)
    clock = iter([1.0, 3.0])
    monkeypatch.setattr(time, "perf_counter", lambda: next(clock))
    busy = iter([0.0, 0.5])
    monkeypatch.setattr(steps.Work, "since_last", lambda _self: next(busy))
    counting.stepped(recorder, (), {})
    counting.stepped(recorder, (), {})
    assert b'"times_s":[2.0],"busy_s":[0.5]' in recorder.frames[-1]


def test_checksums_are_taken_at_few_steps() -> None:
    due = [step for step in range(1001) if parameters.is_due(step)]
    assert due == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]


def test_work_is_what_the_thread_did(monkeypatch: pytest.MonkeyPatch) -> None:
    work = steps.Work()
    work.since_last()
    used: Any = iter([10.0, 10.25])
    monkeypatch.setattr(time, "thread_time", lambda: next(used))
    monkeypatch.setattr(steps.Work, "_in_line_s", lambda _self: 1.0)
    work.since_last()
    assert work.since_last() == 0.25
