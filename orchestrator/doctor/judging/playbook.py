"""What planning says of a playbook here: it has the last word on what cannot be done. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor.facts import Facts, Unknown
from orchestrator.doctor.finding import Finding, Status, ok


def judge_playbook(facts: Facts) -> Iterator[Finding]:
    """What apply would do, or why it would refuse to; nothing without a playbook."""
    plan = facts.plan
    if plan is None:
        return
    if isinstance(plan, Unknown):
        yield Finding("plan", Status.PROBLEM, plan.why, "apply ends with it", plan.fix, plan.code)
    else:
        yield ok("plan", plan)
