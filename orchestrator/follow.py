"""The second half of apply: follow the run, restart the gang where that is asked for, wind up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from orchestrator.archive import save_logs, save_sidecar_log
from orchestrator.engines.base import Query, RunsSidecars
from orchestrator.events import (
    AttemptJudged,
    FailureDiagnosed,
    GangRestarted,
    GangStopped,
    RestartDecided,
)
from orchestrator.executor import FAILED_GRACE_S, Execution, execute, stop_gang
from orchestrator.playbook.models import Restarts
from orchestrator.restarts import Allowance, Restart, next_restart, restart_plan
from orchestrator.state.desired import RunIdentity
from orchestrator.watch import Judgement, Watched, watch


class Course(Struct, frozen=True):
    """How a run is followed, and what is done when it fails.

    Attributes:
        watched: the run, its checks, and who is told.
        restarts: how often the gang is started again.
        on_failure: what becomes of the nodes that still run after the last failure.
        identity: makes the identity of a new attempt, given the restarts before it.
        pause: waits so many seconds.
    """

    watched: Watched
    restarts: Restarts
    on_failure: Literal["stop", "keep"]
    identity: Callable[[int], RunIdentity]
    pause: Callable[[float], None] = time.sleep


class Followed(Struct, frozen=True):
    """How the last attempt was judged, and the restarts that led to it."""

    judgement: Judgement
    restarts: tuple[Restart, ...]


def follow(course: Course) -> Followed:
    """Wait for the checks, of as many attempts as the playbook allows; only the last one counts.

    Raises:
        OrchestrateError: the engine refused something, a restart included.
    """
    engine, project = course.watched.engine, course.watched.desired.project
    nodes = engine.observe_nodes(project)
    done = max((node.restart_count for node in nodes), default=0)
    restarts: list[Restart] = []
    while True:
        judgement = watch(course.watched, nodes)
        course.watched.sink(judged(judgement))
        restart = next_restart(
            judgement.results,
            judgement.run,
            judgement.diagnosis,
            Allowance(course.restarts.max, done),
        )
        if restart is None:
            _wind_up(course, judgement)
            return Followed(judgement, tuple(restarts))
        _restart_gang(course, restart)
        restarts.append(restart)
        done, nodes = restart.number, engine.observe_nodes(project)


def judged(judgement: Judgement) -> AttemptJudged:
    """What is told of a judgement."""
    run = judgement.run
    return AttemptJudged(
        judgement.results,
        run.nodes,
        run.now_s,
        judgement.diagnosis,
        run.reference,
        run.facts.given_answers(),
        run.sidecar,
    )


def _restart_gang(course: Course, restart: Restart) -> None:
    """Start every node again. The logs of the attempt that failed stay in its own folder."""
    watched, delay_s = course.watched, course.restarts.delay_s
    watched.sink(RestartDecided(restart, delay_s))
    # First stopped, then waited: what is left of the gang must not use up the machine meanwhile.
    stop_gang(watched.engine, watched.desired.project, grace_s=FAILED_GRACE_S)
    if delay_s:
        course.pause(delay_s)
    began_s = time.monotonic()
    identity = course.identity(restart.number)
    observed = watched.engine.observe(Query(watched.desired.project))
    plan = restart_plan(watched.desired, observed, restart)
    execute(plan, Execution(watched.engine, identity, watched.sink, grace_s=FAILED_GRACE_S))
    watched.sink(GangRestarted(restart, identity.run_id, time.monotonic() - began_s))


def _wind_up(course: Course, judgement: Judgement) -> None:
    """Keep the logs of what has ended; where a check failed, stop the rest unless told to keep.

    The answer comes first: stopping takes a moment.
    """
    engine, project = course.watched.engine, course.watched.desired.project
    if judgement.diagnosis is not None:
        course.watched.sink(FailureDiagnosed(judgement.diagnosis))
    nodes = judgement.run.nodes
    if not judgement.holds and course.on_failure == "stop":
        began_s = time.monotonic()
        if stopped := stop_gang(engine, project, grace_s=FAILED_GRACE_S):
            names = tuple(node.name for node in stopped)
            course.watched.sink(GangStopped(names, time.monotonic() - began_s))
        nodes = engine.observe_nodes(project)
    save_logs(engine, [node for node in nodes if not node.is_active])
    if judgement.run.sidecar is not None and isinstance(engine, RunsSidecars):
        save_sidecar_log(engine, judgement.run.sidecar)
