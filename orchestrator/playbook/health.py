"""The health checks that a playbook may ask for; what each one proves is said here.

In YAML a check is a mapping of one key (`- joined: {within: 60s}`), or its name alone for the
defaults (`- joined`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Discriminator, Field, Tag, model_validator

from orchestrator.playbook.language import Duration, Section


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
    """The loss that the ranks report is sane."""

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


CHECKS: tuple[type[Check], ...] = (Joined, Training, Progress, Loss, Completed)
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
    | Annotated[Training, Tag("training")]
    | Annotated[Progress, Tag("progress")]
    | Annotated[Loss, Tag("loss")]
    | Annotated[Completed, Tag("completed")],
    Discriminator(check_kind),
]
