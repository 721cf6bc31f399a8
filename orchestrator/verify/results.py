"""What became of the checks, as values. Pure.

Free of the playbook's models, so that status and destroy do not pay for pydantic.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What became of a check, in Ansible's words where they fit."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class Finding:
    """One rank, or one node where `rank` is None, for which a check does not hold."""

    node_rank: int
    rank: int | None
    expected: str
    found: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check, its status, and in one line why."""

    name: str
    status: Status
    why: str = ""
    findings: tuple[Finding, ...] = ()
