"""The MPS daemon of a run: from the playbook's `gpu` to a sidecar, and what nodes are told. Pure.

NVIDIA's own example (container-images/samples/mps) does it the same way: a container that runs
`nvidia-cuda-mps-control -f` without a network, and clients in its IPC namespace. There, pipes lie
in a volume. Here they lie in /dev/shm, which the namespace brings with it: there is no volume that
somebody must remove, it is writable for whichever user nodes run as, and it is gone with the
daemon.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from orchestrator.gpus.mps_clients import ASK
from orchestrator.playbook.models import Playbook
from orchestrator.profiles import confinement_of, environment_of
from orchestrator.state.spec import (
    NO_NETWORK,
    SHAREABLE,
    HealthCommand,
    Limits,
    NodeSpec,
    SidecarSpec,
    sorted_env,
)
from orchestrator.state.traits import EngineTraits

ROLE = "mps"
EXCLUSIVE_PROCESS = "EXCLUSIVE_PROCESS"
"""The compute mode in which a GPU takes one process alone: here, the MPS server."""

PIPES = "/dev/shm/nvidia-mps"  # noqa: S108  (a path in containers, theirs alone)
LOGS = "/dev/shm/nvidia-mps-log"  # noqa: S108

_COMMAND = (
    "sh",
    "-c",
    'mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY" && '
    "exec nvidia-cuda-mps-control -f",
)
DAEMON_PIDS = 4096
"""Stops what has gone wild; of its own, as a node's can be changed while it runs."""

HEALTH = HealthCommand(ASK, interval_s=1.0, timeout_s=5.0, retries=3)


def daemon_name(project: str) -> str:
    """Container name and hostname of a project's MPS daemon."""
    return f"{project}-{ROLE}"


def client_env(playbook: Playbook) -> Mapping[str, str]:
    """What every node is told of the daemon, and of its share of the GPU; nothing without one."""
    gpu = playbook.gpu
    if gpu.mode != "mps":
        return {}
    share = gpu.thread_percentage or max(100 // playbook.ranks.nodes, 1)
    env = {"CUDA_MPS_PIPE_DIRECTORY": PIPES, "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": str(share)}
    if gpu.pinned_memory_bytes is not None:
        # Of device 0: a node sees one GPU.
        env["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = f"0={gpu.pinned_memory_bytes // 2**20}M"
    return env


def mps_daemon(
    playbook: Playbook, traits: EngineTraits, nodes: Sequence[NodeSpec]
) -> SidecarSpec | None:
    """The daemon that the nodes need; None in other modes than `mps`.

    Its /dev/shm is that of every node, so it is as large as theirs would be together.
    """
    gpu = playbook.gpu
    if gpu.mode != ROLE:
        return None
    first = nodes[0]
    return SidecarSpec(
        role=ROLE,
        name=daemon_name(playbook.name),
        command=_COMMAND,
        image=gpu.daemon_image or first.image,
        env=sorted_env(
            traits.node_env,
            traits.gpu_env,
            environment_of(playbook.security),
            {"CUDA_MPS_PIPE_DIRECTORY": PIPES, "CUDA_MPS_LOG_DIRECTORY": LOGS},
        ),
        limits=Limits(
            shm_bytes=sum(node.limits.shm_bytes or 0 for node in nodes),
            pids=DAEMON_PIDS,
            memlock_bytes=first.limits.memlock_bytes,
        ),
        user=first.user,
        network=NO_NETWORK,
        confinement=confinement_of(playbook.security),
        health=HEALTH,
        ipc=SHAREABLE,
        compute_mode=EXCLUSIVE_PROCESS if gpu.set_compute_mode else None,
    )
