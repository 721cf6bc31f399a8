"""`nvidia-smi` on PATH, as the GPUs of the machine or as one clear line."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.inventory import Gpu, parse_inventory, read_inventory
from tests.nvidia import MISMATCH, NO_DEVICES, NO_DRIVER, UUIDS, num_gpus, put_nvidia_smi

GIB = 1024**3
NAME = "NVIDIA A100-SXM4-40GB"
USE_CPU = "use gpu.mode: cpu where there is no GPU"
NONE = f"this machine has an NVIDIA driver and no GPU that it can use; {USE_CPU}"
GARBAGE_FIX = "see whether the `nvidia-smi` on your PATH is the driver's own"


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in front of PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def refusal() -> str:
    with pytest.raises(GpuUnavailable) as caught:
        read_inventory()
    return str(caught.value)


@pytest.mark.parametrize("num", [1, 2, 4])
def test_the_gpus_of_a_machine(path: Path, num: int) -> None:
    put_nvidia_smi(path, num_gpus(num))
    assert read_inventory() == tuple(
        Gpu(index, uuid, NAME, 40 * GIB) for index, uuid in enumerate(UUIDS[:num])
    )


def test_all_kinds_of_memory_and_mig() -> None:
    text = (
        "1, GPU-b, NVIDIA GB10, [N/A], [N/A]\n"
        "0, GPU-a, NVIDIA H100 80GB HBM3, 81559, Enabled\n"
        "\n"
        "2, GPU-c, NVIDIA GeForce RTX 3060, 12288, [Not Supported]\n"
    )
    gpus = parse_inventory(text)
    assert gpus == (
        Gpu(0, "GPU-a", "NVIDIA H100 80GB HBM3", 81559 * 1024**2, has_mig=True),
        Gpu(1, "GPU-b", "NVIDIA GB10"),
        Gpu(2, "GPU-c", "NVIDIA GeForce RTX 3060", 12 * GIB),
    )
    assert [str(gpu) for gpu in gpus] == [
        "0: GPU-a (NVIDIA H100 80GB HBM3, 80 GiB, MIG)",
        "1: GPU-b (NVIDIA GB10)",
        "2: GPU-c (NVIDIA GeForce RTX 3060, 12 GiB)",
    ]


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        (NO_DEVICES, 6, NONE),
        (NO_DEVICES, 0, NONE),
        ("", 0, NONE),
        (
            NO_DRIVER,
            9,
            "nvidia-smi failed: NVIDIA-SMI has failed because it couldn't communicate with the "
            "NVIDIA driver. Make sure that the latest NVIDIA driver is installed and running; "
            f"mend or update the driver, or {USE_CPU}",
        ),
        (
            MISMATCH,
            18,
            "nvidia-smi failed: Failed to initialize NVML: Driver/library version mismatch NVML "
            f"library version: 535; mend or update the driver, or {USE_CPU}",
        ),
        ("", 127, f"nvidia-smi failed: exit code 127; mend or update the driver, or {USE_CPU}"),
        (
            "hello\x1b[31m\n",
            0,
            f"nvidia-smi printed what is no list of GPUs: 'hello\\x1b[31m'; {GARBAGE_FIX}",
        ),
        (
            '0, GPU-a",device=all, x, 1, Disabled\n',
            0,
            "nvidia-smi printed what is no list of GPUs: "
            f"""'0, GPU-a",device=all, x, 1, Disabled'; {GARBAGE_FIX}""",
        ),
        (
            "0, GPU-a, x, 1, Disabled\n1, GPU-a, x, 1, Disabled\n",
            0,
            f"nvidia-smi printed what is no list of GPUs: 'the same GPU twice'; {GARBAGE_FIX}",
        ),
    ],
)
def test_what_is_no_list_of_gpus(path: Path, text: str, code: int, said: str) -> None:
    put_nvidia_smi(path, text, code=code)
    assert refusal() == said


def test_a_machine_without_a_driver(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(path))
    assert refusal() == (
        "this machine has no NVIDIA driver: nvidia-smi cannot be run (no such file or directory); "
        f"install the driver, or {USE_CPU}"
    )


def test_one_that_hangs_ends_by_its_deadline_with_all_it_started(path: Path) -> None:
    put_nvidia_smi(path, "", hangs=True)
    began_s = time.monotonic()
    with pytest.raises(GpuUnavailable, match=r"did not answer within 0\.2 s"):
        read_inventory(deadline_s=0.2)
    assert time.monotonic() - began_s < 10
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(path / "nvidia-smi") not in listed.stdout


@given(st.text(max_size=200))
def test_no_text_is_a_traceback(text: str) -> None:
    with pytest.raises(GpuUnavailable):
        parse_inventory(text)
