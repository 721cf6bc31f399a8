"""Setting a GPU's compute mode by a stand-in for `nvidia-smi`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus import compute_mode
from orchestrator.gpus.compute_mode import set_compute_mode
from tests.nvidia import NO_DEVICES, NO_DRIVER, UUIDS, put_settable_gpu

GPU = UUIDS[0]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a machine whose GPU can be set."""
    folder = put_settable_gpu(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def calls(machine: Path) -> list[str]:
    return (machine / "calls").read_text().split()


def answer_always(machine: Path, text: str, code: int) -> None:
    (machine / "nvidia-smi").write_text(f"#!/bin/sh\necho '{text.strip()}'; exit {code}\n")


def test_a_mode_is_set_once_and_put_back(machine: Path) -> None:
    for _ in range(2):
        set_compute_mode(GPU, "EXCLUSIVE_PROCESS")
    assert (machine / "mode").read_text() == "Exclusive_Process\n"
    set_compute_mode(GPU, "DEFAULT")
    assert calls(machine) == ["EXCLUSIVE_PROCESS", "DEFAULT"]


def test_who_may_not_is_told_the_command(machine: Path) -> None:
    (machine / "forbidden").touch()
    with pytest.raises(GpuUnavailable) as caught:
        set_compute_mode(GPU, "EXCLUSIVE_PROCESS")
    assert str(caught.value) == (
        f"GPU {GPU} cannot be set to compute mode EXCLUSIVE_PROCESS: Unable to set the compute "
        "mode for GPU 00000000:00:1E.0: Insufficient Permissions Terminating early due to previous "
        f"errors; as root: `nvidia-smi -i {GPU} -c EXCLUSIVE_PROCESS`; then do this again"
    )
    assert calls(machine) == []
    set_compute_mode(GPU, "DEFAULT")  # it is that already, which takes no permission


@pytest.mark.parametrize(("text", "code"), [(NO_DEVICES, 6), (NO_DRIVER, 9)])
def test_of_a_gpu_or_a_driver_that_is_gone_nothing_need_be_put_back(
    machine: Path, text: str, code: int
) -> None:
    answer_always(machine, text.replace("'", ""), code)
    set_compute_mode(GPU, "DEFAULT")


def test_without_nvidia_smi_there_is_nothing_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    set_compute_mode(GPU, "DEFAULT")


def test_what_cannot_be_understood_is_no_success(machine: Path) -> None:
    answer_always(machine, "lorem ipsum", 0)
    with pytest.raises(GpuUnavailable, match="cannot be read: lorem ipsum"):
        set_compute_mode(GPU, "DEFAULT")


def test_a_driver_that_hangs_is_given_up(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute_mode, "DEADLINE_S", 0.2)
    (machine / "nvidia-smi").write_text("#!/bin/sh\nexec sleep 60\n")
    with pytest.raises(GpuUnavailable, match=r"nvidia-smi did not answer within 0\.2 s"):
        set_compute_mode(GPU, "DEFAULT")
