"""The `gpu` section: how nodes share the machine's GPUs."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from orchestrator.playbook.language import IMAGE_PATTERN, Section, Size, size_bytes
from orchestrator.playbook.units import MAX_SIZE_BYTES, SIZE_PATTERN

UUID_PATTERN = r"^(GPU|MIG)-[0-9A-Za-z-]{1,64}$"
MAX_INDEX = 1023
UNLIMITED = "unlimited"


def _device(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_INDEX:
        return value
    if isinstance(value, str) and re.fullmatch(UUID_PATTERN, value, re.ASCII):
        return value
    raise PydanticCustomError("gpu", "not a GPU")


def _lockable(value: object) -> object:
    return -1 if value in (UNLIMITED, -1) else size_bytes(value)


Device = Annotated[
    int | str,
    BeforeValidator(_device),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_INDEX},
                {"type": "string", "pattern": UUID_PATTERN},
            ]
        }
    ),
]
"""A GPU by its index or its UUID, or a MIG slice by its UUID."""

Lockable = Annotated[
    int,
    BeforeValidator(_lockable),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": [UNLIMITED]},
                {"type": "string", "pattern": SIZE_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": MAX_SIZE_BYTES},
            ],
            "x-unit": "size",
        }
    ),
]
"""Bytes inside, -1 for `unlimited`."""


class Gpu(Section):
    """How nodes share the machine's GPUs; docs/gpu.md says which mode serves which purpose."""

    mode: Literal["cpu", "exclusive", "shared", "mps", "mig"] = Field(
        default="cpu",
        description="`cpu`: nodes see no GPU. `exclusive`: each node has GPUs of its own, and "
        "the backend is nccl. In all other modes the backend is gloo. `shared`: all nodes use the "
        "same GPU in turns. `mps`: all nodes use the same GPU at once, through an MPS daemon that "
        "is kept beside them. `mig`: each node has a MIG slice of its own.",
        examples=["exclusive"],
    )
    devices: tuple[Device, ...] = Field(
        default=(),
        max_length=1024,
        description="The GPUs to choose from, by index or UUID as `nvidia-smi -L` lists them; "
        "one only in modes `shared` and `mps`. In mode `mig` also slices by UUID, and a GPU stands "
        "for all its slices. Left out: all that this machine has, in modes `shared` and `mps` its "
        "first GPU.",
        examples=[[0, 1], ["GPU-8932f937-d72c-4106-c12f-20bd9faed9f6"]],
    )
    per_node: int | None = Field(
        default=None,
        ge=1,
        le=64,
        description="GPUs of each node in mode `exclusive`. Default: one for each rank.",
        examples=[2],
    )
    memory_fraction: float | None = Field(
        default=None,
        gt=0,
        le=1,
        description="The part of the GPU's memory that each rank may use in modes `shared` and "
        "`mps`. Ranks are told it (ORCHESTRATE_GPU_MEMORY_FRACTION): the trainer keeps to it, an "
        "unmodified script does not.",
        examples=[0.5],
    )
    thread_percentage: int | None = Field(
        default=None,
        ge=1,
        le=100,
        description="The part of the GPU's multiprocessors that each rank may use in mode `mps`, "
        "in percent. It is a ceiling and no reservation. Default: 100 shared out evenly among the "
        "ranks.",
        examples=[50],
    )
    pinned_memory_bytes: Size | None = Field(
        default=None,
        ge=1024**2,
        validation_alias="pinned_memory",
        description="How much of the GPU's memory each rank may allocate in mode `mps`; the MPS "
        "server refuses more, whatever the script does. Left out: as much as there is.",
        examples=["8GiB"],
    )
    set_compute_mode: bool = Field(
        default=False,
        description="Whether the GPU may be set to EXCLUSIVE_PROCESS in mode `mps`, so that what "
        "does not reach the MPS daemon fails rather than runs without it. That changes the "
        "machine, for everybody, and takes root; `destroy` puts it back.",
        examples=[True],
    )
    daemon_image: str | None = Field(
        default=None,
        pattern=IMAGE_PATTERN,
        max_length=512,
        description="Image of the MPS daemon in mode `mps`; it must be here already. Left out: "
        "that of the nodes. NVIDIA's toolkit mounts the daemon's program into either.",
        examples=["ubuntu:24.04"],
    )
    memlock_bytes: Lockable | None = Field(
        default=None,
        validation_alias="memlock",
        description="How much memory each node may lock, where it has GPUs; left out it is "
        "`unlimited`, as NCCL asks. An engine that may not raise this limit (rootless) needs "
        "less.",
        examples=["unlimited", "8MiB"],
    )
    allow_unsupported: bool = Field(
        default=False,
        description="Whether `rendezvous.backend: nccl` is accepted in modes `shared`, `mps` and "
        "`mig`, which NCCL's makers do not support: it may hang.",
        examples=[True],
    )
