"""The run in a single process that losses are held against, on real engines."""

from __future__ import annotations

import json

from orchestrator.errors import ExitCode
from tests.e2e.conftest import Desk

# What a trainer would report: the same losses in any world, but for SPOILT.
TRAIN = (
    'say() { echo "{\\"event\\": \\"step\\", \\"rank\\": $RANK, \\"run_id\\": '
    '\\"$ORCHESTRATE_RUN_ID\\", \\"step\\": $1, \\"loss\\": $2}"; }; '
    'say 1 3.5; if [ "$SPOILT" = $WORLD_SIZE ]; then say 2 2.75; else say 2 2.5; fi'
)
CHECKS = "health_checks: [{loss: {matches: single-process}}, {completed: {within: 2m}}]"


def projects(desk: Desk) -> list[str]:
    """The desk's projects that are there."""
    ran = desk.run("status", "--engine", desk.engine, "--json")
    names = [each["name"] for each in json.loads(ran.out)["projects"]]
    return sorted(name for name in names if name.startswith(desk.project))


def train(desk: Desk, spoilt: int) -> None:
    ranks = desk.ranks(TRAIN, f", env: {{SPOILT: '{spoilt}'}}")
    desk.write(TRAIN, ranks=ranks, health_checks=CHECKS)


def test_it_is_made_kept_compared_with_and_taken_away(desk: Desk) -> None:
    train(desk, spoilt=0)
    ran = desk.apply()
    alone = f"run in a single process, for comparison: {desk.project}-reference"
    assert ran.code == ExitCode.CONVERGED, ran.out + ran.err
    assert ran.line(f"changed: {alone}")
    assert "ok:      check loss: as in a single process at 2 steps, to 0" in ran.out
    assert projects(desk) == [desk.project, f"{desk.project}-reference"]

    again = desk.apply()
    assert (again.code, alone in again.out) == (ExitCode.CONVERGED, False)
    assert "changed=0" in again.line("RECAP")

    train(desk, spoilt=2)
    spoilt = desk.apply()
    assert (spoilt.code, spoilt.out.count(alone)) == (ExitCode.NOT_CONVERGED, 2)
    told = spoilt.line("failed:  check loss")
    assert told.endswith("the loss is not that of a single process, from step 2 on")
    assert spoilt.line("    rank 0: expected 2.5 at step 2").endswith("found 2.75")

    assert desk.destroy().code == ExitCode.CONVERGED
    assert projects(desk) == []
