"""From the playbook's `gpu` to what every node is given, and applied again."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.devices import with_gpus
from orchestrator.engines.docker.traits import TRAITS as DOCKER
from orchestrator.engines.local.engine import TRAITS as LOCAL
from orchestrator.errors import GpuUnavailable
from orchestrator.events import ActionDone
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import Gpu, Slice
from orchestrator.playbook.loader import load_text
from orchestrator.resolve import resolve
from orchestrator.run import plan
from orchestrator.state.desired import DesiredState, RunIdentity
from orchestrator.state.spec import UNLIMITED, Limits, NodeSpec, sorted_env, spec_hash
from orchestrator.state.traits import EngineTraits
from tests.unit.fake_engine import Script
from tests.unit.fakes import told
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench"]

GPUS = tuple(Gpu(index, f"GPU-{name}", "A", 2**30) for index, name in enumerate("abcd"))


def resolved(folder: Path, text: str, traits: EngineTraits = DOCKER) -> DesiredState:
    return resolve(load_text((PLAYBOOK + text).encode(), name="p.yaml", folder=folder), traits)


def gpu_env(node: NodeSpec) -> dict[str, str]:
    """The variables of a node that a GPU mode is about."""
    return {
        name: value
        for name, value in node.env
        if "VISIBLE" in name
        or "GPU" in name
        or "DRIVER" in name
        or name.endswith(("_DEVICE", "_DEVICE_ORDER", "ACKEND"))
    }


ON_DOCKER = {
    "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
    "NVIDIA_DRIVER_CAPABILITIES": "compute,utility",
    "NVIDIA_VISIBLE_DEVICES": "void",
    "ORCHESTRATE_DEVICE": "cuda",
}


@pytest.mark.parametrize(
    ("text", "env", "demand"),
    [
        (
            "gpu: {mode: exclusive}",
            {"ORCHESTRATE_GPU_MODE": "exclusive", "ORCHESTRATE_BACKEND": "nccl"},
            GpuDemand("exclusive", "NVIDIA_VISIBLE_DEVICES"),
        ),
        (
            "gpu: {mode: exclusive, devices: [3, GPU-a]}\nrendezvous: {backend: gloo}",
            {"ORCHESTRATE_GPU_MODE": "exclusive", "ORCHESTRATE_BACKEND": "cpu:gloo,cuda:gloo"},
            GpuDemand("exclusive", "NVIDIA_VISIBLE_DEVICES", 1, (3, "GPU-a")),
        ),
        (
            "gpu: {mode: shared, memory_fraction: 0.25}",
            {
                "ORCHESTRATE_GPU_MODE": "shared",
                "ORCHESTRATE_BACKEND": "cpu:gloo,cuda:gloo",
                "ORCHESTRATE_GPU_MEMORY_FRACTION": "0.25",
            },
            GpuDemand("shared", "NVIDIA_VISIBLE_DEVICES"),
        ),
        (
            "gpu: {mode: shared, allow_unsupported: true}\nrendezvous: {backend: nccl}",
            {"ORCHESTRATE_GPU_MODE": "shared", "ORCHESTRATE_BACKEND": "nccl"},
            GpuDemand("shared", "NVIDIA_VISIBLE_DEVICES"),
        ),
        (
            "gpu: {mode: mig, devices: [0, MIG-1]}",
            {"ORCHESTRATE_GPU_MODE": "mig", "ORCHESTRATE_BACKEND": "cpu:gloo,cuda:gloo"},
            GpuDemand("mig", "NVIDIA_VISIBLE_DEVICES", 1, (0, "MIG-1")),
        ),
        (
            "gpu: {mode: mig, allow_unsupported: true}\nrendezvous: {backend: nccl}",
            {"ORCHESTRATE_GPU_MODE": "mig", "ORCHESTRATE_BACKEND": "nccl"},
            GpuDemand("mig", "NVIDIA_VISIBLE_DEVICES"),
        ),
    ],
)
def test_what_a_mode_means_on_docker(
    tmp_path: Path, text: str, env: dict[str, str], demand: GpuDemand
) -> None:
    state = resolved(tmp_path, text)
    assert [gpu_env(node) for node in state.nodes] == [ON_DOCKER | env] * 2
    assert state.gpus == demand
    assert {node.limits.memlock_bytes for node in state.nodes} == {UNLIMITED}
    assert {node.limits.shm_bytes for node in state.nodes} == {2**30}


def test_cpu_asks_for_nothing(tmp_path: Path) -> None:
    state = resolved(tmp_path, "gpu: {mode: cpu}")
    env = {"NVIDIA_VISIBLE_DEVICES": "void", "ORCHESTRATE_BACKEND": "gloo"}
    assert [gpu_env(node) for node in state.nodes] == [env] * 2
    assert (state.gpus, with_gpus(state, (), ())) == (None, state)


def test_as_many_gpus_as_ranks(tmp_path: Path) -> None:
    text = PLAYBOOK.replace("nodes: 2", "nodes: 2, nproc_per_node: 2") + "gpu: {mode: exclusive}"
    state = resolve(load_text(text.encode(), name="p.yaml", folder=tmp_path), DOCKER)
    assert [node.gpus for node in with_gpus(state, GPUS, ()).nodes] == [
        ("GPU-a", "GPU-b"),
        ("GPU-c", "GPU-d"),
    ]


def test_a_limit_on_locked_memory(tmp_path: Path) -> None:
    state = resolved(tmp_path, "gpu: {mode: shared, memlock: 8MiB}")
    assert {node.limits.memlock_bytes for node in state.nodes} == {8 * 2**20}


@pytest.mark.parametrize(
    ("traits", "variable"), [(DOCKER, "NVIDIA_VISIBLE_DEVICES"), (LOCAL, "CUDA_VISIBLE_DEVICES")]
)
def test_nodes_see_their_gpus_and_no_others(
    tmp_path: Path, traits: EngineTraits, variable: str
) -> None:
    text = "gpu: {mode: exclusive, per_node: 2}"
    before = resolved(tmp_path, text, traits)
    after = with_gpus(before, GPUS, ())
    given = (("GPU-a", "GPU-b"), ("GPU-c", "GPU-d"))
    assert after == replace(
        before,
        nodes=tuple(
            replace(
                node,
                gpus=uuids,
                env=sorted_env(
                    dict(node.env),
                    {variable: ",".join(uuids), "ORCHESTRATE_GPUS": ",".join(uuids)},
                ),
            )
            for node, uuids in zip(before.nodes, given, strict=True)
        ),
    )


def test_nodes_of_the_embedded_engine_have_no_limits(tmp_path: Path) -> None:
    state = resolved(tmp_path, "gpu: {mode: exclusive}", LOCAL)
    assert {node.limits for node in state.nodes} == {Limits()}


# -- planned and applied ---------------------------------------------------------------

EXCLUSIVE = PLAYBOOK + "gpu: {mode: exclusive}\n"
CREATE = [
    "+ image app:1 (not there yet)",
    "+ network pair-net (not there yet)",
    "+ node pair-node-0 gpus: GPU-a (not there yet)",
    "+ node pair-node-1 gpus: GPU-b (not there yet)",
]


def gpus_of(bench: Bench) -> list[tuple[str, ...]]:
    return [node.spec.gpus for node in bench.engine.observe_nodes("pair")]


def test_the_plan_says_who_gets_which_and_apply_keeps_to_it(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.write(EXCLUSIVE)
    outcome = bench.apply()
    assert told(outcome.plan) == CREATE
    assert gpus_of(bench) == [("GPU-a",), ("GPU-b",)]
    assert bench.apply().plan.is_empty


def test_nodes_keep_their_gpus_when_others_come_first(bench: Bench) -> None:
    bench.gpus = GPUS[2:]
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.gpus = GPUS
    assert bench.apply().plan.is_empty
    bench.write(EXCLUSIVE.replace("train.py", "other.py"))
    bench.apply()
    assert gpus_of(bench) == [("GPU-c",), ("GPU-d",)]


def test_a_gpu_that_is_gone_replaces_the_gang(bench: Bench) -> None:
    bench.gpus = GPUS[:2]
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.gpus = GPUS[1:]
    made = plan(bench.request()).plan
    assert [(action.cause, list(map(str, action.changes))) for action in made.start_nodes] == [
        (
            "",
            [
                "gpus: GPU-a -> GPU-c",
                "env.NVIDIA_VISIBLE_DEVICES: GPU-a -> GPU-c",
                "env.ORCHESTRATE_GPUS: GPU-a -> GPU-c",
            ],
        ),
        ("gang: pair-node-0 is replaced", []),
    ]


def test_a_device_changed_by_hand_is_drift(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.engine.world.change_spec(1, lambda spec: replace(spec, gpus=("GPU-d",)))
    made = plan(bench.request()).plan
    assert [(action.cause, list(map(str, action.changes))) for action in made.start_nodes] == [
        ("gang: pair-node-1 is replaced", []),
        ("", ["gpus: GPU-d -> GPU-b"]),
    ]


def test_a_mode_that_changed_replaces_the_gang(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.write(PLAYBOOK)
    changes = set(map(str, plan(bench.request()).plan.start_nodes[0].changes))
    assert {"gpus: GPU-a -> (none)", "memlock: unlimited -> (none)"} <= changes


def test_too_few_gpus_change_nothing(bench: Bench) -> None:
    bench.gpus = GPUS[:1]
    bench.write(EXCLUSIVE)
    error = bench.apply_refused(GpuUnavailable)
    assert error.what == (
        "2 GPUs are needed (2 nodes, 1 each), and 1 can be used of 0: GPU-a (A, 1 GiB)"
    )
    assert [each for each in bench.events if isinstance(each, ActionDone)] == []
    assert bench.engine.mutations == []


def test_gpus_of_another_project_are_left_to_it(bench: Bench) -> None:
    bench.gpus = GPUS[:3]
    other = put_other(bench, "exclusive", "GPU-b")
    bench.write(EXCLUSIVE)
    bench.apply()
    assert gpus_of(bench) == [("GPU-a",), ("GPU-c",)]
    assert bench.engine.observe_nodes("other")[0].id == other


def test_a_gpu_that_another_project_has_for_itself_is_not_shared(bench: Bench) -> None:
    bench.gpus = GPUS[:2]
    put_other(bench, "exclusive", "GPU-a")
    bench.write(PLAYBOOK + "gpu: {mode: shared}\n")
    bench.apply()
    assert gpus_of(bench) == [("GPU-b",), ("GPU-b",)]


def test_a_shared_gpu_may_be_shared_by_projects(bench: Bench) -> None:
    bench.gpus = GPUS[:2]
    put_other(bench, "shared", "GPU-a")
    bench.write(PLAYBOOK + "gpu: {mode: shared}\n")
    bench.apply()
    assert gpus_of(bench) == [("GPU-a",), ("GPU-a",)]


@pytest.mark.parametrize(
    ("mode", "given"),
    [("exclusive", [("GPU-b",), ("GPU-c",)]), ("shared", [("GPU-c",), ("GPU-c",)])],
)
def test_gpus_whose_compute_mode_shuts_nodes_out_are_passed_over(
    bench: Bench, mode: str, given: list[tuple[str, ...]]
) -> None:
    modes = ("Prohibited", "Exclusive_Process", "Default", "Default")
    bench.gpus = tuple(
        replace(gpu, compute_mode=each) for gpu, each in zip(GPUS, modes, strict=True)
    )
    bench.write(PLAYBOOK + f"gpu: {{mode: {mode}}}\n")
    bench.apply()
    assert gpus_of(bench) == given
    # What has ended is not made again because of it.
    bench.gpus = tuple(replace(gpu, compute_mode="Prohibited") for gpu in GPUS)
    assert bench.apply().plan.is_empty


def test_a_gpu_that_is_named_and_shut_says_why(bench: Bench) -> None:
    bench.gpus = (replace(GPUS[0], compute_mode="Exclusive_Process"),)
    bench.write(PLAYBOOK + "gpu: {mode: shared, devices: [0]}\n")
    assert bench.apply_refused(GpuUnavailable).what == (
        "one GPU is needed, and 0 can be used of 0: GPU-a (A, 1 GiB, Exclusive_Process); GPU-a: "
        "its compute mode is Exclusive_Process (`nvidia-smi -i 0 -c DEFAULT`)"
    )


MIG = PLAYBOOK + "gpu: {mode: mig}\n"
SLICED = (
    Gpu(
        0,
        "GPU-m",
        "H",
        has_mig=True,
        slices=tuple(Slice(f"MIG-{index + 1}", "1g.10gb", index) for index in range(3)),
    ),
)


def test_slices_are_planned_kept_and_left_to_who_has_them(bench: Bench) -> None:
    bench.gpus = SLICED
    put_other(bench, "mig", "MIG-1")
    bench.write(MIG)
    outcome = bench.apply()
    assert told(outcome.plan)[2:] == [
        "+ node pair-node-0 gpus: MIG-2 (not there yet)",
        "+ node pair-node-1 gpus: MIG-3 (not there yet)",
    ]
    assert gpus_of(bench) == [("MIG-2",), ("MIG-3",)]
    assert bench.apply().plan.is_empty
    bench.engine.world.change_spec(0, lambda spec: replace(spec, gpus=("MIG-1",)))
    changes = [list(map(str, each.changes)) for each in plan(bench.request()).plan.start_nodes]
    assert changes == [["gpus: MIG-1 -> MIG-2"], []]


def test_exhausted_slices_change_nothing(bench: Bench) -> None:
    bench.gpus = SLICED
    put_other(bench, "mig", "MIG-1", "MIG-2")
    bench.write(MIG)
    error = bench.apply_refused(GpuUnavailable)
    assert error.what == (
        "2 MIG slices are needed (2 nodes, 1 each), and 1 can be used of MIG-1 (1g.10gb), "
        "MIG-2 (1g.10gb), MIG-3 (1g.10gb); MIG-1: node other-node-7 uses it; "
        "MIG-2: node other-node-7 uses it"
    )
    assert bench.engine.mutations == []


# -- by CDI ----------------------------------------------------------------------------


def cdi(*uuids: str) -> frozenset[str]:
    return frozenset(f"nvidia.com/gpu={uuid}" for uuid in uuids)


def test_an_engine_that_knows_the_devices_by_cdi_is_asked_that_way(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.engine.traits = replace(bench.engine.traits, node_env=DOCKER.node_env)
    bench.engine.devices = cdi("GPU-a", "GPU-b", "all", "0", "1")
    bench.write(EXCLUSIVE)
    outcome = bench.apply()
    assert told(outcome.plan)[2:] == [
        "+ node pair-node-0 gpus: nvidia.com/gpu=GPU-a (not there yet)",
        "+ node pair-node-1 gpus: nvidia.com/gpu=GPU-b (not there yet)",
    ]
    nodes = bench.engine.observe_nodes("pair")
    assert [
        {name: value for name, value in node.spec.env if "VISIBLE" in name or name.endswith("GPUS")}
        for node in nodes
    ] == [
        {"NVIDIA_VISIBLE_DEVICES": "void", "ORCHESTRATE_GPUS": uuid} for uuid in ("GPU-a", "GPU-b")
    ]
    assert bench.apply().plan.is_empty
    bench.engine.world.change_spec(1, lambda spec: replace(spec, gpus=tuple(cdi("GPU-d"))))
    changes = [list(map(str, each.changes)) for each in plan(bench.request()).plan.start_nodes]
    assert changes == [[], ["gpus: nvidia.com/gpu=GPU-d -> nvidia.com/gpu=GPU-b"]]


def test_one_device_that_is_not_known_by_its_uuid_has_all_asked_for_the_other_way(
    bench: Bench,
) -> None:
    bench.gpus = GPUS
    bench.engine.devices = cdi("GPU-a", "all", "0", "1")
    bench.write(EXCLUSIVE)
    bench.apply()
    assert gpus_of(bench) == [("GPU-a",), ("GPU-b",)]


def test_a_newer_toolkit_is_no_reason_to_make_a_run_again(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.engine.devices = cdi("GPU-a", "GPU-b")
    assert bench.apply().plan.is_empty


def test_devices_that_cdi_does_not_know_any_more_are_asked_for_the_other_way(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.engine.devices = cdi("GPU-a", "GPU-b")
    bench.write(EXCLUSIVE)
    bench.apply()
    bench.engine.devices = frozenset()
    changes = list(map(str, plan(bench.request()).plan.start_nodes[0].changes))
    assert changes == [
        "gpus: nvidia.com/gpu=GPU-a -> GPU-a",
        "env.NVIDIA_VISIBLE_DEVICES: (none) -> GPU-a",
    ]


def test_another_project_is_seen_by_whatever_name_it_has_its_gpu(bench: Bench) -> None:
    bench.gpus = GPUS[:3]
    put_other(bench, "exclusive", "nvidia.com/gpu=GPU-a")
    bench.write(EXCLUSIVE)
    bench.apply()
    assert gpus_of(bench) == [("GPU-b",), ("GPU-c",)]


def test_an_ended_run_stays_as_it_is_but_is_not_repeated_on_what_is_taken_since(
    bench: Bench,
) -> None:
    bench.gpus = GPUS[:2]
    bench.write(EXCLUSIVE)
    bench.apply()
    put_other(bench, "exclusive", "GPU-b")
    assert bench.apply().plan.is_empty
    with pytest.raises(GpuUnavailable) as caught:
        bench.apply(rerun=True)
    assert caught.value.what == ("GPU-b, which node pair-node-1 had: node other-node-7 uses it now")


def put_other(bench: Bench, mode: str, *names: str) -> str:
    """A node of another project that runs with GPUs; its id."""
    spec = NodeSpec(
        node_rank=7,
        num_ranks=1,
        name="other-node-7",
        command=("sleep",),
        env=(("ORCHESTRATE_GPU_MODE", mode),),
        gpus=names,
    )
    known = set(bench.engine.world.nodes)
    bench.engine.start_nodes([spec], RunIdentity("other", "run-9", ""), lambda _: None)
    (made,) = set(bench.engine.world.nodes) - known
    assert bench.engine.world.nodes[made].spec_hash == spec_hash(spec)
    return made


def test_a_restarted_gang_has_its_gpus_again(bench: Bench) -> None:
    bench.gpus = GPUS
    bench.engine.scripts = {0: Script(ends_after_s=0.0, code=3), 1: Script(ends_after_s=0.0)}
    bench.write(EXCLUSIVE + "restarts: {max: 1}\n")
    assert len(bench.apply().restarts) == 1
    assert gpus_of(bench) == [("GPU-a",), ("GPU-b",)]
