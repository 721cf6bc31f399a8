"""What became of the checks, as values. Pure.

Free of the playbook's models, so that status and destroy do not pay for pydantic.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Status(StrEnum):
    """What became of a check, in Ansible's words where they fit."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    PENDING = "pending"


class Finding(Struct, frozen=True):
    """One rank, or one node where `rank` is None, for which a check does not hold."""

    node_rank: int
    rank: int | None
    expected: str
    found: str


class CheckResult(Struct, frozen=True):
    """One check, its status, and in one line why."""

    name: str
    status: Status
    why: str = ""
    findings: tuple[Finding, ...] = ()
