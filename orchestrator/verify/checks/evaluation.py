"""All declared checks of a moment, in their order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from orchestrator.playbook.health import (
    Check,
    Completed,
    Consistent,
    ContainerHealth,
    Http,
    Joined,
    Loss,
    Mps,
    ParametersInSync,
    Progress,
    Skew,
    Tcp,
    Throughput,
    Training,
)
from orchestrator.verify.checks.alive import check_alive
from orchestrator.verify.checks.completed import check_completed
from orchestrator.verify.checks.consistent import check_consistent
from orchestrator.verify.checks.container import check_container
from orchestrator.verify.checks.daemon import check_mps
from orchestrator.verify.checks.joined import check_joined
from orchestrator.verify.checks.loss import check_loss
from orchestrator.verify.checks.parameters import check_parameters_in_sync
from orchestrator.verify.checks.ports import check_port
from orchestrator.verify.checks.run import Run
from orchestrator.verify.checks.speed import check_skew, check_throughput
from orchestrator.verify.checks.steps import check_progress, check_training
from orchestrator.verify.results import CheckResult, Status

Judge = Callable[..., CheckResult]
"""Takes a check of its own kind and a run."""

JUDGES: Mapping[type[Check], Judge] = {
    Joined: check_joined,
    Consistent: check_consistent,
    Training: check_training,
    Progress: check_progress,
    Loss: check_loss,
    ParametersInSync: check_parameters_in_sync,
    Throughput: check_throughput,
    Skew: check_skew,
    ContainerHealth: check_container,
    Http: check_port,
    Tcp: check_port,
    Mps: check_mps,
    Completed: check_completed,
}

RESTS_ON_THE_JOIN = (Training, Progress, Loss, ParametersInSync, Throughput, Skew)
"""What says nothing of a run whose group never formed."""

RESTS_ON_THE_PROBE = (Consistent, ParametersInSync, Skew)
"""What no script says by itself."""


def evaluate(checks: Sequence[Check], run: Run) -> tuple[CheckResult, ...]:
    """Judge every declared check, in its order, and before them that no node died."""
    join = next((check_joined(each, run) for each in checks if isinstance(each, Joined)), None)
    has_failed = join is not None and join.status is Status.FAILED
    judged = (
        join if join and isinstance(check, Joined) else _judge(check, run, has_failed)
        for check in checks
    )
    return (check_alive(run), *judged)


def _judge(check: Check, run: Run, join_has_failed: bool) -> CheckResult:
    """A check that rests on what is not there is skipped."""
    if join_has_failed and isinstance(check, RESTS_ON_THE_JOIN):
        return CheckResult(check.kind, Status.SKIPPED, "the group did not join")
    if isinstance(check, RESTS_ON_THE_PROBE) and not run.facts.desired.nodes[0].probe:
        return CheckResult(check.kind, Status.SKIPPED, "the nodes are without the probe")
    return JUDGES[type(check)](check, run)
