"""What deciding costs by itself, without an engine.

The nodes are values, so this measures pure code: from a desired and an observed state to a
plan, and from a plan to its text and its JSON form.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from msgspec.structs import replace

from benchmarks.contestants import ORCHESTRATE
from benchmarks.figures import Operation, Sample
from orchestrator.engines.docker.traits import TRAITS
from orchestrator.plans.document import plan_document, plan_text
from orchestrator.plans.plan import Plan
from orchestrator.plans.planner import make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec
from orchestrator.state.observed import (
    NodeStatus,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedState,
)
from orchestrator.state.spec import Limits, NodeSpec, spec_hash

SIZES = (100, 1_000, 10_000)
NOTHING_TO_DO, ALL_REPLACED = f"{ORCHESTRATE}, nothing to do", f"{ORCHESTRATE}, all replaced"


def wanted(num_nodes: int) -> DesiredState:
    """A gang with as many variables as a real one."""
    env = tuple((f"VARIABLE_{index:02}", f"value {index}") for index in range(16))
    nodes = tuple(
        NodeSpec(
            node_rank=rank,
            num_ranks=1,
            name=f"bench-node-{rank}",
            command=("python", "-m", "trainer", "--max-steps", "20"),
            image="bench:1",
            env=env,
            limits=Limits(1.0, 2**31, 2**30, 4096),
            network="bench-net",
        )
        for rank in range(num_nodes)
    )
    return DesiredState("bench", ImageSpec("bench:1"), NetworkSpec("bench-net"), nodes)


def found(desired: DesiredState) -> ObservedState:
    """The same gang, as an engine would describe it while it runs."""
    nodes = tuple(
        ObservedNode(
            f"{spec.node_rank:064}",
            spec,
            "run-1",
            spec_hash(spec),
            NodeStatus.RUNNING,
            image_id="sha256:1",
            network_id="n1",
        )
        for spec in desired.nodes
    )
    networks = (ObservedNetwork("n1", "bench-net", True, "bench"),)
    return ObservedState("bench", ObservedImage("bench:1", "sha256:1"), networks, nodes)


def edited(desired: DesiredState) -> DesiredState:
    """Every node with another command, other limits and another variable."""
    nodes = tuple(
        replace(
            node,
            command=(*node.command[:-1], "50"),
            limits=replace(node.limits, cpus=0.5),
            env=(*node.env, ("ZZZ", "1")),
        )
        for node in desired.nodes
    )
    return replace(desired, nodes=nodes)


def planning_samples(rounds: int, sizes: Sequence[int] = SIZES) -> Iterator[Sample]:
    """Processor time of each piece of planning, by number of nodes."""
    for num_nodes in sizes:
        desired = wanted(num_nodes)
        observed, other = found(desired), edited(desired)
        plan = make_plan(other, observed, in_place=TRAITS.in_place)
        pieces: dict[str, Callable[[], object]] = {
            NOTHING_TO_DO: partial(make_plan, desired, observed, in_place=TRAITS.in_place),
            ALL_REPLACED: partial(make_plan, other, observed, in_place=TRAITS.in_place),
            "its text": partial(plan_text, plan),
            "its JSON": partial(_as_json, plan),
        }
        for number in range(rounds):
            for name, piece in pieces.items():
                yield Sample(Operation.PLANNING, num_nodes, name, number, _processor_s(piece))


def _processor_s(work: Callable[[], object]) -> float:
    """What it takes of the processor, whatever else this machine does meanwhile."""
    began_s = time.process_time()
    work()
    return time.process_time() - began_s


def _as_json(plan: Plan) -> str:
    """The plan as `plan --json` prints it."""
    return json.dumps(plan_document(plan, "docker"), indent=2)
