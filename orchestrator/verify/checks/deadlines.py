"""When a check that is still open fails, for who waits. Pure."""

from __future__ import annotations

from orchestrator.playbook.health import (
    Check,
    Completed,
    Consistent,
    ContainerHealth,
    Http,
    Joined,
    ParametersInSync,
    Skew,
    Tcp,
    Throughput,
    Training,
)
from orchestrator.verify.checks.run import Run


def deadline_of(check: Check, run: Run) -> float | None:
    """The moment by which a check must hold, in seconds since the epoch.

    None for a check without a deadline, and as long as the one counts from a join that is
    still to come.
    """
    match check:
        case Joined() | Consistent() | ContainerHealth() | Http() | Tcp() | Completed():
            return run.started_at_s + check.within_s
        case Training() | ParametersInSync() | Throughput() | Skew():
            return None if run.joined_at_s is None else run.deadline_s(check.within_s)
        case _:
            return None
