"""What is planned for what is found: the whole text of the plan, one golden file a case."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.errors import AddressUnavailable, ImageUnavailable, NameTaken, OrchestrateError
from orchestrator.images.recipe import BuildRecipe
from orchestrator.plans.document import plan_text
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec
from orchestrator.state.observed import ForeignObject, NodeStatus, ObservedState, Oddity
from orchestrator.state.spec import Confinement, Mount, sorted_env
from tests.unit.fakes import IN_PLACE, PROJECT, World, desired_state, node_spec, on_every_node

GOLDEN = Path(__file__).parent / "golden" / "plans"
RECIPE = BuildRecipe("app:1", Path("/src"), Path("/src/Dockerfile"))
LOCAL = replace(
    on_every_node(desired_state(), image=None, network=None, confinement=None),
    image=None,
    network=None,
)

Change = Callable[[World, DesiredState], DesiredState]
"""Does something to a world that was applied to; gives what is wanted now."""


def applied(desired: DesiredState) -> World:
    """A world in which `desired` was applied and runs."""
    world = World()
    if desired.network and desired.network.external:
        world.add_network(desired.network.name, project=None)
    world.carry_out(make_plan(desired, world.observe(desired)))
    return world


def finished(world: World, desired: DesiredState) -> DesiredState:
    for node in desired.nodes:
        world.end(node.node_rank, 0)
    return desired


def one_finished(world: World, desired: DesiredState) -> DesiredState:
    world.end(0, 0)
    return desired


def ended(code: int, *, oom_killed: bool = False) -> Change:
    def change(world: World, desired: DesiredState) -> DesiredState:
        world.end(1, code, oom_killed=oom_killed)
        return desired

    return change


def found(**changes: object) -> Change:
    """Node 1 is found to be otherwise."""

    def change(world: World, desired: DesiredState) -> DesiredState:
        world.change(1, **changes)
        return desired

    return change


def meddled(**changes: object) -> Change:
    """Node 1's container was changed by hand."""

    def change(world: World, desired: DesiredState) -> DesiredState:
        world.change_spec(1, lambda spec: replace(spec, **changes))
        return desired

    return change


def edited(**changes: object) -> Change:
    """The playbook was edited for all nodes."""
    return lambda _world, desired: on_every_node(desired, **changes)


def more_memory(world: World, desired: DesiredState) -> DesiredState:
    limits = replace(desired.nodes[0].limits, memory_bytes=2**31, cpus=0.5)
    return on_every_node(desired, limits=limits)


def another_variable(world: World, desired: DesiredState) -> DesiredState:
    first, second = desired.nodes
    env = sorted_env(dict(second.env), {"OMP_NUM_THREADS": "2"})
    return replace(desired, nodes=(first, replace(second, env=env)))


def an_empty_variable(world: World, desired: DesiredState) -> DesiredState:
    first, second = desired.nodes
    env = sorted_env(dict(second.env), {"DEBUG": ""})
    return replace(desired, nodes=(first, replace(second, env=env)))


def one_less(world: World, desired: DesiredState) -> DesiredState:
    return replace(desired, nodes=desired.nodes[:1])


def one_more(world: World, desired: DesiredState) -> DesiredState:
    return replace(desired, nodes=(*desired.nodes, node_spec(2)))


def missing(world: World, desired: DesiredState) -> DesiredState:
    del world.nodes[next(key for key, node in world.nodes.items() if node.node_rank == 1)]
    return desired


def all_gone(world: World, desired: DesiredState) -> DesiredState:
    world.nodes.clear()
    return desired


def image_moved(world: World, desired: DesiredState) -> DesiredState:
    world.add_image("app:1")
    return desired


def image_gone(world: World, desired: DesiredState) -> DesiredState:
    world.images.clear()
    return desired


def inputs_changed(world: World, desired: DesiredState) -> DesiredState:
    return replace(desired, image=ImageSpec("app:1", recipe=RECIPE, build_inputs="v1:new"))


def image_rebuilt(world: World, desired: DesiredState) -> DesiredState:
    world.add_image("app:1", build_inputs="v1:old")
    return desired


def another_image(world: World, desired: DesiredState) -> DesiredState:
    return replace(on_every_node(desired, image="app:2"), image=ImageSpec("app:2"))


def a_way_out(world: World, desired: DesiredState) -> DesiredState:
    return replace(desired, network=NetworkSpec(f"{PROJECT}-net", internal=False))


def network_renamed(world: World, desired: DesiredState) -> DesiredState:
    return replace(on_every_node(desired, network="lab"), network=NetworkSpec("lab"))


def network_became_external(world: World, desired: DesiredState) -> DesiredState:
    return replace(desired, network=NetworkSpec(f"{PROJECT}-net", False, external=True))


def network_replaced(world: World, desired: DesiredState) -> DesiredState:
    world.networks.clear()
    world.add_network(f"{PROJECT}-net")
    return desired


def network_replaced_after_the_end(world: World, desired: DesiredState) -> DesiredState:
    return network_replaced(world, finished(world, desired))


def network_gone_after_the_end(world: World, desired: DesiredState) -> DesiredState:
    world.networks.clear()
    return finished(world, desired)


