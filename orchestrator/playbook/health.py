"""The health checks that a playbook may ask for; what each one proves is said here.

In YAML a check is a mapping of one key (`- joined: {within: 60s}`), or its name alone for the
defaults (`- joined`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from orchestrator.playbook.language import Duration, Section

MAX_MEASURED_STEPS = 256
"""Steps of a rank whose times are kept, the latest ones."""


class Check(Section):
    """One health check. `kind` is its key in YAML."""

    kind: ClassVar[str]

    @model_validator(mode="before")
    @classmethod
    def _unwrap(cls, value: object) -> object:
        if value == cls.kind:
            return {}
        if isinstance(value, dict) and list(value) == [cls.kind]:
            inner = value[cls.kind]
            return {} if inner is None else inner
        return value


class Joined(Check):
    """Every rank reported exactly once: one world size, one backend, a collective that adds up."""

    kind: ClassVar[str] = "joined"

    within_s: Duration = Field(
        default=60.0,
        gt=0,
        validation_alias="within",
        description="How long the ranks may take to form the process group, counted from the "
        "start of the last node.",
        examples=["60s", "2m"],
    )


class Training(Check):
    """Every rank has done this many optimizer steps."""

    kind: ClassVar[str] = "training"

    steps: int = Field(
        default=1,
        ge=1,
        le=1_000_000_000,
        description="Optimizer steps that every rank must have done.",
        examples=[1, 10],
    )
    within_s: Duration = Field(
        default=60.0,
        gt=0,
        validation_alias="within",
        description="How long those steps may take, counted from the moment the group joined.",
        examples=["60s", "5m"],
    )


class Progress(Check):
    """The job is not hung: no rank goes this long without an optimizer step."""

    kind: ClassVar[str] = "progress"

    every_s: Duration = Field(
        default=30.0,
        gt=0,
        validation_alias="every",
        description="The longest time between two optimizer steps of a rank; longer counts as "
        "hung.",
        examples=["30s", "5m"],
    )


class Loss(Check):
    """The loss that the ranks report is sane, falls, or is that of a run in a single process."""

    kind: ClassVar[str] = "loss"

    finite: bool = Field(
        default=True,
        description="Whether a loss that is NaN or infinite fails the run.",
        examples=[True],
    )
    decreases: bool = Field(
        default=False,
        description="Whether the loss must have fallen by the end of the run. Leave it false for "
        "runs of a few steps, where noise is larger than learning.",
        examples=[True],
    )
    below: float | None = Field(
        default=None,
        description="What the loss must be below at the end of the run, as the mean over its last "
        "five steps.",
        examples=[3.5],
    )
    matches: Literal["nothing", "single-process"] = Field(
        default="nothing",
        description="`single-process`: the same command is run once in one process, before the "
        "gang, and rank 0's loss must be equal to it step by step. The command must use the same "
        "seed and global batch in both. That run is kept until its spec or image changes.",
        examples=["single-process"],
    )
    tolerance: float = Field(
        default=1e-4,
        gt=0,
        le=1,
        description="How far two losses may be apart to count as equal: this, and as much of the "
        "loss itself again.",
        examples=[0.00001],
    )
    within_s: Duration = Field(
        default=600.0,
        gt=0,
        validation_alias="within",
        description="How long the run in a single process may take, counted from its start.",
        examples=["10m"],
    )


# Docker refuses less than a millisecond.
HealthSeconds = Annotated[Duration, Field(ge=0.001)]

VARIABLE_GLOB = r"^[A-Za-z_*?][A-Za-z0-9_*?]{0,254}$"

Warmup = Annotated[
    int,
    Field(
        ge=0,
        le=1_000_000_000,
        description="The first steps of every rank, which are not counted: they compile, allocate "
        "and fill caches.",
        examples=[5],
    ),
]

Measured = Annotated[
    int,
    Field(
        ge=1,
        le=MAX_MEASURED_STEPS,
        description="Steps that must be measured after those before it is judged. Of a longer run "
        f"the latest {MAX_MEASURED_STEPS} count.",
        examples=[20],
    ),
]

MeasuredWithin = Annotated[
    Duration,
    Field(
        gt=0,
        validation_alias="within",
        description="How long it may take until those steps are measured, counted from the moment "
        "the group joined.",
        examples=["5m"],
    ),
]


class Consistent(Check):
    """All ranks run the same: image, Python, torch, CUDA, NCCL and environment variables.

    Variables are compared by digests that the probe takes; their values stay in the nodes.
    """

    kind: ClassVar[str] = "consistent"

    except_names: tuple[Annotated[str, Field(pattern=VARIABLE_GLOB)], ...] = Field(
        default=(),
        max_length=256,
        validation_alias="except",
        description="Variables that may differ; `*` and `?` stand for any characters. Those that "
        "tell a rank its place (RANK, LOCAL_RANK, HOSTNAME, …) and those that `per_node` sets may "
        "differ anyway.",
        examples=[["SLURM_*", "MY_SHARD"]],
    )
    within_s: Duration = Field(
        default=60.0,
        gt=0,
        validation_alias="within",
        description="How long it may take until every rank has told its environment, counted from "
        "the start of the last node.",
        examples=["60s"],
    )


class ParametersInSync(Check):
    """All ranks hold the same parameters, as DDP promises; checksums are compared step by step.

    It is for replicated parameters: with FSDP every rank holds another part of them.
    """

    kind: ClassVar[str] = "parameters_in_sync"

    steps: int = Field(
        default=10,
        ge=1,
        le=1_000_000_000,
        description="Up to which optimizer step they must be compared at least, or to the end of "
        "a shorter run. Checksums are taken after steps 1, 2, 5, 10, 20, 50 and so on.",
        examples=[100],
    )
    within_s: Duration = Field(
        default=300.0,
        gt=0,
        validation_alias="within",
        description="How long it may take until they were compared up to there, counted from the "
        "moment the group joined.",
        examples=["60s", "5m"],
    )


class Throughput(Check):
    """The group is fast enough. At least one of the two rates must be given."""

    kind: ClassVar[str] = "throughput"

    steps_per_s: float | None = Field(
        default=None,
        gt=0,
        description="Optimizer steps a second that the group must make at least. One step of each "
        "rank is one step of the group; the slowest rank counts.",
        examples=[2.5],
    )
    tokens_per_s: float | None = Field(
        default=None,
        gt=0,
        description="Tokens a second that the group must get through at least, as the script "
        "says in `tokens_per_s` of its step records: of the whole group, averaged over steps.",
        examples=[5000],
    )
    warmup: Warmup = 2
    steps: Measured = 10
    within_s: MeasuredWithin = 300.0


class Skew(Check):
    """No rank holds up the others: the one that works longest in a step is named if it does."""

    kind: ClassVar[str] = "skew"

    ratio: float = Field(
        default=1.5,
        gt=1,
        description="How many times as long as without its slowest rank the steps of the group "
        "may take.",
        examples=[1.2],
    )
    warmup: Warmup = 2
    steps: Measured = 5
    within_s: MeasuredWithin = 300.0


class ContainerHealth(Check):
    """Every node is healthy by its health command, which Docker runs inside it now and then."""

    kind: ClassVar[str] = "container"

    command: str | None = Field(
        default=None,
        min_length=1,
        max_length=32_768,
        description="Shell command that is run inside each node; exit code 0 means healthy. Left "
        "out: the image's own HEALTHCHECK. The other keys but `within` are for this one.",
        examples=["test -e /tmp/ready"],
    )
    interval_s: HealthSeconds = Field(
        default=5.0,
        validation_alias="interval",
        description="How long to wait between two runs of the command.",
        examples=["5s"],
    )
    timeout_s: HealthSeconds = Field(
        default=5.0,
        validation_alias="timeout",
        description="How long the command may take; longer counts as failed.",
        examples=["2s"],
    )
    retries: int = Field(
        default=3,
        ge=1,
        le=1000,
        description="How many failures in a row make a node unhealthy.",
        examples=[5],
    )
    start_period_s: Duration = Field(
        default=0.0,
        ge=0,
        validation_alias="start_period",
        description="How long after its start a node's failures do not count.",
        examples=["20s"],
    )
    within_s: Duration = Field(
        default=60.0,
        gt=0,
        validation_alias="within",
        description="How long it may take until every node is healthy, counted from the start of "
        "the last one.",
        examples=["60s"],
    )


class Completed(Check):
    """Every node exited with 0. Leave it out for a long run: apply then returns earlier."""

    kind: ClassVar[str] = "completed"

    within_s: Duration = Field(
        default=300.0,
        gt=0,
        validation_alias="within",
        description="How long the whole job may take, counted from the start of the last node.",
        examples=["5m", "1h"],
    )


CHECKS: tuple[type[Check], ...] = (
    Joined,
    Consistent,
    Training,
    Progress,
    Loss,
    ParametersInSync,
    Throughput,
    Skew,
    ContainerHealth,
    Completed,
)
CHECK_KINDS: tuple[str, ...] = tuple(check.kind for check in CHECKS)


def check_kind(value: object) -> str | None:
    """Tell which check a value is; None where it is no check, or more than one.

    Args:
        value: a model, a name, or a mapping of one key, as pydantic found it.
    """
    if isinstance(value, Check):
        return value.kind
    if isinstance(value, dict) and len(value) == 1:
        value = next(iter(value))
    return value if isinstance(value, str) else None


HealthCheck = Annotated[
    Annotated[Joined, Tag("joined")]
    | Annotated[Consistent, Tag("consistent")]
    | Annotated[Training, Tag("training")]
    | Annotated[Progress, Tag("progress")]
    | Annotated[Loss, Tag("loss")]
    | Annotated[ParametersInSync, Tag("parameters_in_sync")]
    | Annotated[Throughput, Tag("throughput")]
    | Annotated[Skew, Tag("skew")]
    | Annotated[ContainerHealth, Tag("container")]
    | Annotated[Completed, Tag("completed")],
    Discriminator(check_kind),
]
