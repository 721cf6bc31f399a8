"""What becomes of a sidecar and of the GPU that it is for: the whole text of the plan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.plans.document import plan_document, plan_text
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeHealth, NodeStatus, ObservedState
from orchestrator.state.spec import sorted_env
from tests.unit.fakes import (
    GPU,
    IN_PLACE,
    PROJECT,
    World,
    desired_state,
    sidecar_spec,
    with_sidecar,
)

GOLDEN = Path(__file__).parent / "golden" / "plans"
EXCLUSIVE = "EXCLUSIVE_PROCESS"
PLAIN = with_sidecar(desired_state())
CONSENTED = with_sidecar(desired_state(), compute_mode=EXCLUSIVE)

Change = Callable[[World, DesiredState], DesiredState]


def world_with_gpu(mode: str = "DEFAULT") -> World:
    world = World(compute_modes={GPU: mode})
    world.add_image("app:1")
    return world


def applied(desired: DesiredState, mode: str = "DEFAULT") -> World:
    """A world in which `desired` was applied and runs."""
    world = world_with_gpu(mode)
    world.carry_out(make_plan(desired, world.observe(desired)))
    return world


def as_is(_: World, desired: DesiredState) -> DesiredState:
    return desired


def found(**changes: object) -> Change:
    """The sidecar is found to be otherwise."""

    def change(world: World, desired: DesiredState) -> DesiredState:
        world.change_sidecar(**changes)
        return desired

    return change


def meddled(**changes: object) -> Change:
    """The sidecar's container was changed by hand."""

    def change(world: World, desired: DesiredState) -> DesiredState:
        (spec,) = (each.spec for each in world.sidecars.values())
        world.change_sidecar(spec=replace(spec, **changes))
        return desired

    return change


def killed(world: World, desired: DesiredState) -> DesiredState:
    return found(status=NodeStatus.EXITED, exit_code=137, finished_at_s=150.0)(world, desired)


def finished(world: World, desired: DesiredState) -> DesiredState:
    for node in desired.nodes:
        world.end(node.node_rank, 0)
    return desired


def ended_after_the_nodes(world: World, desired: DesiredState) -> DesiredState:
    return killed(world, finished(world, desired))


def edited_after_the_end(world: World, desired: DesiredState) -> DesiredState:
    return another_percentage(world, ended_after_the_nodes(world, desired))


