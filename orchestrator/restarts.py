"""Which failures start the gang again, why, and by which plan. Pure.

A surviving rank cannot be joined to a new process group, so a restart replaces the gang
whole, as a run of its own: a record of an earlier attempt bears another id and cannot
prove anything of this one.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from orchestrator.plans.drift import Drift
from orchestrator.plans.plan import Plan, RemoveNode, StartNode
from orchestrator.plans.sidecars import replace_sidecar
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import COMMAND_CODES, ObservedState
from orchestrator.verify.checks import Run
from orchestrator.verify.checks.beside import loss_of_sidecar
from orchestrator.verify.diagnose import Diagnosis
from orchestrator.verify.results import CheckResult, Status

WORTH_A_RESTART = frozenset({"alive", "progress"})
"""What torchrun restarts too: a process that ended, and one that hangs. A loss that is not
finite or a join that does not add up would only come again."""


class Restart(Struct, frozen=True):
    """One restart: the attempt that failed, and why.

    `number` counts from 1, up to `limit`.
    """

    number: int
    limit: int
    cause: str
    failed_run_id: str


class Allowance(Struct, frozen=True):
    """How many restarts the playbook allows, and how many there were."""

    limit: int
    done: int


def next_restart(
    results: Sequence[CheckResult], run: Run, diagnosis: Diagnosis | None, allowed: Allowance
) -> Restart | None:
    """The restart that these results ask for; None where they ask for none, or none is left.

    Args:
        results: the checks of the attempt, judged.
        run: what they were judged on.
        diagnosis: why it failed, if it did.
        allowed: restarts that may be, and that were.
    """
    if diagnosis is None or not _is_worth_one(results, run) or allowed.done >= allowed.limit:
        return None
    return Restart(allowed.done + 1, allowed.limit, diagnosis.brief, run.nodes[0].run_id)


def _is_worth_one(results: Sequence[CheckResult], run: Run) -> bool:
    """True for a failure that may not come again."""
    failed = {each.name for each in results if each.status is Status.FAILED}
    no_command = any(node.exit_code in COMMAND_CODES for node in run.nodes)
    # Without any node, somebody has taken the run away: that is no failure of it.
    may_help = bool(failed & WORTH_A_RESTART) or loss_of_sidecar(run) is not None
    return may_help and not no_command and bool(run.nodes)


def restart_plan(desired: DesiredState, observed: ObservedState, restart: Restart) -> Plan:
    """Remove what is left of the gang and start it whole; image and network stay.

    A sidecar goes with its gang: it may be what failed, and its successor owes nothing to it.
    """
    cause = f"restart {restart.number} of {restart.limit}: {restart.cause}"
    modes = dict(observed.compute_modes)
    beside = replace_sidecar(desired.sidecar, observed.sidecars, modes, Drift(cause))
    return Plan(
        project=desired.project,
        remove_nodes=tuple(RemoveNode(node, cause) for node in observed.nodes),
        restore_modes=beside.restore_modes,
        remove_sidecars=beside.remove,
        start_sidecar=beside.start,
        set_modes=beside.set_modes,
        start_nodes=tuple(StartNode(node, cause) for node in desired.nodes),
    )
