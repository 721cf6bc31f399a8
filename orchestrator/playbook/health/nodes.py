"""Checks of each node: its health command, and what it answers at its ports."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from orchestrator.playbook.health.base import Check
from orchestrator.playbook.language import Duration
from orchestrator.playbook.ranks import MAX_NODES

Port = Annotated[int, Field(ge=1, le=65535)]

AskedNode = Annotated[
    int | None,
    Field(
        ge=0,
        le=MAX_NODES - 1,
        description="Only this node, by its rank. Left out: every node.",
        examples=[0],
    ),
]

AnsweredWithin = Annotated[
    Duration,
    Field(
        gt=0,
        validation_alias="within",
        description="How long it may take until every node that is asked has answered so, counted "
        "from the start of the last node.",
        examples=["60s", "5m"],
    ),
]

# Docker refuses less than a millisecond.
HealthSeconds = Annotated[Duration, Field(ge=0.001)]


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


class Mps(Check):
    """The MPS daemon runs and answers, and each rank was its client; asked for in mode `mps`.

    There it is judged even where a playbook does not name it.
    """

    kind: ClassVar[str] = "mps"

    within_s: Duration = Field(
        default=120.0,
        gt=0,
        validation_alias="within",
        description="How long it may take until as many clients as there are ranks were seen at "
        "once, counted from the start of the last node. A rank is one as soon as it uses CUDA.",
        examples=["2m"],
    )


class Http(Check):
    """Nodes answer a GET with the right status; asked from this machine, without TLS."""

    kind: ClassVar[str] = "http"

    port: Port = Field(
        description="The port inside the node; it need not be published.", examples=[8000]
    )
    path: str = Field(
        default="/",
        pattern=r"^/[!-~]*$",
        max_length=2048,
        description="What is asked for, with its query if it has one.",
        examples=["/health"],
    )
    status: int = Field(
        default=200,
        ge=100,
        le=599,
        description="The status of the response. A redirect is not followed.",
        examples=[200, 204],
    )
    node: AskedNode = None
    within_s: AnsweredWithin = 60.0


class Tcp(Check):
    """Nodes take connections at a port; asked from this machine."""

    kind: ClassVar[str] = "tcp"

    port: Port = Field(
        description="The port inside the node; it need not be published.", examples=[8000]
    )
    node: AskedNode = None
    within_s: AnsweredWithin = 60.0
