"""Checks of the gang as a whole: it joined, it moves, it ends."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from orchestrator.playbook.health.base import Check
from orchestrator.playbook.language import Duration


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
