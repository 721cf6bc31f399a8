"""The declared health checks, each a pure function of what is known of the run.

A check that does not hold says for each rank what was expected and what came. `PENDING`
is for now only: when the run is over, or its deadline has passed, nothing is pending.
"""

from orchestrator.verify.checks.alive import check_alive
from orchestrator.verify.checks.completed import check_completed
from orchestrator.verify.checks.consistent import check_consistent
from orchestrator.verify.checks.container import check_container
from orchestrator.verify.checks.daemon import check_mps
from orchestrator.verify.checks.evaluation import JUDGES, evaluate
from orchestrator.verify.checks.joined import check_joined
from orchestrator.verify.checks.loss import check_loss
from orchestrator.verify.checks.parameters import check_parameters_in_sync
from orchestrator.verify.checks.ports import check_port
from orchestrator.verify.checks.run import Run
from orchestrator.verify.checks.speed import check_skew, check_throughput
from orchestrator.verify.checks.steps import check_progress, check_training
from orchestrator.verify.results import CheckResult, Finding, Status

__all__ = [
    "JUDGES",
    "CheckResult",
    "Finding",
    "Run",
    "Status",
    "check_alive",
    "check_completed",
    "check_consistent",
    "check_container",
    "check_joined",
    "check_loss",
    "check_mps",
    "check_parameters_in_sync",
    "check_port",
    "check_progress",
    "check_skew",
    "check_throughput",
    "check_training",
    "evaluate",
]
