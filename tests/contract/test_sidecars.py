"""A container beside the nodes, on every engine that keeps one."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.engines.base import Engine, Query, RunsSidecars
from orchestrator.errors import SidecarNotStarted
from orchestrator.loglines import LogLine
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeStatus, ObservedState, ProjectSummary
from orchestrator.state.spec import (
    NO_NETWORK,
    SHAREABLE,
    Confinement,
    HealthCommand,
    Limits,
    SidecarSpec,
)
from tests.waiting import wait_until

from .stand import FOREVER, LocalStand, Stand, read_log

READY = "mkdir /dev/shm/place && echo hello > /dev/shm/place/said"


def beside(stand: Stand, script: str, *nodes: str) -> DesiredState:
    """Nodes that run the scripts, and a sidecar whose IPC namespace they join."""
    desired = stand.gang(stand.project(), *nodes)
    sidecar = SidecarSpec(
        role="mps",
        name=f"{desired.project}-mps",
        command=("sh", "-c", script),
        image=desired.nodes[0].image,
        env=(("GREETING", "a = b"),),
        limits=Limits(shm_bytes=2**21, pids=64),
        network=NO_NETWORK,
        confinement=Confinement(),
        health=HealthCommand("cat /dev/shm/place/said", interval_s=0.2, timeout_s=30.0),
        ipc=SHAREABLE,
    )
    joined = (
        replace(node, ipc=sidecar.name, limits=replace(node.limits, shm_bytes=None))
        for node in desired.nodes
    )
    return replace(desired, nodes=tuple(joined), sidecar=sidecar)


def runs_sidecars(engine: Engine) -> RunsSidecars:
    assert isinstance(engine, RunsSidecars)
    return engine


def test_it_is_ready_before_the_nodes_and_gone_after_them(stand: Stand) -> None:
    if isinstance(stand, LocalStand):
        assert not isinstance(stand.engine, RunsSidecars)
        return
    engine = runs_sidecars(stand.engine)
    look = "cat /dev/shm/place/said; df -P /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
    desired = beside(stand, f"{READY}; {FOREVER}", f"{look}; {FOREVER}", FOREVER)
    nodes = stand.apply(desired)

    (sidecar,) = engine.observe_sidecars(desired.project)
    assert (sidecar.name, sidecar.status, sidecar.run_id, sidecar.spec.network) == (
        f"{desired.project}-mps",
        NodeStatus.RUNNING,
        "r1",
        NO_NETWORK,
    )
    assert sidecar.health is not None
    assert (sidecar.health.has_passed, sidecar.health.output) == (True, "hello")
    assert stand.engine.observe_nodes(desired.project) == nodes
    assert [node.spec.ipc for node in nodes] == [sidecar.name] * 2
    assert stand.plan(desired).is_empty
    stand.wait_for(desired.project, NodeStatus.RUNNING)
    wait_for_lines(stand, desired.project, [b"hello", b"2048"])
    summary = ProjectSummary(desired.project, "x.yaml", tuple(node.name for node in nodes))
    assert summary in stand.engine.projects()

    stand.engine.remove_nodes(nodes)
    assert replace(summary, node_names=()) in stand.engine.projects()
    stand.destroy(desired.project)
    assert stand.engine.observe(Query(desired.project)) == ObservedState(desired.project)
    engine.remove_sidecars([sidecar])


def wait_for_lines(stand: Stand, project: str, lines: list[bytes]) -> None:
    (first, _) = stand.engine.observe_nodes(project)
    wait_until(
        lambda: (
            [each.text for each in read_log(stand.engine, [first]) if isinstance(each, LogLine)]
            == lines
        )
    )


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo no such device; exit 3", "exited with code 3: no such device"),
        ("exec no-such-program", "exited with code 127: its command does not exist"),
    ],
)
def test_one_that_ends_as_it_starts_is_told(stand: Stand, script: str, why: str) -> None:
    if isinstance(stand, LocalStand):
        return
    desired = beside(stand, script, FOREVER)
    with pytest.raises(SidecarNotStarted) as caught:
        stand.apply(desired)
    assert caught.value.what.startswith(f"the mps daemon {desired.project}-mps {why}")
    assert stand.engine.observe_nodes(desired.project) == ()
