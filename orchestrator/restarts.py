"""Which failures start the gang again, why, and by which plan. Pure.

A surviving rank cannot be joined to a new process group, so a restart replaces the gang
whole, as a run of its own: a record of an earlier attempt bears another id and cannot
prove anything of this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.plans.plan import Plan, RemoveNode, StartNode
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import COMMAND_CODES, ObservedNode
from orchestrator.verify.checks import Run
from orchestrator.verify.outcome import failures
from orchestrator.verify.results import CheckResult, Status

WORTH_A_RESTART = frozenset({"alive", "progress"})
"""What torchrun restarts too: a process that ended, and one that hangs. A loss that is not
finite or a join that does not add up would only come again."""


@dataclass(frozen=True, slots=True)
class Restart:
    """One restart: the attempt that failed, and why.

    `number` counts from 1, up to `limit`.
    """

    number: int
    limit: int
    cause: str
    failed_run_id: str


def next_restart(
    results: Sequence[CheckResult], run: Run, *, limit: int, done: int
) -> Restart | None:
    """The restart that these results ask for; None where they ask for none, or none is left.

    Args:
        results: the checks of the attempt, judged.
        run: what they were judged on.
        limit: how many restarts the playbook allows.
        done: how many there were.
    """
    cause = _cause(results, run)
    if not cause or done >= limit:
        return None
    return Restart(done + 1, limit, cause, run.nodes[0].run_id)


def first_cause(results: Sequence[CheckResult], run: Run) -> str:
    """What failed first, in a line; empty when nothing did.

    Of several nodes that died, the one that pulled the others down.
    """
    failed = next((each for each in results if each.status is Status.FAILED), None)
    if failed is None:
        return ""
    if failed.name == "alive" and (dead := failures(run.nodes, run.facts)):
        return str(dead[0])
    if not failed.findings:
        return f"{failed.name}: {failed.why}"
    first = failed.findings[0]
    who = f"node {first.node_rank}" if first.rank is None else f"rank {first.rank}"
    return f"{failed.name}: {failed.why} ({who}: {first.found})"


def _cause(results: Sequence[CheckResult], run: Run) -> str:
    """The cause of a failure that may not come again; empty for all others."""
    failed = {each.name for each in results if each.status is Status.FAILED}
    no_command = any(node.exit_code in COMMAND_CODES for node in run.nodes)
    # Without any node, somebody has taken the run away: that is no failure of it.
    if not failed & WORTH_A_RESTART or no_command or not run.nodes:
        return ""
    return first_cause([each for each in results if each.name in WORTH_A_RESTART], run)


def restart_plan(desired: DesiredState, nodes: Sequence[ObservedNode], restart: Restart) -> Plan:
    """Remove what is left of the gang and start it whole; image and network stay."""
    cause = f"restart {restart.number} of {restart.limit}: {restart.cause}"
    return Plan(
        project=desired.project,
        remove_nodes=tuple(RemoveNode(node, cause) for node in nodes),
        start_nodes=tuple(StartNode(node, cause) for node in desired.nodes),
    )
