"""Checks that compare ranks with each other, with a bound, or with a single process."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from orchestrator.playbook.health.base import Check
from orchestrator.playbook.language import Duration

MAX_MEASURED_STEPS = 256
"""Steps of a rank whose times are kept, the latest ones."""

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