def network_twice(world: World, desired: DesiredState) -> DesiredState:
    world.add_network(f"{PROJECT}-net")
    return desired


def rank_twice(world: World, desired: DesiredState) -> DesiredState:
    (second,) = [node for node in world.nodes.values() if node.node_rank == 1]
    twin = replace(second, id="9999", spec=replace(second.spec, name="pair-node-1-copy"))
    world.nodes[twin.id] = twin
    return desired


def disconnected(world: World, desired: DesiredState) -> DesiredState:
    world.change(1, network_id=None)
    return meddled(network=None)(world, desired)


def hash_of_old_version(world: World, desired: DesiredState) -> DesiredState:
    world.change(1, spec_hash="v0:sha256" + "0" * 64)
    return desired


def names_swapped(world: World, desired: DesiredState) -> DesiredState:
    world.change_spec(0, lambda spec: replace(spec, name="pair-node-x"))
    world.change_spec(1, lambda spec: replace(spec, name="pair-node-0"))
    return desired


def two_things(first: Change, second: Change) -> Change:
    return lambda world, desired: second(world, first(world, desired))


def more_for_one(world: World, desired: DesiredState) -> DesiredState:
    first, second = desired.nodes
    limits = replace(second.limits, cpus=0.5)
    return replace(desired, nodes=(first, replace(second, limits=limits)))


def odd_network(world: World, desired: DesiredState) -> DesiredState:
    (network,) = world.networks.values()
    world.networks[network.id] = replace(network, oddities=(Oddity("enable_icc", "false", "true"),))
    return desired


def lookalike(world: World, desired: DesiredState) -> DesiredState:
    world.lookalikes = [ForeignObject("container", "debug", "c" * 64, PROJECT)]
    return desired


def entrypoint_of_the_image(world: World, desired: DesiredState) -> DesiredState:
    words = ("/opt/entry.sh", "--quiet")
    world.images = {tag: replace(image, entrypoint=words) for tag, image in world.images.items()}
    for rank in (0, 1):
        world.change(rank, entrypoint=words)
    return desired


CASES: dict[str, Change] = {
    "cpus-of-one-edited": more_for_one,
    "limits-edited-after-the-end": two_things(finished, more_memory),
    "limit-taken-away": edited(limits=replace(node_spec().limits, cpus=None)),
    "limit-and-command-edited": two_things(
        more_for_one, edited(command=("python", "train.py", "--lr"))
    ),
    "command-word-edited": edited(command=("python", "other.py")),
    "renamed-after-the-end": two_things(finished, meddled(name="mine")),
    "names-swapped": names_swapped,
    "paused-and-updated": two_things(
        found(status=NodeStatus.PAUSED), meddled(limits=replace(node_spec().limits, pids=7))
    ),
    "restarted-by-hand": found(was_restarted=True),
    "odd-settings": found(
        oddities=(Oddity("cpuset_cpus", "0", ""), Oddity("restart_policy", "always", "no"))
    ),
    "odd-network": odd_network,
    "lookalike": lookalike,
    "entrypoint": entrypoint_of_the_image,
    "dead-record": found(status=NodeStatus.DEAD, error="node.json is damaged"),
    "running": lambda _world, desired: desired,
    "finished": finished,
    "one-finished": one_finished,
    "exited-1": ended(1),
    "exited-126": ended(126),
    "exited-127": ended(127),
    "killed-137": ended(137),
    "out-of-memory": ended(137, oom_killed=True),
    "paused": found(status=NodeStatus.PAUSED),
    "restarting": found(status=NodeStatus.RESTARTING),
    "dead": found(status=NodeStatus.DEAD),
    "never-started": found(status=NodeStatus.CREATED),
    "never-started-with-error": found(status=NodeStatus.CREATED, error='exec: "trian": not found'),
    "missing": missing,
    "all-gone": all_gone,
    "nodes-2-to-1": one_less,
    "nodes-2-to-3": one_more,
    "two-runs": found(run_id="run-7"),
    "rank-twice": rank_twice,
    "renamed-by-hand": meddled(name="mine"),
    "disconnected": disconnected,
    "env-added": another_variable,
    "env-empty-added": an_empty_variable,
    "command-edited": edited(command=("python", "train.py", "--lr", "0.1")),
    "user-edited": edited(user="0:0"),
    "workdir-edited": edited(workdir="/data"),
    "mount-added": edited(mounts=(Mount("/src/data", "/data", read_only=True),)),
    "limits-edited": more_memory,
    "cpus-updated-by-hand": meddled(limits=replace(node_spec().limits, cpus=0.25)),
    "privileged-by-hand": meddled(confinement=Confinement((), no_new_privileges=False)),
    "hash-of-old-version": hash_of_old_version,
    "image-moved": image_moved,
    "image-gone": image_gone,
    "image-inputs-changed": inputs_changed,
    "image-rebuilt": image_rebuilt,
    "image-another": another_image,
    "network-internal-changed": a_way_out,
    "network-renamed": network_renamed,
    "network-became-external": network_became_external,
    "network-replaced": network_replaced,
    "network-replaced-after-the-end": network_replaced_after_the_end,
    "network-gone-after-the-end": network_gone_after_the_end,
    "network-twice": network_twice,
}


