"""What the `gpu` section takes, and the whole text of what it does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.playbook.gpu import Gpu
from orchestrator.playbook.health import Check, Completed, Mps
from orchestrator.playbook.loader import load_text
from tests.reliability.record import RecordCase, record_inputs
from tests.unit.playbook.head import HEAD, FaultsOf

DEVICE_FIX = "write its index or its UUID, such as 0 or GPU-8932f937-…; `nvidia-smi -L` lists both"
VISIBLE = "gpu.mode and gpu.devices say which GPUs a node sees; remove it"

FAULTS: dict[str, list[str]] = {
    "gpu: {devices: [0]}": [
        "7:7: gpu.devices: has no meaning in mode cpu; "
        "remove it, or use mode: exclusive, shared, mps or mig"
    ],
    "gpu: {mode: exclusive, memory_fraction: 0.5, allow_unsupported: true}": [
        "7:24: gpu.memory_fraction: has no meaning in mode exclusive; "
        "remove it, or use mode: shared or mps",
        "7:46: gpu.allow_unsupported: has no meaning in mode exclusive; "
        "remove it, or use mode: shared, mps or mig",
    ],
    "gpu: {mode: shared, per_node: 2}": [
        "7:21: gpu.per_node: has no meaning in mode shared; remove it, or use mode: exclusive"
    ],
    "gpu: {memlock: unlimited}": [
        "7:7: gpu.memlock: has no meaning in mode cpu; "
        "remove it, or use mode: exclusive, shared, mps or mig"
    ],
    "gpu: {mode: exclusive, devices: [0, GPU-a, 0]}": [
        "7:44: gpu.devices[2]: GPU 0 is named twice; remove one of the two"
    ],
    "gpu: {mode: exclusive, devices: [0]}": [
        "7:33: gpu.devices: 1 named of 2 needed (2 nodes, 1 each); name more, or lower ranks.nodes"
    ],
    "gpu: {mode: exclusive, devices: [-1, 1.0, yes, MIG-a/7/0, 'GPU-a,b']}": [
        f"7:34: gpu.devices[0]: the number -1 is not a GPU; {DEVICE_FIX}",
        f"7:38: gpu.devices[1]: the number 1.0 is not a GPU; {DEVICE_FIX}",
        f"7:43: gpu.devices[2]: the text 'yes' is not a GPU; {DEVICE_FIX}",
        f"7:48: gpu.devices[3]: the text 'MIG-a/7/0' is not a GPU; {DEVICE_FIX}",
        f"7:59: gpu.devices[4]: the text 'GPU-a,b' is not a GPU; {DEVICE_FIX}",
    ],
    "gpu: {mode: shared, devices: [0, 1]}": [
        "7:30: gpu.devices: 2 GPUs named, and in mode shared all nodes use one; name one, or use "
        "mode: exclusive"
    ],
    "gpu: {mode: shared, memory_fraction: 0.6}": [
        "7:38: gpu.memory_fraction: 2 ranks with 0.6 each are 1.2 of one GPU's memory; "
        "use at most 0.5"
    ],
    "gpu: {mode: shared, memory_fraction: 0}": [
        "7:38: gpu.memory_fraction: the number 0 is not above 0; use more than 0"
    ],
    "gpu: {mode: shared, memlock: 3 sheep}": [
        "7:30: gpu.memlock: the text '3 sheep' is not a size; "
        "write it like 2GiB, 512MiB, 1.5GiB or a number of bytes"
    ],
    "  nproc_per_node: 2\ngpu: {mode: shared}": [
        "7:19: ranks.nproc_per_node: 2 ranks in a node would look for 2 GPUs, and each node has "
        "one; use nproc_per_node: 1 and nodes: 4"
    ],
    "  nproc_per_node: 2\ngpu: {mode: exclusive, per_node: 1}": [
        "8:34: gpu.per_node: 1 for 2 ranks in each node; give each rank a GPU of its own"
    ],
    "rendezvous: {backend: nccl}\ngpu: {mode: shared}": [
        "7:23: rendezvous.backend: nccl does not support ranks that share a GPU: it may hang, and "
        "would not say why; use auto or gloo, or say gpu.allow_unsupported: true"
    ],
    "rendezvous: {backend: nccl}\ngpu: {mode: mig}": [
        "7:23: rendezvous.backend: nccl does not support MIG slices: it may hang, and would not "
        "say why; use auto or gloo, or say gpu.allow_unsupported: true"
    ],
    "gpu: {mode: exclusive, devices: [0, MIG-a]}": [
        "7:37: gpu.devices[1]: MIG-a is a MIG slice, and mode exclusive gives whole GPUs; name a "
        "GPU, or use mode: mig"
    ],
    "  nproc_per_node: 2\ngpu: {mode: mig}": [
        "7:19: ranks.nproc_per_node: 2 ranks in a node, and CUDA shows one MIG slice to all "
        "processes of it; use nproc_per_node: 1 and nodes: 4"
    ],
    "gpu: {mode: mig, per_node: 2, memory_fraction: 0.5}": [
        "7:18: gpu.per_node: has no meaning in mode mig; remove it, or use mode: exclusive",
        "7:31: gpu.memory_fraction: has no meaning in mode mig; "
        "remove it, or use mode: shared or mps",
    ],
    "gpu: {mode: shared, thread_percentage: 50, pinned_memory: 8GiB, set_compute_mode: true}": [
        "7:21: gpu.thread_percentage: has no meaning in mode shared; remove it, or use mode: mps",
        "7:44: gpu.pinned_memory: has no meaning in mode shared; remove it, or use mode: mps",
        "7:65: gpu.set_compute_mode: has no meaning in mode shared; remove it, or use mode: mps",
    ],
    "gpu: {mode: mps, per_node: 1, devices: [0, 1]}": [
        "7:18: gpu.per_node: has no meaning in mode mps; remove it, or use mode: exclusive",
        "7:40: gpu.devices: 2 GPUs named, and in mode mps all nodes use one; name one, or use "
        "mode: exclusive",
    ],
    "gpu: {mode: mps, thread_percentage: 0}": [
        "7:37: gpu.thread_percentage: the number 0 is below 1; use at least 1"
    ],
    "gpu: {mode: mps, pinned_memory: 4KiB}": [
        "7:33: gpu.pinned_memory: the text '4KiB' is below 1MiB; use at least 1MiB"
    ],
    "gpu: {mode: mps, set_compute_mode: 1}": [
        "7:36: gpu.set_compute_mode: expected true or false, found the number 1; "
        "write true or false"
    ],
    "gpu: {mode: mps, memory_fraction: 0.6}": [
        "7:35: gpu.memory_fraction: 2 ranks with 0.6 each are 1.2 of one GPU's memory; "
        "use at most 0.5"
    ],
    "gpu: {mode: mps, daemon_image: Ubuntu}": [
        "7:32: gpu.daemon_image: the text 'Ubuntu' is not the name of an image; "
        "write it like ubuntu:24.04"
    ],
    "gpu: {mode: mps, daemon_image: 'ubuntu:24.04'}": [
        "7:32: gpu.daemon_image: nodes and their MPS daemon must be of one user, and two images "
        "may differ in that; say who they run as in ranks.user"
    ],
    "  user: 1000\nsecurity: {profile: strict}\ngpu: {mode: mps, daemon_image: 'ubuntu:24.04'}": [
        "3:14: image.tag: strict wants a pinned image, and a tag may move; write it like "
        "name@sha256:…, or give image.build",
        "9:32: gpu.daemon_image: strict wants a pinned image, and a tag may move; write it like "
        "name@sha256:…",
    ],
    "  nproc_per_node: 2\ngpu: {mode: mps}": [
        "7:19: ranks.nproc_per_node: 2 ranks in a node would look for 2 GPUs, and each node has "
        "one; use nproc_per_node: 1 and nodes: 4"
    ],
    "rendezvous: {backend: nccl}\ngpu: {mode: mps}": [
        "7:23: rendezvous.backend: nccl does not support ranks that share a GPU: it may hang, and "
        "would not say why; use auto or gloo, or say gpu.allow_unsupported: true"
    ],
    "  env: {CUDA_MPS_PIPE_DIRECTORY: /tmp, CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: '9'}\n"
    "gpu: {mode: mps}": [
        "7:9: ranks.env.CUDA_MPS_PIPE_DIRECTORY: 'CUDA_MPS_PIPE_DIRECTORY': in mode mps it is set "
        "for you; remove it",
        "7:40: ranks.env.CUDA_MPS_ACTIVE_THREAD_PERCENTAGE: 'CUDA_MPS_ACTIVE_THREAD_PERCENTAGE': "
        "in mode mps it is set for you; use gpu.thread_percentage",
    ],
    "gpu: {mode: shared}\nhealth_checks: [mps]": [
        "8:17: health_checks[0]: there is no MPS daemon in gpu.mode shared; leave it out, or use "
        "gpu.mode: mps"
    ],
    "  env: {CUDA_VISIBLE_DEVICES: '0'}": [
        f"7:9: ranks.env.CUDA_VISIBLE_DEVICES: 'CUDA_VISIBLE_DEVICES': {VISIBLE}"
    ],
    "  per_node: {1: {env: {NVIDIA_VISIBLE_DEVICES: all}}}": [
        f"7:24: ranks.per_node.1.env.NVIDIA_VISIBLE_DEVICES: 'NVIDIA_VISIBLE_DEVICES': {VISIBLE}"
    ],
}


@pytest.mark.parametrize(("text", "faults"), FAULTS.items())
def test_a_gpu_line_gets_its_fault(
    text: str, faults: list[str], faults_of: FaultsOf, record_case: RecordCase
) -> None:
    assert faults_of(f"{HEAD}{text}\n") == faults
    record_inputs(record_case, "lines that spoil a playbook, fault by fault", refused=1)


@pytest.mark.parametrize(
    ("text", "gpu"),
    [
        ("gpu: {}", Gpu()),
        ("gpu: {mode: exclusive}", Gpu(mode="exclusive")),
        (
            "gpu: {mode: exclusive, devices: [0, GPU-8932f937-d72c-4106-c12f-20bd9faed9f6]}",
            Gpu(mode="exclusive", devices=(0, "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6")),
        ),
        ("gpu: {mode: exclusive, per_node: 4}", Gpu(mode="exclusive", per_node=4)),
        ("gpu: {mode: exclusive, memlock: 8MiB}", Gpu(mode="exclusive", memlock_bytes=2**23)),
        ("gpu: {mode: shared, memlock: unlimited}", Gpu(mode="shared", memlock_bytes=-1)),
        ("gpu: {mode: shared, memory_fraction: 0.5}", Gpu(mode="shared", memory_fraction=0.5)),
        (
            "rendezvous: {backend: nccl}\ngpu: {mode: shared, allow_unsupported: true}",
            Gpu(mode="shared", allow_unsupported=True),
        ),
        ("rendezvous: {backend: nccl}\ngpu: {mode: exclusive}", Gpu(mode="exclusive")),
        (
            "gpu: {mode: mps, devices: [0], thread_percentage: 50, pinned_memory: 8GiB, "
            "memory_fraction: 0.4, set_compute_mode: true, memlock: 8MiB}",
            Gpu(
                mode="mps",
                devices=(0,),
                thread_percentage=50,
                pinned_memory_bytes=8 * 2**30,
                memory_fraction=0.4,
                set_compute_mode=True,
                memlock_bytes=2**23,
            ),
        ),
        (
            "  user: 1000\ngpu: {mode: mps, daemon_image: 'ubuntu:24.04'}",
            Gpu(mode="mps", daemon_image="ubuntu:24.04"),
        ),
        (
            "gpu: {mode: mig, devices: [0, MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f]}",
            Gpu(mode="mig", devices=(0, "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f")),
        ),
        (
            "rendezvous: {backend: nccl}\ngpu: {mode: mig, allow_unsupported: true}",
            Gpu(mode="mig", allow_unsupported=True),
        ),
    ],
)
def test_what_is_right(text: str, gpu: Gpu, tmp_path: Path) -> None:
    loaded = load_text(f"{HEAD}{text}\n".encode(), name="p.yaml", folder=tmp_path)
    assert loaded.playbook.gpu == gpu


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("gpu: {mode: mps}", (Mps(),)),
        ("gpu: {mode: mps}\nhealth_checks: [completed]", (Mps(), Completed())),
        (
            "gpu: {mode: mps}\nhealth_checks: [completed, mps: {within: 9s}]",
            (Completed(), Mps(within_s=9.0)),
        ),
        ("gpu: {mode: shared}\nhealth_checks: [completed]", (Completed(),)),
    ],
)
def test_mps_is_checked_whether_asked_for_or_not(
    text: str, checks: tuple[Check, ...], tmp_path: Path
) -> None:
    loaded = load_text(f"{HEAD}{text}\n".encode(), name="p.yaml", folder=tmp_path)
    assert loaded.playbook.health_checks == checks
