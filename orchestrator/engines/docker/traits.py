"""What a Docker engine has, whichever version it is."""

from __future__ import annotations

from orchestrator.state.traits import EngineTraits

TRAITS = EngineTraits(
    name="docker",
    has_images=True,
    has_networks=True,
    is_isolated=True,
    # CUDA images preset "all": without this a default NVIDIA runtime shows every GPU.
    node_env={"NVIDIA_VISIBLE_DEVICES": "void"},
    gpu_variable="NVIDIA_VISIBLE_DEVICES",
    gpu_env={"NVIDIA_DRIVER_CAPABILITIES": "compute,utility"},
    in_place=frozenset(
        {
            "name",
            "status",
            "resources.cpus",
            "resources.memory",
            "resources.memory_swap",
            "resources.pids",
        }
    ),
)