def another_percentage(_: World, desired: DesiredState) -> DesiredState:
    assert desired.sidecar is not None
    env = sorted_env(dict(desired.sidecar.env), {"CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "25"})
    return replace(desired, sidecar=replace(desired.sidecar, env=env))


def gone(world: World, desired: DesiredState) -> DesiredState:
    world.sidecars.clear()
    return desired


def nodes_gone(world: World, desired: DesiredState) -> DesiredState:
    world.nodes.clear()
    return desired


def twice(world: World, desired: DesiredState) -> DesiredState:
    (one,) = world.sidecars.values()
    twin = replace(one, id="9999", spec=replace(one.spec, name="pair-mps-copy"), restores=())
    world.sidecars[twin.id] = twin
    return desired


def node_died(world: World, desired: DesiredState) -> DesiredState:
    world.end(1, 1)
    return desired


def not_wanted(_: World, __: DesiredState) -> DesiredState:
    return desired_state()


def mode_set_by_hand(world: World, desired: DesiredState) -> DesiredState:
    world.compute_modes[GPU] = "DEFAULT"
    return desired


def consent_given(_: World, __: DesiredState) -> DesiredState:
    return CONSENTED


def consent_withdrawn(_: World, __: DesiredState) -> DesiredState:
    return PLAIN


def another_gpu(world: World, desired: DesiredState) -> DesiredState:
    assert desired.sidecar is not None
    other = "GPU-1a2b3c4d-5e6f-4711-8899-aabbccddeeff"
    world.compute_modes[other] = "DEFAULT"
    nodes = tuple(replace(node, gpus=(other,)) for node in desired.nodes)
    return replace(desired, nodes=nodes, sidecar=replace(desired.sidecar, gpus=(other,)))


CASES: dict[str, tuple[DesiredState, Change]] = {
    "sidecar-running": (PLAIN, as_is),
    "sidecar-finished": (PLAIN, finished),
    "sidecar-ended-after-the-nodes": (PLAIN, ended_after_the_nodes),
    "sidecar-edited-after-the-end": (PLAIN, edited_after_the_end),
    "sidecar-killed": (PLAIN, killed),
    "sidecar-paused": (PLAIN, found(status=NodeStatus.PAUSED)),
    "sidecar-restarted": (PLAIN, found(was_restarted=True)),
    "sidecar-deaf": (PLAIN, found(health=NodeHealth("unhealthy", False, 1, "no daemon"))),
    "sidecar-gone": (PLAIN, gone),
    "sidecar-twice": (PLAIN, twice),
    "sidecar-of-another-run": (PLAIN, found(run_id="run-7")),
    "sidecar-env-edited": (PLAIN, another_percentage),
    "sidecar-command-by-hand": (PLAIN, meddled(command=("sleep", "600"))),
    "sidecar-gpu-by-hand": (PLAIN, meddled(gpus=("GPU-dead",))),
    "sidecar-privileged-by-hand": (PLAIN, meddled(confinement=None)),
    "sidecar-alone": (PLAIN, nodes_gone),
    "sidecar-node-died": (PLAIN, node_died),
    "sidecar-not-wanted": (CONSENTED, not_wanted),
    "sidecar-exclusive-running": (CONSENTED, as_is),
    "sidecar-exclusive-killed": (CONSENTED, killed),
    "sidecar-mode-by-hand": (CONSENTED, mode_set_by_hand),
    "sidecar-consent-given": (PLAIN, consent_given),
    "sidecar-consent-withdrawn": (CONSENTED, consent_withdrawn),
    "sidecar-another-gpu": (CONSENTED, another_gpu),
}


def text(desired: DesiredState, observed: ObservedState) -> str:
    return plan_text(make_plan(desired, observed, in_place=IN_PLACE))


def golden(name: str) -> str:
    return (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").rstrip("\n")


@pytest.mark.parametrize("name", CASES)
def test_the_plan_of(name: str) -> None:
    before, change = CASES[name]
    world = applied(before)
    desired = change(world, before)
    assert text(desired, world.observe(desired)) == golden(name)


@pytest.mark.parametrize("name", CASES)
def test_what_was_planned_leaves_nothing_to_do(name: str) -> None:
    before, change = CASES[name]
    world = applied(before)
    desired = change(world, before)
    world.carry_out(make_plan(desired, world.observe(desired)))
    assert make_plan(desired, world.observe(desired)).is_empty
    world.carry_out(make_destroy_plan(world.observe(desired)))
    observed = world.observe(desired)
    assert (observed.nodes, observed.sidecars) == ((), ())
    assert set(world.compute_modes.values()) == {"DEFAULT"}


BLANK = {
    "sidecar-nothing-there": (PLAIN, "DEFAULT"),
    "sidecar-nothing-there-exclusive": (CONSENTED, "DEFAULT"),
    "sidecar-nothing-there-exclusive-already": (CONSENTED, EXCLUSIVE),
    "sidecar-nothing-there-exclusive-by-others": (PLAIN, EXCLUSIVE),
}


@pytest.mark.parametrize("name", BLANK)
def test_the_plan_for_an_empty_world(name: str) -> None:
    desired, mode = BLANK[name]
    assert text(desired, world_with_gpu(mode).observe(desired)) == golden(name)


def test_the_steps_in_their_order() -> None:
    world = applied(CONSENTED)
    killed(world, CONSENTED)
    why = "was killed by signal 9 (exit code 137)"
    returned = "put back as its sidecar goes"
    cause = f"mps daemon {PROJECT}-mps {why}"
    there = f"compute_mode: {EXCLUSIVE} -> DEFAULT"
    back = f"gpu.set_compute_mode: true; compute_mode: DEFAULT -> {EXCLUSIVE}"
    assert [str(each) for each in make_plan(CONSENTED, world.observe(CONSENTED)).actions] == [
        f"- remove node {PROJECT}-node-0  ({cause})",
        f"- remove node {PROJECT}-node-1  ({cause})",
        f"~ set gpu {GPU}  ({returned}; {there})",
        f"- remove mps daemon {PROJECT}-mps  ({why})",
        f"+ start mps daemon {PROJECT}-mps  gpus: {GPU}  ({why})",
        f"~ set gpu {GPU}  ({back})",
        f"+ start node {PROJECT}-node-0  gpus: {GPU}  ({cause})",
        f"+ start node {PROJECT}-node-1  gpus: {GPU}  ({cause})",
    ]


@pytest.mark.parametrize("desired", [PLAIN, CONSENTED], ids=["plain", "exclusive"])
def test_destroy_puts_back_what_the_sidecar_remembers(desired: DesiredState) -> None:
    world = applied(desired)
    name = "sidecar-destroy-exclusive" if desired is CONSENTED else "sidecar-destroy"
    plan = make_destroy_plan(world.observe(desired))
    assert plan_text(plan) == golden(name)
    world.carry_out(plan)
    observed = world.observe(desired)
    assert (observed.nodes, observed.sidecars, world.compute_modes) == ((), (), {GPU: "DEFAULT"})


def test_a_crash_before_the_mode_was_set_is_made_good() -> None:
    """The sidecar is there and remembers; the GPU is as it was."""
    world = world_with_gpu()
    world.start_sidecar(sidecar_spec(compute_mode=EXCLUSIVE), "run-1", ((GPU, "DEFAULT"),))
    world.carry_out(make_plan(CONSENTED, world.observe(CONSENTED)))
    assert make_plan(CONSENTED, world.observe(CONSENTED)).is_empty
    assert world.compute_modes == {GPU: EXCLUSIVE}
    assert [each.restores for each in world.sidecars.values()] == [((GPU, "DEFAULT"),)]


def test_a_plan_as_data_calls_things_by_the_same_names() -> None:
    world = world_with_gpu()
    document = plan_document(make_plan(CONSENTED, world.observe(CONSENTED)), "docker")
    assert document["objects"][2:4] == [
        {
            "kind": "mps daemon",
            "name": f"{PROJECT}-mps",
            "action": "create",
            "cause": "not there yet",
            "gpus": [GPU],
            "fields": [],
        },
        {
            "kind": "gpu",
            "name": GPU,
            "action": "change",
            "cause": "gpu.set_compute_mode: true",
            "fields": [
                {
                    "field": "compute_mode",
                    "old": "DEFAULT",
                    "new": EXCLUSIVE,
                    "forces_replacement": False,
                }
            ],
        },
    ]
