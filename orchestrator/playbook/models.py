"""The playbook language as models: the single source of the schema and the reference page.

Field names are the keys of the YAML, but for durations and sizes, whose attributes carry their
unit: `within` -> `within_s`, `every` -> `every_s`, `delay` -> `delay_s`, `timeout` -> `timeout_s`,
`memory` -> `memory_bytes`, `shm_size` -> `shm_bytes`, `tmp_size` -> `tmp_bytes`,
`pinned_memory` -> `pinned_memory_bytes`. Seconds are floats, bytes are ints.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.playbook.gpu import Gpu
from orchestrator.playbook.health import (
    CHECK_KINDS,
    CHECKS,
    Check,
    Completed,
    HealthCheck,
    Joined,
    Loss,
    Progress,
    Training,
)
from orchestrator.playbook.language import (
    IMAGE_PATTERN,
    Duration,
    LocalPath,
    Section,
    Switch,
    Version,
)
from orchestrator.playbook.ranks import MAX_NODES, Mount, PerNode, Ranks, Resources
from orchestrator.playbook.security import Security

NAME_PATTERN = r"^[a-z0-9][a-z0-9-]{0,39}$"
NETWORK_NAME_PATTERN = r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$"


class Build(Section):
    """How the image is made when it is not to be pulled."""

    context: LocalPath = Field(
        default=".",
        min_length=1,
        max_length=4096,
        description="Folder that the build sees, relative to the playbook's folder; it may lie "
        "outside of it.",
        examples=[".."],
    )
    dockerfile: str = Field(
        default="Dockerfile",
        min_length=1,
        max_length=4096,
        description="Dockerfile, relative to `context`.",
        examples=["docker/Dockerfile"],
    )
    args: dict[str, str] = Field(
        default_factory=dict,
        description="Build arguments (`ARG` in the Dockerfile). Not for secrets: they stay in "
        "the image's history.",
        examples=[{"BASE_IMAGE": "python:3.12-slim"}],
    )
    requirements: str | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="pip requirements that the Dockerfile installs, relative to `context`. Their "
        "wheels are downloaded on this machine when the build cannot reach a package index.",
        examples=["docker/requirements.txt"],
    )


class Image(Section):
    """The image that every node runs."""

    tag: str = Field(
        pattern=IMAGE_PATTERN,
        max_length=512,
        description="Name of the image: `name:tag`, or pinned as `name@sha256:…`.",
        examples=["qwen-fsdp:local"],
    )
    build: Build | None = Field(
        default=None,
        description="How to build the image; rebuilt when its inputs change. Leave it out for "
        "an image that is here or can be pulled.",
        examples=[{"context": "..", "dockerfile": "docker/Dockerfile"}],
    )
    pull: Literal["never", "missing", "always"] = Field(
        default="missing",
        description="When to fetch an image that is not built here.",
        examples=["never"],
    )


class Network(Section):
    """The private network that the nodes share."""

    name: str | None = Field(
        default=None,
        pattern=NETWORK_NAME_PATTERN,
        description="Name of the network. Default: the playbook's name followed by `-net`.",
        examples=["two-rank-net"],
    )
    internal: bool = Field(
        default=True,
        description="Whether nodes have no way out of the network.",
        examples=[False],
    )
    external: bool = Field(
        default=False,
        description="Whether the network is not ours: it must exist, and is never removed.",
        examples=[True],
    )


class Rendezvous(Section):
    """How the ranks find each other. MASTER_ADDR is always node 0's name on the network."""

    backend: Literal["auto", "gloo", "nccl"] = Field(
        default="auto",
        description="Backend of the process group; `auto` is nccl where each rank has a GPU of "
        "its own, else gloo.",
        examples=["gloo"],
    )
    port: int = Field(
        default=29500,
        ge=1024,
        le=65535,
        description="Port on which rank 0 listens inside its node; none is published.",
        examples=[29500],
    )
    timeout_s: Duration = Field(
        default=60.0,
        gt=0,
        validation_alias="timeout",
        description="How long a rank waits for the others before it gives up.",
        examples=["60s", "5m"],
    )


class Restarts(Section):
    """How often apply starts the whole gang again while it follows the run."""

    max: int = Field(
        default=0,
        ge=0,
        le=100,
        description="At most this many restarts after a node died, or after `progress` found a "
        "hang. Each attempt is a run of its own, with a new id, new logs and the checks anew; "
        "the script finds the count in TORCHELASTIC_RESTART_COUNT.",
        examples=[2],
    )
    delay_s: Duration = Field(
        default=0.0,
        ge=0,
        validation_alias="delay",
        description="How long to wait before each restart.",
        examples=["5s"],
    )


class Playbook(Section):
    """A simulated training cluster: what shall run, and what must hold."""

    version: Version = Field(
        description="Version of the playbook language.",
        examples=[1],
    )
    name: str = Field(
        pattern=NAME_PATTERN,
        description="Name of the project: lower-case letters, digits and `-`, at most 40. It "
        "names every object that the playbook owns.",
        examples=["two-rank"],
    )
    image: Image = Field(
        description="The image that every node runs.",
        examples=[{"tag": "qwen-fsdp:local"}],
    )
    network: Network = Field(
        default_factory=Network,
        description="The private network that the nodes share.",
        examples=[{"internal": True}],
    )
    ranks: Ranks = Field(
        description="The nodes that form one process group, and what they run.",
        examples=[{"nodes": 2, "command": ["python", "-m", "trainer"]}],
    )
    rendezvous: Rendezvous = Field(
        default_factory=Rendezvous,
        description="How the ranks find each other.",
        examples=[{"backend": "auto", "timeout": "60s"}],
    )
    gpu: Gpu = Field(
        default_factory=Gpu,
        description="How nodes share the machine's GPUs.",
        examples=[{"mode": "cpu"}],
    )
    security: Security = Field(
        default_factory=Security,
        description="How far nodes are locked in.",
        examples=[{"profile": "default"}],
    )
    probe: Switch = Field(
        default="on",
        description="Whether every Python process of a node reports how it joined and trains, "
        "without a changed line of the script: a read-only folder is mounted at "
        "/opt/orchestrate/probe and put first on PYTHONPATH. `off` leaves both out: the checks "
        "then rest on what the script itself reports. `true` and `false` say the same.",
        examples=["off"],
    )
    health_checks: tuple[HealthCheck, ...] = Field(
        default=(),
        description="What must hold for the run to count as converged; apply waits for these and "
        "for nothing else. Each kind at most once.",
        examples=[["joined", {"completed": {"within": "5m"}}]],
    )
    restarts: Restarts = Field(
        default_factory=Restarts,
        description="How often apply starts the whole gang again while it follows the run.",
        examples=[{"max": 2}],
    )
    on_failure: Literal["stop", "keep"] = Field(
        default="stop",
        description="When a node fails for the last time: `stop` the others, keeping containers "
        "and logs, or `keep` them running.",
        examples=["keep"],
    )


__all__ = [
    "CHECKS",
    "CHECK_KINDS",
    "MAX_NODES",
    "Build",
    "Check",
    "Completed",
    "Gpu",
    "HealthCheck",
    "Image",
    "Joined",
    "Loss",
    "Mount",
    "Network",
    "PerNode",
    "Playbook",
    "Progress",
    "Ranks",
    "Rendezvous",
    "Resources",
    "Restarts",
    "Security",
    "Training",
]
