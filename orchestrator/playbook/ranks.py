"""The `ranks` section: how many nodes, what each one runs, and what it may use."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from orchestrator.playbook.language import LocalPath, Section, Size, User

MAX_NODES = 10_000
# Docker refuses a smaller limit than this one.
MIN_MEMORY_BYTES = 6 * 1024**2

EnvironmentValue = Annotated[str, Field(max_length=32_768)]


class Mount(Section):
    """A file or folder of this machine inside every node."""

    source: LocalPath = Field(
        min_length=1,
        max_length=4096,
        description="File or folder on this machine, relative to the playbook's folder. It must "
        "exist. The Docker socket, and folders that hold it, are always refused.",
        examples=["./data"],
    )
    target: str = Field(
        min_length=1,
        max_length=4096,
        description="Absolute path inside the node. `/`, `/proc`, `/sys`, `/dev` and what lies "
        "below the last three are refused.",
        examples=["/data"],
    )
    read_only: bool = Field(
        default=True,
        description="Whether nodes may only read. With `false` every node writes to the same "
        "folder.",
        examples=[False],
    )
    outside: bool = Field(
        default=False,
        description="Must be `true` where the source leaves the playbook's folder, by `..`, by "
        "an absolute path or by a link.",
        examples=[True],
    )


class Resources(Section):
    """Limits of one node. Processor time and memory are not limited unless given."""

    cpus: float | None = Field(
        default=None,
        ge=0.01,
        le=10_000,
        description="Processor time that a node may use, in cores; fractions are fine.",
        examples=[1.0, 0.5],
    )
    memory_bytes: Size | None = Field(
        default=None,
        ge=MIN_MEMORY_BYTES,
        validation_alias="memory",
        description="Memory of a node; a node that needs more is killed. At least 6MiB. The sum "
        "over all nodes must fit into this machine.",
        examples=["2GiB", "512MiB"],
    )
    shm_bytes: Size | None = Field(
        default=None,
        ge=1,
        validation_alias="shm_size",
        description="Size of /dev/shm in a node, which NCCL and DataLoader workers use. Left out "
        "it is 1GiB, as Docker's own 64MB are too small for both; unused pages cost nothing.",
        examples=["256MiB", "1GiB"],
    )
    pids: int | None = Field(
        default=None,
        ge=1,
        le=4_194_304,
        description="The most processes and threads that a node may have. Left out it is 4096.",
        examples=[512],
    )


SECRET_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$"  # noqa: S105  (the name of one)


class Secret(Section):
    """A file below /run/secrets that only the nodes see.

    In YAML it is a mapping, or its name alone for the variable of that name in upper case.
    """

    name: str = Field(
        pattern=SECRET_PATTERN,
        description="Name of the file below /run/secrets, and of the secret.",
        examples=["hf_token"],
    )
    file: LocalPath | None = Field(
        default=None,
        min_length=1,
        max_length=4096,
        description="File of this machine that holds the value, byte for byte; relative to the "
        "playbook's folder. At most 512 KiB.",
        examples=["./token"],
    )
    env: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        max_length=255,
        description="Variable of this machine that holds the value. Without `file` and `env` it "
        "is the secret's name in upper case, with `_` for what no variable's name may have.",
        examples=["HF_TOKEN"],
    )

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        if not re.fullmatch(SECRET_PATTERN, value, re.ASCII):
            raise PydanticCustomError("secret", "not a secret")
        return {"name": value}

    @property
    def variable(self) -> str:
        """The variable of this machine that holds the value, unless a file does."""
        return self.env or re.sub(r"[^A-Z0-9_]", "_", self.name.upper())


EnvFile = Annotated[LocalPath, Field(min_length=1, max_length=4096)]

_FORMAT = (
    "in the format of docker's `--env-file`: `KEY=VALUE` a line, without quotes; `KEY` alone takes "
    "this machine's value; `#` begins a comment"
)


class PerNode(Section):
    """What differs for one node: stragglers, odd hardware."""

    env: dict[str, EnvironmentValue] = Field(
        default_factory=dict,
        description="Environment variables of this node, added to `ranks.env`; the same name "
        "here wins.",
        examples=[{"OMP_NUM_THREADS": "2"}],
    )
    env_file: tuple[EnvFile, ...] = Field(
        default=(),
        max_length=64,
        description="Files of variables of this node alone, as `ranks.env_file`; they win over "
        "`ranks.env`, and `env` here wins over them.",
        examples=[["node1.env"]],
    )
    resources: Resources | None = Field(
        default=None,
        description="Limits of this node; each field given here replaces that of "
        "`ranks.resources`, the others stay.",
        examples=[{"cpus": 0.5}],
    )
    mounts: tuple[Mount, ...] = Field(
        default=(),
        max_length=256,
        description="Files and folders that this node sees besides those of `ranks.mounts`; the "
        "same target here wins.",
        examples=[[{"source": "./shard-1", "target": "/data"}]],
    )


class Ranks(Section):
    """The gang: the nodes that form one process group."""

    nodes: int = Field(
        ge=1,
        le=MAX_NODES,
        description="Number of nodes; each is one container with its own hostname and address.",
        examples=[2, 16],
    )
    nproc_per_node: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Ranks in each node. Above 1, torchrun, which the image must have, starts them "
        "inside the node. The world size is `nodes` times this. A command that starts ranks by "
        "itself (torchrun, accelerate launch) wants 1 here.",
        examples=[1, 4],
    )
    command: tuple[Annotated[str, Field(max_length=131_071)], ...] = Field(
        min_length=1,
        max_length=4096,
        description="What every node runs, one argument an item; no shell is involved. "
        "MASTER_ADDR, MASTER_PORT, RANK, WORLD_SIZE and LOCAL_RANK are set for it.",
        examples=[["python", "-m", "trainer", "--max-steps", "20"]],
    )
    env: dict[str, EnvironmentValue] = Field(
        default_factory=dict,
        description="Environment variables of every node. Values are strings: quote numbers. "
        "What describes the process group (MASTER_ADDR, RANK, …) and ORCHESTRATE_* cannot be set "
        "by hand.",
        examples=[{"OMP_NUM_THREADS": "1"}],
    )
    env_file: tuple[EnvFile, ...] = Field(
        default=(),
        max_length=64,
        description=f"Files of environment variables, {_FORMAT}. Later files win over earlier "
        "ones, `env` over all of them. The values are shown nowhere, but `docker inspect` shows "
        "them: what must not be seen is a secret.",
        examples=[["common.env"]],
    )
    secrets: tuple[Secret, ...] = Field(
        default=(),
        max_length=64,
        description="Files that every node finds below ORCHESTRATE_SECRETS_DIR, which is "
        "/run/secrets in a container: in no argument, label, variable or log.",
        examples=[["hf_token", {"name": "wandb", "file": "./wandb.key"}]],
    )
    mounts: tuple[Mount, ...] = Field(
        default=(),
        max_length=256,
        description="Files and folders of this machine that every node sees.",
        examples=[[{"source": "./data", "target": "/data"}]],
    )
    resources: Resources = Field(
        default_factory=Resources,
        description="Limits of each node.",
        examples=[{"cpus": 1.0, "memory": "2GiB", "shm_size": "256MiB", "pids": 512}],
    )
    user: User | None = Field(
        default=None,
        description="Who runs the command inside the node: a uid, `uid:gid`, or a name that the "
        "image knows. Default: the image's own user; where a mount is writable, who runs apply, "
        "so that the files belong to them.",
        examples=[1000, "1000:1000", "trainer"],
    )
    per_node: dict[int, PerNode] = Field(
        default_factory=dict,
        description="Overrides for single nodes, by node rank (0 is the first).",
        examples=[{1: {"resources": {"cpus": 0.5}}}],
    )
