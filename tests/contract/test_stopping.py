"""Every node ends when it is told to, and all of them at once."""

from __future__ import annotations

import time

from orchestrator.state.observed import NodeStatus

from .stand import FOREVER, STUBBORN, Stand


def test_nodes_that_ignore_sigterm_share_one_grace(stand: Stand) -> None:
    desired = stand.gang(stand.project(), *[STUBBORN] * 6)
    nodes = stand.apply(desired)
    # Only once it has said so does a node ignore the signal.
    stand.wait_for_log(nodes, b"deaf")
    began_s = time.monotonic()

    stand.engine.stop_nodes(nodes, grace_s=2.0)

    took_s = time.monotonic() - began_s
    ended = stand.engine.observe_nodes(desired.project)
    assert [(node.status, node.exit_code) for node in ended] == [(NodeStatus.EXITED, 137)] * 6
    assert 2.0 <= took_s < 11.0  # six graces would be twelve seconds


def test_a_node_that_listens_ends_by_itself_and_early(stand: Stand) -> None:
    desired = stand.gang(stand.project(), f"echo ready; {FOREVER}", "sleep 1000")
    nodes = stand.apply(desired)
    stand.wait_for_log(nodes[:1], b"ready")
    began_s = time.monotonic()

    stand.engine.stop_nodes(nodes, grace_s=20.0)

    took_s = time.monotonic() - began_s
    ended = stand.engine.observe_nodes(desired.project)
    assert [(node.status, node.exit_code) for node in ended] == [(NodeStatus.EXITED, 143)] * 2
    assert took_s < 10.0


def test_a_paused_node_is_seen_and_can_be_stopped(stand: Stand) -> None:
    desired = stand.gang(stand.project(), FOREVER)
    (node,) = stand.apply(desired)
    stand.pause(node)
    (paused,) = stand.wait_for(desired.project, NodeStatus.PAUSED)

    assert [str(each) for each in stand.plan(desired).actions] == [
        f"~ change node {node.name}  (status: paused -> running)"
    ]
    stand.engine.stop_nodes([paused], grace_s=5.0)

    (ended,) = stand.engine.observe_nodes(desired.project)
    assert (ended.status, ended.exit_code) == (NodeStatus.EXITED, 143)


def test_stopping_what_has_ended_changes_nothing(stand: Stand) -> None:
    desired = stand.gang(stand.project(), "exit 5")
    stand.apply(desired)
    ended = stand.wait_for(desired.project, NodeStatus.EXITED)

    stand.engine.stop_nodes(ended, grace_s=1.0)

    assert stand.engine.observe_nodes(desired.project) == ended


def test_clearing_what_is_not_there_is_no_error_and_takes_no_node(stand: Stand) -> None:
    project = stand.project()
    stand.engine.clear(project)
    nodes = stand.apply(stand.gang(project, FOREVER))
    stand.engine.clear(project)
    assert [node.id for node in stand.engine.observe_nodes(project)] == [nodes[0].id]
