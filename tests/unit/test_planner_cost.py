"""What planning costs grows with the number of nodes, and each node is opened a few times."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from msgspec.structs import replace

from benchmarks.planning import ALL_REPLACED, NOTHING_TO_DO, planning_samples
from orchestrator.plans import difference
from orchestrator.plans.document import plan_document, plan_text
from orchestrator.plans.planner import make_plan
from orchestrator.state import spec as specs
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedState
from orchestrator.state.spec import NodeSpec
from tests.reliability.record import RecordCase
from tests.unit.fakes import IN_PLACE, World, desired_state, on_every_node

NUM_NODES, LONGEST_S = 10_000, 2.0
MOST_PER_NODE = 4
"""The found spec and the wanted one, for the fields; the wanted one once more for its hash."""


def applied(desired: DesiredState) -> ObservedState:
    world = World()
    world.carry_out(make_plan(desired, world.observe(desired)))
    return world.observe(desired)


WISHES: dict[str, Callable[[DesiredState], DesiredState]] = {
    "as it was": lambda desired: desired,
    "other limits": lambda desired: on_every_node(
        desired, limits=replace(desired.nodes[0].limits, cpus=0.5)
    ),
    "another command": lambda desired: on_every_node(desired, command=("python", "x.py")),
}


@pytest.mark.parametrize("wish", WISHES)
def test_a_node_is_opened_a_few_times_whatever_their_number(
    wish: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    num_opened = 0
    spec_fields = specs.spec_fields

    def counted(spec: NodeSpec) -> dict[str, str]:
        nonlocal num_opened
        num_opened += 1
        return spec_fields(spec)

    before = desired_state(300)
    observed, desired = applied(before), WISHES[wish](before)
    monkeypatch.setattr(specs, "spec_fields", counted)
    monkeypatch.setattr(difference, "spec_fields", counted)
    plan = make_plan(desired, observed, in_place=IN_PLACE)
    assert num_opened <= MOST_PER_NODE * 300
    assert num_opened >= 300  # else nothing was counted
    num_opened = 0
    text, document = plan_text(plan), plan_document(plan, "docker")
    assert (num_opened, len(document["objects"])) == (0, 302)
    assert len(text.splitlines()) >= 303


def test_ten_thousand_nodes_are_planned_in_two_seconds(record_case: RecordCase) -> None:
    took_s = {
        (sample.num_nodes, sample.contestant): sample.value
        for sample in planning_samples(rounds=1, sizes=(1_000, NUM_NODES))
    }
    assert max(took_s[NUM_NODES, NOTHING_TO_DO], took_s[NUM_NODES, ALL_REPLACED]) < LONGEST_S
    for num_nodes in (1_000, NUM_NODES):
        figures = {
            f"{name.partition(', ')[2] or name} s": round(value, 3)
            for (size, name), value in took_s.items()
            if size == num_nodes
        }
        record_case("planning cost", f"{num_nodes} nodes", **figures)
