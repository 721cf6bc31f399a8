"""What holds for every plan: carried out, it leaves nothing to do, and it touches only ours."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from orchestrator.errors import AddressUnavailable, ImageUnavailable, NameTaken
from orchestrator.plans.plan import CreateNetwork, Plan, RemoveNetwork, RemoveNode, StartNode
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec
from orchestrator.state.observed import (
    ForeignObject,
    NodeStatus,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedState,
)
from orchestrator.state.spec import Limits, Mount, sorted_env, spec_hash
from tests.unit.fakes import PROJECT, World, desired_state, on_every_node
from tests.unit.made import made
from tests.unit.test_planner import RECIPE

TraceFunction = Callable[[FrameType, str, Any], Any]

REFUSALS = (AddressUnavailable, ImageUnavailable, NameTaken)

images = st.one_of(
    st.none(),
    st.builds(
        made(ImageSpec),
        st.sampled_from(["app:1", "app:2"]),
        st.sampled_from(["missing", "missing", "missing", "never"]),
    ),
    st.builds(
        made(ImageSpec),
        st.just("app:1"),
        recipe=st.just(RECIPE),
        build_inputs=st.sampled_from(["v1:a", "v1:b"]),
    ),
)
networks = st.one_of(
    st.none(),
    st.builds(
        NetworkSpec, st.sampled_from([f"{PROJECT}-net", "lab"]), st.booleans(), st.booleans()
    ),
)
environments = st.dictionaries(
    st.sampled_from(["PATH", "A", "B"]), st.sampled_from(["", "1", "2"]), max_size=2
)
mounts = st.sampled_from([(), (Mount("/src", "/data", True),), (Mount("/src", "/data", False),)])


@st.composite
def wishes(draw: st.DrawFn) -> DesiredState:
    """Any desired state of the project, on an engine with or without images and networks."""
    image, network = draw(images), draw(networks)
    desired = desired_state(draw(st.integers(1, 4)), draw(st.integers(1, 2)))
    desired = on_every_node(
        desired,
        image=image.tag if image else None,
        network=network.name if network else None,
        command=draw(st.sampled_from([("a",), ("a", "b")])),
        user=draw(st.sampled_from([None, "0", "1000"])),
        mounts=draw(mounts),
        limits=draw(st.sampled_from([Limits(), Limits(cpus=0.5, memory_bytes=2**24)])),
    )
    nodes = tuple(
        replace(node, env=sorted_env(dict(node.env), draw(environments))) for node in desired.nodes
    )
    return replace(desired, image=image, network=network, nodes=nodes)


Harm = Callable[[World, int], None]


def _forget_network(world: World, _: int) -> None:
    world.networks.clear()


def _take_network_away(world: World, rank: int) -> None:
    world.change(rank, network_id=None)
    world.change_spec(rank, lambda spec: replace(spec, network=None))


def _remove_node(world: World, rank: int) -> None:
    world.nodes = {key: node for key, node in world.nodes.items() if node.node_rank != rank}


def _copy_node(world: World, rank: int) -> None:
    for node in [node for node in world.nodes.values() if node.node_rank == rank][:1]:
        world.num_made += 1
        name = f"copy-{world.num_made}"
        twin = replace(node, id=name, spec=replace(node.spec, name=name))
        world.nodes[twin.id] = twin


HARM: dict[str, Harm] = {
    "end well": lambda world, rank: world.end(rank, 0),
    "fail": lambda world, rank: world.end(rank, 1),
    "pause": lambda world, rank: world.change(rank, status=NodeStatus.PAUSED),
    "kill at birth": lambda world, rank: world.change(rank, status=NodeStatus.CREATED),
    "another run": lambda world, rank: world.change(rank, run_id="run-x"),
    "old hash": lambda world, rank: world.change(rank, spec_hash="v0:x"),
    "update": lambda world, rank: world.change_spec(
        rank, lambda spec: replace(spec, limits=Limits(cpus=3.0))
    ),
    "rename": lambda world, rank: world.change_spec(
        rank, lambda spec: replace(spec, name=f"renamed-{rank}-{world.num_made}")
    ),
    "remove": _remove_node,
    "copy": _copy_node,
    "disconnect": _take_network_away,
    "forget networks": _forget_network,
    "second network": lambda world, _: world.add_network(f"{PROJECT}-net"),
    "lab of ours": lambda world, _: world.add_network("lab"),
    "lab of nobody": lambda world, _: world.add_network("lab", project=None),
    "net of another": lambda world, _: world.add_network("other-net", project="other"),
    "move image": lambda world, _: world.add_image("app:1"),
    "lose images": lambda world, _: world.images.clear(),
    "stranger": lambda world, rank: world.strangers.append(
        ForeignObject("container", f"{PROJECT}-node-{rank}", f"stranger-{rank}", "")
    ),
}
harms = st.lists(st.tuples(st.sampled_from(sorted(HARM)), st.integers(0, 4)), max_size=5)
histories = st.lists(st.tuples(wishes(), harms), min_size=1, max_size=3)


def decide(desired: DesiredState, observed: ObservedState) -> Plan | None:
    """The plan, or None where it is rightly refused."""
    try:
        return make_plan(desired, observed)
    except REFUSALS:
        return None


@settings(max_examples=200)
@given(histories)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(
    history: list[tuple[DesiredState, list[tuple[str, int]]]],
) -> None:
    world = World()
    for desired, harm in history:
        plan = decide(desired, world.observe(desired))
        if plan is not None and _network_is_usable(desired, world):
            world.carry_out(plan)
            again = make_plan(desired, world.observe(desired))
            assert (again.actions, len(again.unchanged)) == ((), _num_objects(desired))
        for name, rank in harm:
            HARM[name](world, rank)


def _network_is_usable(desired: DesiredState, world: World) -> bool:
    """Two foreign networks of one name are beyond what a plan can mend."""
    names = [net.name for net in world.networks.values()]
    external = desired.network is not None and desired.network.external
    return not external or names.count(desired.network.name if desired.network else "") == 1


def _num_objects(desired: DesiredState) -> int:
    return len(desired.nodes) + sum(each is not None for each in (desired.image, desired.network))


@settings(max_examples=200)
@given(histories)
def test_a_plan_touches_only_what_is_the_projects(
    history: list[tuple[DesiredState, list[tuple[str, int]]]],
) -> None:
    world = World()
    world.add_network("other-net", project="other")
    for desired, harm in history:
        everything = tuple(world.networks.values())
        observed = replace(world.observe(desired), networks=everything)
        plan = decide(desired, observed)
        for each in (plan or make_destroy_plan(observed), make_destroy_plan(observed)):
            assert _not_ours(each, world) == []
        plan = decide(desired, world.observe(desired))
        if plan is not None and _network_is_usable(desired, world):
            world.carry_out(plan)
        for name, rank in harm:
            HARM[name](world, rank)


def _not_ours(plan: Plan, world: World) -> list[str]:
    """What a plan would remove, or make under a name, that belongs to somebody else."""
    taken = {net.name for net in world.networks.values() if net.project != PROJECT}
    taken |= {each.name for each in world.strangers}
    wrong = []
    for action in plan.actions:
        match action:
            case RemoveNetwork(network) if network.project != PROJECT:
                wrong.append(str(action))
            case RemoveNode(node) if world.nodes.get(node.id) != node:
                wrong.append(str(action))
            case CreateNetwork(wanted) if wanted.name in taken:
                wrong.append(str(action))
            case StartNode(spec) if spec.name in taken:
                wrong.append(str(action))
            case _:
                pass
    return wrong


def test_planning_takes_time_linear_in_the_nodes() -> None:
    small, large = (_num_steps(_diverged(num_nodes)) for num_nodes in (1_000, 10_000))
    assert 5 * small < large < 15 * small


def _diverged(num_nodes: int) -> Callable[[], Plan]:
    desired = desired_state(num_nodes)
    nodes = tuple(
        ObservedNode(
            f"id-{spec.node_rank}",
            spec,
            "run-1",
            spec_hash(spec),
            NodeStatus.EXITED,
            exit_code=int(spec.node_rank == num_nodes - 1),
            image_id="sha256:1",
        )
        for spec in desired.nodes
    )
    networks = (ObservedNetwork("n1", f"{PROJECT}-net", True, PROJECT),)
    observed = ObservedState(PROJECT, ObservedImage("app:1", "sha256:1"), networks, nodes)
    return lambda: make_plan(desired, observed)


def _num_steps(work: Callable[[], object]) -> int:
    """How many calls and lines of Python the work takes: a clock that does not jitter."""
    num_steps = 0

    def count(_frame: FrameType, _event: str, _arg: object) -> TraceFunction:
        nonlocal num_steps
        num_steps += 1
        return count

    previous = sys.gettrace()
    sys.settrace(count)
    try:
        work()
    finally:
        sys.settrace(previous)
    return num_steps
