"""The health checks that a playbook may ask for; what each one proves is said here.

In YAML a check is a mapping of one key (`- joined: {within: 60s}`), or its name alone for the
defaults (`- joined`).
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Discriminator, Tag

from orchestrator.playbook.health.base import Check
from orchestrator.playbook.health.gang import Completed, Joined, Progress, Training
from orchestrator.playbook.health.nodes import ContainerHealth, Http, Mps, Tcp
from orchestrator.playbook.health.ranks import (
    MAX_MEASURED_STEPS,
    Consistent,
    Loss,
    ParametersInSync,
    Skew,
    Throughput,
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
    Http,
    Tcp,
    Mps,
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
    | Annotated[Http, Tag("http")]
    | Annotated[Tcp, Tag("tcp")]
    | Annotated[Mps, Tag("mps")]
    | Annotated[Completed, Tag("completed")],
    Discriminator(check_kind),
]

__all__ = [
    "CHECKS",
    "CHECK_KINDS",
    "MAX_MEASURED_STEPS",
    "Check",
    "Completed",
    "Consistent",
    "ContainerHealth",
    "HealthCheck",
    "Http",
    "Joined",
    "Loss",
    "Mps",
    "ParametersInSync",
    "Progress",
    "Skew",
    "Tcp",
    "Throughput",
    "Training",
    "check_kind",
]