def text(desired: DesiredState, observed: ObservedState) -> str:
    """What is planned for an engine that can change nodes in place."""
    return plan_text(make_plan(desired, observed, in_place=IN_PLACE))


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("name", CASES)
def test_the_plan_of(name: str) -> None:
    world = applied(desired_state())
    desired = CASES[name](world, desired_state())
    assert text(desired, world.observe(desired)) == golden(name)


BLANK: dict[str, DesiredState] = {
    "nothing-there": desired_state(),
    "nothing-there-to-build": replace(
        desired_state(), image=ImageSpec("app:1", recipe=RECIPE, build_inputs="v1:new")
    ),
    "nothing-there-local": LOCAL,
}


@pytest.mark.parametrize("name", BLANK)
def test_the_plan_for_an_empty_world(name: str) -> None:
    desired = BLANK[name]
    assert text(desired, World().observe(desired)) == golden(name)


def test_the_plan_of_an_external_network_that_is_there() -> None:
    desired = network_became_external(World(), desired_state())
    world = World()
    world.add_network(f"{PROJECT}-net", project=None)
    assert text(desired, world.observe(desired)) == golden("external-there")


def test_the_plan_of_a_local_gang_that_failed() -> None:
    world = applied(LOCAL)
    world.end(0, 3)
    assert text(LOCAL, world.observe(LOCAL)) == golden("local-failed")


def test_the_plan_of_a_rerun() -> None:
    desired = desired_state()
    world = applied(desired)
    finished(world, desired)
    plan = make_plan(desired, world.observe(desired), rerun=True)
    assert plan_text(plan) == golden("rerun")


def test_the_plan_after_a_failed_check() -> None:
    desired = desired_state()
    world = applied(desired)
    finished(world, desired)
    plan = make_plan(desired, world.observe(desired), failure="loss: the loss did not decrease")
    assert plan_text(plan) == golden("failed-check")


def test_what_is_left_of_a_plan_that_was_cut_short() -> None:
    desired = desired_state()
    world = World()
    plan = make_plan(desired, world.observe(desired))
    world.carry_out(replace(plan, start_nodes=plan.start_nodes[:1]))
    assert text(desired, world.observe(desired)) == golden("cut-short")


def test_destroying_takes_all_of_the_project_and_nothing_else() -> None:
    world = applied(desired_state())
    world.end(1, 1)
    world.add_network("old-net")
    world.add_network("of-another", project="other")
    world.add_network("of-nobody", project=None)
    observed = replace(world.observe(desired_state()), networks=tuple(world.networks.values()))
    assert plan_text(make_destroy_plan(observed)) == golden("destroy")


def test_destroying_nothing_is_an_empty_plan() -> None:
    plan = make_destroy_plan(World().observe(desired_state()))
    assert (plan.is_empty, plan_text(plan)) == (
        True,
        "Plan: 0 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be.",
    )


def refusal(desired: DesiredState, world: World) -> tuple[type[OrchestrateError], str, str]:
    with pytest.raises(OrchestrateError) as caught:
        make_plan(desired, world.observe(desired))
    return type(caught.value), caught.value.what, caught.value.fix


def test_a_name_that_is_taken_is_refused_with_its_ids() -> None:
    world = World()
    world.strangers = [
        ForeignObject("container", "pair-node-0", "a" * 64, ""),
        ForeignObject("container", "pair-node-1", "b" * 64, "other", "1001"),
    ]
    world.add_network(f"{PROJECT}-net", project=None)
    assert refusal(desired_state(), world) == (
        NameTaken,
        "a name that the playbook needs is taken by "
        "container pair-node-0 (aaaaaaaaaaaa, not made by orchestrate), "
        "container pair-node-1 (bbbbbbbbbbbb, of project other, owner 1001), "
        "network pair-net (0001ffffffff, not made by orchestrate)",
        "rename or remove it, or choose another `name` in the playbook",
    )


def test_an_image_that_may_not_be_pulled_is_refused() -> None:
    desired = replace(desired_state(), image=ImageSpec("app:1", pull="never"))
    assert refusal(desired, World()) == (
        ImageUnavailable,
        "image app:1 is not on this engine and the playbook says pull: never",
        "build it, load it, or say pull: missing",
    )


def test_an_external_network_that_is_missing_is_refused() -> None:
    desired = replace(desired_state(), network=NetworkSpec("lab", external=True))
    assert refusal(desired, World()) == (
        AddressUnavailable,
        "network lab is external in the playbook and does not exist",
        "create it (`docker network create lab`) or drop `external: true`",
    )


def test_what_the_image_gives_a_node_is_no_difference() -> None:
    world = applied(desired_state())
    spec = next(iter(world.nodes.values())).spec
    given = (dict(spec.env)["PATH"], spec.user, spec.workdir)
    assert given == ("/usr/local/bin:/usr/bin", "1000", "/app")
    assert make_plan(desired_state(), world.observe(desired_state())).actions == ()
