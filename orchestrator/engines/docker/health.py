"""Health commands as `docker inspect` tells of them: what is run, and what came of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from orchestrator.identity import ENV_RUN_ID
from orchestrator.state.observed import NodeHealth
from orchestrator.state.spec import HealthCommand

ASIDE = f"unset {ENV_RUN_ID}; "
"""Begins a health command: without it, the probe would report what the command does."""

MAX_OUTPUT = 200

_USUAL = HealthCommand("", interval_s=30.0, timeout_s=30.0, retries=3)
"""What Docker fills in."""


def health_command(config: Mapping[str, Any]) -> HealthCommand | None:
    """The health command of a container or an image; None where there is none."""
    found = config.get("Healthcheck") or {}
    test = found.get("Test") or []
    if test[:1] not in (["CMD-SHELL"], ["CMD"]):  # NONE: one of the image that was put out
        return None
    command = " ".join(test[1:])
    return HealthCommand(
        command.removeprefix(ASIDE) if test[0] == "CMD-SHELL" else command,
        interval_s=_seconds(found, "Interval") or _USUAL.interval_s,
        timeout_s=_seconds(found, "Timeout") or _USUAL.timeout_s,
        retries=found.get("Retries") or _USUAL.retries,
        start_period_s=_seconds(found, "StartPeriod"),
    )


def _seconds(found: Mapping[str, Any], key: str) -> float:
    return (found.get(key) or 0) / 1e9


def node_health(state: Mapping[str, Any]) -> NodeHealth | None:
    """What came of a container's health command; Docker remembers the last five times."""
    health = state.get("Health")
    if not health or health.get("Status") in {None, "", "none"}:
        return None
    log = health.get("Log") or []
    return NodeHealth(
        str(health["Status"]),
        has_passed=any(each.get("ExitCode") == 0 for each in log),
        exit_code=log[-1].get("ExitCode") if log else None,
        output=_first_line(log[-1].get("Output") or "") if log else "",
    )


def _first_line(output: str) -> str:
    return next((line.strip() for line in output.splitlines() if line.strip()), "")[:MAX_OUTPUT]
