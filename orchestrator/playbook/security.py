"""The `security` section: how far nodes are locked in."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from orchestrator.playbook.language import Section, Size

MIN_TMP_BYTES = 1024**2

TMP = "/tmp"  # noqa: S108  (a path in a node, where it is the node's alone)


class Security(Section):
    """How far nodes are locked in. docs/security.md says what each profile keeps a node from."""

    profile: Literal["default", "strict"] = Field(
        default="default",
        description="`default`: all capabilities dropped, no new privileges, limits, no way out "
        "of the network; an unmodified training script still works. `strict`: also a read-only "
        "root, a sized /tmp in memory that holds all caches, a numeric user that is not root, and "
        "a pinned image. The embedded engine has no `strict`.",
        examples=["strict"],
    )
    tmp_bytes: Size | None = Field(
        default=None,
        ge=MIN_TMP_BYTES,
        validation_alias="tmp_size",
        description="Size of /tmp in a node under `strict`; what is written there counts as the "
        "node's memory. Left out it is 1GiB.",
        examples=["4GiB"],
    )
