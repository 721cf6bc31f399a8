"""What nodes use, as each engine counts it."""

from __future__ import annotations

from orchestrator.engines.base import UsageSource
from orchestrator.state.usage import Usage
from tests.waiting import wait_until

from .stand import FOREVER, DockerStand, Stand

BUSY = "sh -c 'while :; do :; done' & wait"


def test_a_node_that_works_is_told_from_one_that_waits_and_one_that_has_ended(
    stand: Stand,
) -> None:
    desired = stand.gang(stand.project(), BUSY, FOREVER, "true")
    nodes = stand.apply(desired)
    stand.wait_for_end(nodes[2])
    engine = stand.engine
    assert isinstance(engine, UsageSource)
    if isinstance(stand, DockerStand) and stand.is_by_command:
        assert engine.usage(nodes) == ()
        return
    found: dict[int, Usage] = {}

    def worked() -> bool:
        found.update({usage.node_rank: usage for usage in engine.usage(nodes)})
        return found[0].cpu_s > 0.5

    wait_until(worked)
    assert set(found) == {0, 1}
    assert found[0].at_s == found[1].at_s or isinstance(stand, DockerStand)
    assert found[1].cpu_s < 0.5
    assert all(10_000 < usage.memory_bytes < 2**30 for usage in found.values())
    has_network = isinstance(stand, DockerStand)
    assert [usage.sent_bytes is not None for usage in found.values()] == [has_network] * 2
