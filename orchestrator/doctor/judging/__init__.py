"""Facts and needs in, findings out. Pure: each judgement is made in one place, here."""

from __future__ import annotations

from orchestrator.doctor.facts import Facts
from orchestrator.doctor.finding import Finding
from orchestrator.doctor.judging.engine import judge_docker
from orchestrator.doctor.judging.gpus import judge_gpus
from orchestrator.doctor.judging.machine import judge_machine
from orchestrator.doctor.judging.playbook import judge_playbook
from orchestrator.doctor.judging.room import judge_room
from orchestrator.doctor.needs import Needs


def judge(facts: Facts, needs: Needs | None) -> tuple[Finding, ...]:
    """Say what of a machine is as a playbook needs it, and what is not.

    Args:
        facts: what was found out.
        needs: what the playbook asks for; None: the general part alone.
    """
    return (
        *judge_docker(facts, needs),
        *judge_room(facts, needs),
        *judge_gpus(facts, needs),
        *judge_machine(facts, needs),
        *judge_playbook(facts),
    )
