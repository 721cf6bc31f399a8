"""Results as tests expect them."""

from __future__ import annotations

from orchestrator.verify.checks import CheckResult, Finding, Status


def ok(name: str, why: str) -> CheckResult:
    return CheckResult(name, Status.OK, why)


def pending(name: str, why: str) -> CheckResult:
    return CheckResult(name, Status.PENDING, why)


def failed(name: str, why: str, *findings: Finding) -> CheckResult:
    return CheckResult(name, Status.FAILED, why, findings)


def skipped(name: str, why: str) -> CheckResult:
    return CheckResult(name, Status.SKIPPED, why)
