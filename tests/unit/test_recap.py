"""The last line of an apply."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from orchestrator.display.recap import Recap, gang, object_of, recap
from orchestrator.plans.plan import Action, Plan
from orchestrator.plans.planner import make_plan
from orchestrator.verify.results import CheckResult, Status
from tests.unit.fakes import World, desired_state, node_spec

RESULTS = tuple(CheckResult(status.value, status) for status in Status)


def fresh() -> Plan:
    """Pull, create network, start two nodes."""
    desired = desired_state()
    return make_plan(desired, World().observe(desired))


def replacing() -> Plan:
    """Remove and start two nodes; image and network stay."""
    desired = desired_state()
    world = World()
    world.carry_out(make_plan(desired, world.observe(desired)))
    world.end(1, 1)
    return make_plan(desired, world.observe(desired))


def test_a_recap_reads_as_ansible_writes_it() -> None:
    assert str(Recap(ok=3, changed=5)) == "ok=3 changed=5 failed=0 skipped=0"


def test_nothing_to_do() -> None:
    desired = desired_state()
    world = World()
    world.carry_out(make_plan(desired, world.observe(desired)))
    assert recap(make_plan(desired, world.observe(desired))) == Recap(ok=4)


def test_all_done() -> None:
    plan = fresh()
    assert recap(plan, done=plan.actions) == Recap(changed=4)


def test_removing_and_starting_a_node_is_one_change() -> None:
    plan = replacing()
    assert recap(plan, done=plan.actions) == Recap(ok=2, changed=2)


def test_a_node_that_was_removed_and_did_not_start_has_failed() -> None:
    plan = replacing()
    first, second = plan.start_nodes
    done = (*plan.remove_nodes, first)
    assert recap(plan, done=done, failed=[second]) == Recap(ok=2, changed=1, failed=1)


def test_what_was_not_tried_is_skipped() -> None:
    plan = fresh()
    image, network, *_ = plan.actions
    assert recap(plan, done=[image], failed=[network]) == Recap(changed=1, failed=1, skipped=2)


def test_checks_are_counted_by_their_status() -> None:
    counts = recap(Plan("pair"), RESULTS)
    assert counts == Recap(ok=1, failed=1, skipped=1)


def test_every_action_names_its_object() -> None:
    actions: list[Action] = [*fresh().actions, *replacing().actions]
    world = World()
    world.add_network("old")
    desired = replace(desired_state(), network=None, nodes=(replace(node_spec(), network=None),))
    actions += make_plan(desired, world.observe(desired)).remove_networks
    assert [object_of(action) for action in actions] == [
        "image app:1",
        "network pair-net",
        "node pair-node-0",
        "node pair-node-1",
        "node pair-node-0",
        "node pair-node-1",
        "node pair-node-0",
        "node pair-node-1",
        "network old",
    ]


def test_anything_else_is_no_action() -> None:
    with pytest.raises(AssertionError, match="no such action: 7"):
        object_of(7)


def test_a_gang_in_a_title() -> None:
    assert [gang("pair", "docker", number) for number in (1, 2)] == [
        *("pair on docker, 1 node", "pair on docker, 2 nodes"),
    ]
