"""A gang of which one node dies is started again, whole, as a run of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.events import Event, GangRestarted
from orchestrator.follow import Course, follow
from orchestrator.playbook.models import Completed, Restarts
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import NodeStatus
from orchestrator.verify.checks import Status
from orchestrator.watch import Watched

from .stand import FOREVER, Stand

ONCE = 'echo attempt $TORCHELASTIC_RESTART_COUNT; [ "$TORCHELASTIC_RESTART_COUNT" = 1 ]'
FOREVER_ONCE = f"{ONCE} || {{ {FOREVER}; }}"


def course(stand: Stand, project: str, scripts: tuple[str, ...], limit: int) -> Course:
    desired = stand.gang(project, *scripts)
    stand.apply(desired, "run-0")
    runs = stand.folder / "runs" / project

    def identity(count: int) -> RunIdentity:
        run_id = f"run-{count}"
        return RunIdentity(project, run_id, str(runs / run_id), "x.yaml", "sha256:0", count)

    events: list[Event] = []
    watched = Watched(stand.engine, desired, (Completed(within_s=30.0),), events.append)
    return Course(watched, Restarts(max=limit), "stop", identity)


def kept(folder: Path) -> dict[str, str]:
    """`{path: first line}` of the logs; a shell may say that it was terminated."""
    logs = folder.glob("*/*.log")
    return {str(log.relative_to(folder)): log.read_text().splitlines()[0] for log in logs}


def test_the_second_attempt_is_a_new_run_of_new_nodes(stand: Stand) -> None:
    project = stand.project()
    job = course(stand, project, (FOREVER_ONCE, ONCE), limit=2)
    first = stand.engine.observe_nodes(project)

    followed = follow(job)

    assert followed.judgement.holds
    assert [(each.number, each.failed_run_id) for each in followed.restarts] == [(1, "run-0")]
    assert followed.restarts[0].cause.startswith(f"rank 1 ({first[1].name}) exited with code 1")
    nodes = stand.engine.observe_nodes(project)
    assert [(node.run_id, node.restart_count, node.exit_code) for node in nodes] == [
        ("run-1", 1, 0),
        ("run-1", 1, 0),
    ]
    assert not {node.id for node in nodes} & {node.id for node in first}
    assert stand.plan(job.watched.desired) == stand.kept(job.watched.desired, "finished")
    assert kept(stand.folder / "runs" / project) == {
        f"run-{attempt}/node-{rank}.log": f"attempt {attempt}"
        for attempt in (0, 1)
        for rank in (0, 1)
    }


@pytest.mark.parametrize("limit", [0, 1])
def test_attempts_end_when_they_are_used_up(stand: Stand, limit: int) -> None:
    job = course(stand, stand.project(), (FOREVER, "exit 3"), limit)
    told: list[Event] = []
    counted = Watched(stand.engine, job.watched.desired, job.watched.checks, told.append)

    followed = follow(Course(counted, job.restarts, "stop", job.identity))

    assert len(followed.restarts) == limit
    assert len([event for event in told if isinstance(event, GangRestarted)]) == limit
    assert followed.judgement.results[0].status is Status.FAILED
    nodes = stand.wait_for(job.watched.desired.project, NodeStatus.EXITED)
    assert [(node.exit_code, node.restart_count) for node in nodes] == [(143, limit), (3, limit)]
