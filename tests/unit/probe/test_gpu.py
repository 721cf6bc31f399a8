"""Which GPU the probe says a rank uses, with a torch and a driver that are stand-ins."""

from __future__ import annotations

import ctypes
import json
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.probe.site.orchestrate_probe import gpu, reporting, steps
from tests.cuda_driver import OldDriver, StandInDriver, missing
from tests.unit.probe.test_steps import _Recorder

A, B = "8932f937-d72c-4106-c12f-20bd9faed9f6", "1a2b3c4d-5e6f-4711-8899-aabbccddeeff"


class Cuda:
    """The part of torch.cuda that tells of devices."""

    def __init__(self, *uuids: str) -> None:
        self.uuids = uuids
        self.device = 0
        self.initialized = True

    def is_initialized(self) -> bool:
        return self.initialized

    def current_device(self) -> int:
        assert self.initialized, "asking would wake CUDA"
        return self.device

    def get_device_properties(self, ordinal: int) -> SimpleNamespace:
        return SimpleNamespace(uuid=self.uuids[ordinal])


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    """A process that sees two GPUs."""
    found = Cuda(A, B)
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=found))
    monkeypatch.setenv("ORCHESTRATE_GPU_MODE", "exclusive")
    monkeypatch.setenv("LOCAL_RANK", "0")
    return found


def test_the_device_of_the_thread_that_asks(cuda: Cuda) -> None:
    told = []
    for cuda.device in (0, 1):
        told.append((gpu.in_use(), gpu.chosen()))
    assert told == [(f"GPU-{A}", f"GPU-{A}"), (f"GPU-{B}", f"GPU-{B}")]


def test_cuda_is_not_woken(cuda: Cuda) -> None:
    cuda.initialized = False
    assert (gpu.in_use(), gpu.chosen()) == (None, None)


def test_a_torch_that_knows_no_uuids(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "get_device_properties", lambda _: SimpleNamespace())
    assert gpu.in_use() is None


def test_a_rank_that_has_chosen_no_device_yet_is_not_on_the_first_one(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert gpu.chosen() is None
    cuda.device = 1
    assert gpu.chosen() == f"GPU-{B}"


@pytest.mark.parametrize(
    ("library", "told"),
    [
        (lambda name: StandInDriver(B) if name == "libcuda.so.1" else None, f"MIG-{B}"),
        (lambda _: StandInDriver(), None),
        (lambda _: OldDriver(), None),
        (missing, None),
    ],
    ids=["tells", "fails", "is too old", "is missing"],
)
def test_a_slice_is_asked_of_the_driver_not_of_torch(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch, library: Callable[[str], Any], told: str | None
) -> None:
    monkeypatch.setenv("ORCHESTRATE_GPU_MODE", "mig")
    monkeypatch.setattr(ctypes, "CDLL", library)
    assert gpu.in_use() == told


def stepping(monkeypatch: pytest.MonkeyPatch, joined_with: str | None) -> list[dict[str, Any]]:
    """What is told of the GPU over three steps, each long after the one before."""
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv(reporting.ENV_SPOKEN_FOR, raising=False)
    recorder = _Recorder()
    reporter = reporting.Reporter("run", recorder)
    reporter.gpu = joined_with
    counting = steps.Steps(reporter)
    clock = iter([1.0, 2.0, 3.0])
    monkeypatch.setattr(steps, "perf_counter", lambda: next(clock))
    for _ in range(3):
        counting.stepped(recorder, (), {})
    told = [json.loads(each[1:]) for each in recorder.frames]
    return [
        {"rank": each["rank"], "gpu": each["gpu"]} for each in told if each["event"] == "gpu_used"
    ]


def test_a_step_tells_what_the_join_could_not(cuda: Cuda, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stepping(monkeypatch, None) == [{"rank": 0, "gpu": f"GPU-{A}"}]


def test_a_step_tells_of_another_gpu_than_the_join(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.device = 1
    assert stepping(monkeypatch, f"GPU-{A}") == [{"rank": 0, "gpu": f"GPU-{B}"}]


@pytest.mark.parametrize("mode", ["exclusive", ""])
def test_a_step_has_nothing_to_add(cuda: Cuda, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    monkeypatch.setenv("ORCHESTRATE_GPU_MODE", mode)
    assert stepping(monkeypatch, f"GPU-{A}" if mode else None) == []


def test_a_script_on_the_cpu_is_asked_again_and_tells_nothing(
    cuda: Cuda, monkeypatch: pytest.MonkeyPatch
) -> None:
    cuda.initialized = False
    assert stepping(monkeypatch, None) == []
