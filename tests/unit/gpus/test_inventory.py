"""`nvidia-smi` on PATH, as the GPUs of the machine or as one clear line."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.errors import GpuUnavailable
from orchestrator.gpus.inventory import Gpu, Slice
from orchestrator.gpus.listing import parse_query, with_slices
from orchestrator.gpus.nvidia_smi import read_inventory
from tests.nvidia import (
    DRIVER,
    MIG_UUIDS,
    MISMATCH,
    NAME,
    NO_DEVICES,
    NO_DRIVER,
    PROFILES,
    UUIDS,
    mig_list,
    mig_xml,
    num_gpus,
    put_mig_machine,
    put_nvidia_smi,
)

GIB = 1024**3
MIB = 1024**2
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


@pytest.mark.parametrize("num", [1, 2, 8])
def test_the_gpus_of_a_machine(path: Path, num: int) -> None:
    put_nvidia_smi(path, num_gpus(num))
    assert read_inventory() == tuple(
        Gpu(index, uuid, NAME, 40 * GIB, driver_version=DRIVER)
        for index, uuid in enumerate(UUIDS[:num])
    )


def test_all_kinds_of_memory_mode_and_mig() -> None:
    text = (
        "1, GPU-b, NVIDIA GB10, [N/A], Exclusive_Process, [N/A], 580.95.05\n"
        "0, GPU-a, NVIDIA H100 80GB HBM3, 81559, Prohibited, Enabled, 550.54.15\n"
        "\n"
        "2, GPU-c, NVIDIA GeForce RTX 3060, 12288, [N/A], [Not Supported], [N/A]\n"
    )
    gpus = parse_query(text)
    assert gpus == (
        Gpu(
            0,
            "GPU-a",
            "NVIDIA H100 80GB HBM3",
            81559 * MIB,
            has_mig=True,
            compute_mode="Prohibited",
            driver_version="550.54.15",
        ),
        Gpu(
            1, "GPU-b", "NVIDIA GB10", compute_mode="Exclusive_Process", driver_version="580.95.05"
        ),
        Gpu(2, "GPU-c", "NVIDIA GeForce RTX 3060", 12 * GIB),
    )
    assert [str(gpu) for gpu in gpus] == [
        "0: GPU-a (NVIDIA H100 80GB HBM3, 80 GiB, Prohibited, MIG)",
        "1: GPU-b (NVIDIA GB10, Exclusive_Process)",
        "2: GPU-c (NVIDIA GeForce RTX 3060, 12 GiB)",
    ]


SLICES = tuple(
    Slice(uuid, profile, index, instance, 0, mib * MIB)
    for index, (uuid, profile, (instance, mib)) in enumerate(
        zip(MIG_UUIDS, PROFILES, ((1, 20096), (5, 9984), (13, 4864)), strict=True)
    )
)


def test_the_slices_of_a_machine(path: Path) -> None:
    put_mig_machine(path, num_whole=1)
    sliced, whole = read_inventory()
    assert sliced == Gpu(
        0, UUIDS[0], NAME, 40 * GIB, has_mig=True, driver_version=DRIVER, slices=SLICES
    )
    assert whole == Gpu(1, UUIDS[1], NAME, 40 * GIB, driver_version=DRIVER)
    assert str(sliced) == (
        f"0: {UUIDS[0]} ({NAME}, 40 GiB, MIG) with slices {MIG_UUIDS[0]} (3g.20gb), "
        f"{MIG_UUIDS[1]} (2g.10gb), {MIG_UUIDS[2]} (1g.5gb)"
    )


MIG = (Gpu(0, UUIDS[0], NAME, has_mig=True),)


@pytest.mark.parametrize(
    ("listed", "xml", "slices"),
    [
        pytest.param(mig_list(), mig_xml(), SLICES, id="all that is known"),
        pytest.param(
            mig_list(),
            "<nvidia_smi_log/>",
            tuple(Slice(each.uuid, each.profile, each.index) for each in SLICES),
            id="no more than their names",
        ),
        pytest.param(f"GPU 0: {NAME} (UUID: {UUIDS[0]})\n", mig_xml(), (), id="none cut yet"),
        pytest.param(
            f"GPU 0: {NAME} (UUID: {UUIDS[0]})\n"
            "  MIG 1c.3g.20gb  Device  1: (UUID: MIG-b)\n"
            "Unable to determine the device handle for gpu 0000:3B:00.0: Unknown Error\n"
            "  MIG 1g.10gb+me  Device 0: (UUID: MIG-a)\r\n",
            f"<x><gpu><uuid>{UUIDS[0]}</uuid><mig_devices><mig_device><index>1</index>"
            "<gpu_instance_id>2</gpu_instance_id><compute_instance_id>N/A</compute_instance_id>"
            "<fb_memory_usage><total>N/A</total></fb_memory_usage></mig_device></mig_devices>"
            "</gpu></x>",
            (Slice("MIG-a", "1g.10gb+me", 0), Slice("MIG-b", "1c.3g.20gb", 1, 2)),
            id="parts of an instance, any order, and lines about something else",
        ),
    ],
)
def test_what_is_known_of_slices(listed: str, xml: str, slices: tuple[Slice, ...]) -> None:
    (gpu,) = with_slices(MIG, listed, xml)
    assert gpu.slices == slices


@pytest.mark.parametrize(
    ("listed", "xml", "said"),
    [
        (
            "  MIG 1g.5gb  Device  0: (UUID: MIG-a)\n",
            mig_xml(),
            f"nvidia-smi printed what is no list of GPUs: 'a MIG slice of no GPU'; {GARBAGE_FIX}",
        ),
        (
            mig_list() + "  MIG \x1b[31m  Device  0: (UUID: MIG-a)\n",
            mig_xml(),
            "nvidia-smi printed what is no list of GPUs: "
            f"'MIG \\x1b[31m Device 0: (UUID: MIG-a)'; {GARBAGE_FIX}",
        ),
        (
            mig_list() * 2,
            mig_xml(),
            "nvidia-smi printed what is no list of GPUs: 'the same MIG slice twice'; "
            f"{GARBAGE_FIX}",
        ),
        (
            f"GPU 0: A100 (UUID: {UUIDS[0]})\n  MIG 1g.5gb Device 0: (UUID: MIG-{UUIDS[0]}/7/0)\n",
            mig_xml(),
            f"this driver names MIG slices by their place (MIG-{UUIDS[0]}/7/0), which says nothing "
            "inside a node; update it to 470 or newer, whose slices have UUIDs of their own",
        ),
        (
            mig_list(),
            "",
            f"nvidia-smi printed what is no list of GPUs: 'nothing instead of XML'; {GARBAGE_FIX}",
        ),
        (
            mig_list(),
            "<gpu>\x1b[31m",
            f"nvidia-smi printed what is no list of GPUs: '<gpu>\\x1b[31m'; {GARBAGE_FIX}",
        ),
        (
            mig_list(),
            '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>&a;</x>',
            f"nvidia-smi printed what is no list of GPUs: 'XML with entities'; {GARBAGE_FIX}",
        ),
    ],
)
def test_what_is_no_list_of_slices(listed: str, xml: str, said: str) -> None:
    with pytest.raises(GpuUnavailable) as caught:
        with_slices(MIG, listed, xml)
    assert str(caught.value) == said


def test_a_list_of_slices_that_fails(path: Path) -> None:
    text = f"0, {UUIDS[0]}, {NAME}, 40960, Default, Enabled, {DRIVER}\n"
    put_nvidia_smi(path, text)
    assert refusal() == (
        "nvidia-smi failed: Invalid combination of input arguments: -L; "
        f"mend or update the driver, or {USE_CPU}"
    )


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
            '0, GPU-a",device=all, x, 1, Default, Disabled, 1.2\n',
            0,
            "nvidia-smi printed what is no list of GPUs: "
            f"""'0, GPU-a",device=all, x, 1, Default, Disabled, 1.2'; {GARBAGE_FIX}""",
        ),
        (
            "0, GPU-a, x, 1, Default, Disabled, 1\n1, GPU-a, x, 1, Default, Disabled, 1\n",
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


@pytest.mark.parametrize("hangs", ["query", "list", "xml"])
def test_one_that_hangs_ends_by_its_deadline_with_all_it_started(path: Path, hangs: str) -> None:
    text = f"0, {UUIDS[0]}, {NAME}, 40960, Default, Enabled, {DRIVER}\n"
    put_nvidia_smi(path, text, hangs=hangs, listed=mig_list(), xml=mig_xml())
    began_s = time.monotonic()
    with pytest.raises(GpuUnavailable, match=r"did not answer within 0\.2 s"):
        read_inventory(deadline_s=0.2)
    assert time.monotonic() - began_s < 120  # it would take 600
    listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(path / "nvidia-smi") not in listed.stdout


@given(st.text(max_size=200))
def test_no_text_is_a_traceback(text: str) -> None:
    with pytest.raises(GpuUnavailable):
        parse_query(text)


@given(
    st.lists(st.sampled_from((*mig_list().splitlines(), "x", "MIG "))).map("\n".join),
    st.text(max_size=200) | st.sampled_from((mig_xml(), mig_xml()[:-20], "<a/>")),
)
def test_no_text_about_slices_is_a_traceback(listed: str, xml: str) -> None:
    with suppress(GpuUnavailable):
        (gpu,) = with_slices(MIG, listed, xml)
        assert {each.uuid for each in gpu.slices} <= set(MIG_UUIDS)
