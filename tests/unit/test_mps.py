"""Mode mps from a playbook to a run: what is resolved, done in which order, judged and put back."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.devices import with_gpus
from orchestrator.engines.base import Query
from orchestrator.errors import EngineFailed, GpuUnavailable, InvalidPlaybook
from orchestrator.events import AttemptBegan, Event
from orchestrator.executor import Execution, execute
from orchestrator.gpus.inventory import Gpu
from orchestrator.mps import HEALTH
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.playbook.health import Completed, Mps
from orchestrator.playbook.loader import load_text
from orchestrator.recall import recall
from orchestrator.reference import reference_of
from orchestrator.resolve import resolve
from orchestrator.restarts import Allowance, Restart, next_restart, restart_plan
from orchestrator.state.desired import DesiredState, RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNode, ObservedState
from orchestrator.state.spec import Confinement, Limits, SidecarSpec
from orchestrator.verify.checks import evaluate
from orchestrator.verify.diagnose import diagnose
from orchestrator.verify.results import Status
from tests.unit.fake_engine import DOCKER_LIKE, LOCAL_LIKE, FakeEngine, Script, joined
from tests.unit.fakes import GPU, PROJECT, World, desired_state, sidecar_spec, with_sidecar
from tests.unit.verify.story import START_S, Story
from tests.unit.workbench import PLAYBOOK, Bench, bench, results

__all__ = ["bench"]

EXCLUSIVE = "EXCLUSIVE_PROCESS"
PLAIN = with_sidecar(desired_state())
CONSENTED = with_sidecar(desired_state(), compute_mode=EXCLUSIVE)


def resolved(folder: Path, text: str, *, writer: str | None = None) -> DesiredState:
    loaded = load_text(f"{PLAYBOOK}{text}\n".encode(), name="p.yaml", folder=folder)
    return resolve(loaded, DOCKER_LIKE, writer=writer)


# -- from the playbook ---------------------------------------------------------------


def test_the_daemon_is_what_its_nodes_need(tmp_path: Path) -> None:
    desired = resolved(tmp_path, "gpu: {mode: mps, memlock: 8MiB}")
    assert desired.sidecar == SidecarSpec(
        role="mps",
        name="pair-mps",
        command=(
            "sh",
            "-c",
            'mkdir -p "$CUDA_MPS_PIPE_DIRECTORY" "$CUDA_MPS_LOG_DIRECTORY" && '
            "exec nvidia-cuda-mps-control -f",
        ),
        image="app:1",
        env=(
            ("CUDA_MPS_LOG_DIRECTORY", "/dev/shm/nvidia-mps-log"),
            ("CUDA_MPS_PIPE_DIRECTORY", "/dev/shm/nvidia-mps"),
        ),
        # Of all nodes together, as they have no other.
        limits=Limits(shm_bytes=2 * 2**30, pids=4096, memlock_bytes=2**23),
        network="none",
        confinement=Confinement(),
        health=HEALTH,
        ipc="shareable",
    )
    assert [(node.ipc, node.limits.shm_bytes) for node in desired.nodes] == [("pair-mps", None)] * 2
    told = [{k: v for k, v in node.env if "MPS" in k or "BACKEND" in k} for node in desired.nodes]
    assert (
        told
        == [
            {
                "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "50",
                "CUDA_MPS_PIPE_DIRECTORY": "/dev/shm/nvidia-mps",
                "ORCHESTRATE_BACKEND": "cpu:gloo,cuda:gloo",
            }
        ]
        * 2
    )


def test_the_daemon_as_the_playbook_wants_it(tmp_path: Path) -> None:
    strict = "security: {profile: strict}\n"
    text = (
        f"{strict}gpu: {{mode: mps, set_compute_mode: true, daemon_image: 'mps@sha256:{'0' * 64}'}}"
    )
    playbook = PLAYBOOK.replace("app:1", f"app@sha256:{'1' * 64}")
    ranks = "ranks: {nodes: 2, user: '1000:1000', resources: {shm_size: 256MiB}, command: [x]}"
    playbook = "\n".join(
        ranks if line.startswith("ranks:") else line for line in playbook.splitlines()
    )
    loaded = load_text(f"{playbook}\n{text}\n".encode(), name="p.yaml", folder=tmp_path)
    daemon = resolve(loaded, DOCKER_LIKE).sidecar
    assert daemon is not None
    assert (daemon.image, daemon.user, daemon.compute_mode) == (
        f"mps@sha256:{'0' * 64}",
        "1000:1000",
        EXCLUSIVE,
    )
    assert daemon.limits.shm_bytes == 2 * 256 * 2**20
    assert daemon.confinement is not None
    assert daemon.confinement.read_only_root


@pytest.mark.parametrize(
    ("nodes", "gpu", "share"),
    [(1, "", "100"), (3, "", "33"), (128, "", "1"), (2, ", thread_percentage: 80", "80")],
)
def test_the_share_of_each_rank(tmp_path: Path, nodes: int, gpu: str, share: str) -> None:
    text = PLAYBOOK.replace("nodes: 2", f"nodes: {nodes}") + f"gpu: {{mode: mps{gpu}}}\n"
    desired = resolve(load_text(text.encode(), name="p.yaml", folder=tmp_path), DOCKER_LIKE)
    assert {dict(node.env)["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] for node in desired.nodes} == {
        share
    }


def test_nodes_of_two_users_are_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    ranks = (
        "ranks: {nodes: 2, command: [x], per_node: {1: {mounts: [{source: out, target: /out, "
        "read_only: false}]}}}"
    )
    lines = [ranks if each.startswith("ranks:") else each for each in PLAYBOOK.splitlines()]
    text = "\n".join([*lines, "gpu: {mode: mps}", ""])
    loaded = load_text(text.encode(), name="p.yaml", folder=tmp_path)
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(loaded, DOCKER_LIKE, writer="1000:1000")
    assert [(fault.path, fault.what) for fault in caught.value.faults] == [
        (
            "ranks.user",
            "MPS serves one user, and nodes would run as 1000:1000 and the image's own",
        )
    ]


def test_an_engine_without_sidecars_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = f"{PLAYBOOK}gpu: {{mode: mps}}\n"
    loaded = load_text(text.encode(), name="p.yaml", folder=tmp_path)
    with pytest.raises(InvalidPlaybook) as caught:
        resolve(loaded, LOCAL_LIKE)
    assert [(fault.path, fault.what, fault.fix) for fault in caught.value.faults] == [
        (
            "gpu.mode",
            "the local engine runs no MPS daemon beside its nodes",
            "use --engine docker, or mode: shared",
        )
    ]


def test_the_single_process_that_losses_are_held_against_needs_no_daemon(tmp_path: Path) -> None:
    text = PLAYBOOK.replace("[{joined", "[{loss: {matches: single-process}}, {joined")
    gpu = "gpu: {mode: mps, devices: [0], thread_percentage: 10, set_compute_mode: true}"
    loaded = load_text(f"{text}{gpu}\n".encode(), name="p.yaml", folder=tmp_path)
    reference = reference_of(loaded)
    assert reference is not None
    assert (reference.playbook.gpu.mode, reference.playbook.gpu.devices) == ("shared", (0,))
    assert [type(check) for check in reference.playbook.health_checks] == [Completed]
    desired = resolve(reference, DOCKER_LIKE)
    assert (desired.sidecar, desired.nodes[0].ipc) == (None, None)


# -- which GPU -------------------------------------------------------------------------


def test_the_daemon_has_the_gpu_of_its_nodes(tmp_path: Path) -> None:
    desired = resolved(tmp_path, "gpu: {mode: mps}")
    gpus = (Gpu(0, "GPU-0", "A"), Gpu(1, "GPU-1", "A"))
    given = with_gpus(desired, gpus, ())
    assert given.sidecar is not None
    assert [each.gpus for each in (given.sidecar, *given.nodes)] == [("GPU-0",)] * 3
    assert dict(given.sidecar.env)["NVIDIA_VISIBLE_DEVICES"] == "GPU-0"


def other_node(mode: str) -> ObservedNode:
    env = (("ORCHESTRATE_GPU_MODE", mode),)
    spec = replace(desired_state().nodes[0], name="other-node-0", env=env, gpus=("GPU-0",))
    return ObservedNode("id-9", spec, "run-9", "hash", NodeStatus.RUNNING)


@pytest.mark.parametrize(
    ("mine", "theirs"), [("mps", "mps"), ("mps", "shared"), ("shared", "mps"), ("mps", "exclusive")]
)
def test_a_gpu_with_a_daemon_is_one_projects_alone(tmp_path: Path, mine: str, theirs: str) -> None:
    desired = resolved(tmp_path, f"gpu: {{mode: {mine}}}")
    one, two = Gpu(0, "GPU-0", "A"), Gpu(1, "GPU-1", "A")
    given = with_gpus(desired, (one, two), (), [other_node(theirs)])
    assert [node.gpus for node in given.nodes] == [("GPU-1",)] * 2
    with pytest.raises(GpuUnavailable, match="GPU-0: node other-node-0 uses it"):
        with_gpus(desired, (one,), (), [other_node(theirs)])


# -- carried out -----------------------------------------------------------------------


def engine_with_gpu() -> FakeEngine:
    world = World(compute_modes={GPU: "DEFAULT"})
    world.add_image("app:1")
    return FakeEngine(world)


def observed(engine: FakeEngine) -> ObservedState:
    found = engine.observe(Query(PROJECT, "app:1", f"{PROJECT}-net"))
    return replace(found, compute_modes=tuple(engine.world.compute_modes.items()))


def execution(engine: FakeEngine, folder: Path, run_id: str = "run-1") -> Execution:
    def set_mode(uuid: str, mode: str) -> None:
        engine.journal.append(f"set {uuid} {mode}")
        engine.world.compute_modes[uuid] = mode

    identity = RunIdentity(PROJECT, run_id, str(folder / run_id))
    return Execution(engine, identity, lambda _: None, compute_modes=set_mode)


def test_what_is_done_in_which_order(tmp_path: Path) -> None:
    engine = engine_with_gpu()
    execute(make_plan(CONSENTED, observed(engine)), execution(engine, tmp_path))
    assert engine.journal == [
        "create_network pair-net for pair",
        "start_sidecar pair-mps as run-1",
        f"set {GPU} {EXCLUSIVE}",
        "start_nodes pair-node-0 pair-node-1 as run-1",
    ]
    assert make_plan(CONSENTED, observed(engine)).is_empty
    engine.journal.clear()
    execute(make_destroy_plan(observed(engine)), execution(engine, tmp_path, ""))
    assert [each for each in engine.journal if "save_log" not in str(each)] == [
        "stop_nodes pair-node-0 pair-node-1 grace 5",
        "remove_nodes pair-node-0 pair-node-1",
        f"set {GPU} DEFAULT",
        "save_sidecar_log pair-mps",
        "remove_sidecars pair-mps",
        "remove_network pair-net",
    ]
    assert (tmp_path / "run-1" / "mps.log").read_text() == "[Control] Start\n"
    assert (tmp_path / "run-1" / "sidecar.json").is_file()


def test_a_mode_that_cannot_be_put_back_keeps_the_daemon_that_remembers_it(tmp_path: Path) -> None:
    engine = engine_with_gpu()
    execute(make_plan(CONSENTED, observed(engine)), execution(engine, tmp_path))

    def refuse(uuid: str, mode: str) -> None:
        raise GpuUnavailable("Insufficient Permissions")

    run = replace(execution(engine, tmp_path), compute_modes=refuse)
    with pytest.raises(GpuUnavailable):
        execute(make_destroy_plan(observed(engine)), run)
    left = observed(engine)
    assert (left.nodes, [each.restores for each in left.sidecars]) == ((), [((GPU, "DEFAULT"),)])
    execute(make_destroy_plan(left), execution(engine, tmp_path))
    assert (observed(engine).sidecars, engine.world.compute_modes) == ((), {GPU: "DEFAULT"})


def test_nodes_are_not_started_beside_a_daemon_that_was_not(tmp_path: Path) -> None:
    engine = engine_with_gpu()
    engine.failures["start_sidecar"] = EngineFailed("no")
    with pytest.raises(EngineFailed):
        execute(make_plan(CONSENTED, observed(engine)), execution(engine, tmp_path))
    assert observed(engine).nodes == ()
    assert engine.world.compute_modes == {GPU: "DEFAULT"}


# -- restarts --------------------------------------------------------------------------


def test_a_restart_is_beside_a_daemon_of_its_own(tmp_path: Path) -> None:
    engine = engine_with_gpu()
    execute(make_plan(CONSENTED, observed(engine)), execution(engine, tmp_path))
    engine.journal.clear()
    restart = lost_daemon()
    found = replace(observed(engine), compute_modes=())  # a restart asks no GPU
    execute(restart_plan(CONSENTED, found, restart), execution(engine, tmp_path, "run-2"))
    assert [each for each in engine.journal if "log" not in str(each)] == [
        "stop_nodes pair-node-0 pair-node-1 grace 5",
        "remove_nodes pair-node-0 pair-node-1",
        f"set {GPU} DEFAULT",
        "remove_sidecars pair-mps",
        "start_sidecar pair-mps as run-2",
        f"set {GPU} {EXCLUSIVE}",
        "start_nodes pair-node-0 pair-node-1 as run-2",
    ]
    (sidecar,) = observed(engine).sidecars
    assert (sidecar.run_id, sidecar.restores) == ("run-2", ((GPU, "DEFAULT"),))
    assert make_plan(CONSENTED, observed(engine)).is_empty


def lost_daemon() -> Restart:
    story = Story(beside=sidecar_spec())
    story.beside(status=NodeStatus.EXITED, exit_code=137, finished_at_s=START_S + 9.0)
    run = story.at(10.0)
    results = evaluate((Mps(),), run)
    restart = next_restart(results, run, diagnose(results, run), Allowance(2, 0))
    assert restart is not None
    return restart


def test_its_loss_is_worth_a_restart_and_too_few_clients_are_not() -> None:
    assert lost_daemon().cause == "the mps daemon pair-mps was killed by signal 9 (exit code 137)"
    story = Story(beside=sidecar_spec())
    story.clients(1, 1)
    run = story.at(500.0)
    results = evaluate((Mps(),), run)
    assert [each.name for each in results if each.status is Status.FAILED] == ["mps"]
    assert next_restart(results, run, diagnose(results, run), Allowance(2, 0)) is None


# -- from beginning to end ---------------------------------------------------------------


def mps_bench(bench: Bench) -> Bench:
    bench.write(f"{PLAYBOOK}gpu: {{mode: mps}}\n")
    bench.gpus = (Gpu(0, GPU, "A", compute_mode="Exclusive_Process"),)
    lines = ((0.0, joined(rank).replace('"gloo"', '"cpu:gloo,cuda:gloo"')) for rank in range(2))
    bench.engine.scripts = {rank: Script((line,), 0.0) for rank, line in enumerate(lines)}
    return bench


def test_a_run_with_a_daemon_holds_also_when_it_is_judged_again(bench: Bench) -> None:
    outcome = mps_bench(bench).apply()
    assert results(outcome) == [
        ("alive", "ok"),
        ("mps", "ok"),
        ("joined", "ok"),
        ("completed", "ok"),
    ]
    assert outcome.judgement is not None
    again = recall(bench.folder / ".orchestrate/runs/pair/run-1")
    assert again.judgement.results == outcome.judgement.results
    assert again.missing == ()
    assert bench.apply().plan.is_empty


def test_a_run_that_lost_its_daemon_is_judged_the_same_again(bench: Bench) -> None:
    mps_bench(bench)
    bench.engine.scripts = {rank: Script() for rank in range(2)}
    bench.engine.world.clients = "clients: 1 now, 1 at most"

    def kill(event: Event) -> None:
        if isinstance(event, AttemptBegan):
            at_s = bench.engine.now()
            gone = {"status": NodeStatus.EXITED, "exit_code": 137, "finished_at_s": at_s}
            bench.engine.world.change_sidecar(**gone)

    outcome = bench.apply_telling(kill)
    assert outcome.judgement is not None
    assert outcome.judgement.diagnosis is not None
    how = "was killed by signal 9 (exit code 137)"
    assert outcome.judgement.diagnosis.brief == f"the mps daemon pair-mps {how}"
    assert bench.kept["run-1/mps.log"] == "[Control] Start\n"
    again = recall(bench.folder / ".orchestrate/runs/pair/run-1")
    assert again.judgement.results == outcome.judgement.results
    assert again.judgement.diagnosis == outcome.judgement.diagnosis


def test_without_a_verdict_the_daemons_own_file_tells(bench: Bench) -> None:
    mps_bench(bench).apply()
    folder = bench.folder / ".orchestrate/runs/pair/run-1"
    for name in ("verdict.json", "sidecar.json"):
        (folder / name).unlink()
    assert [each.status for each in recall(folder).judgement.results if each.name == "mps"] == [
        Status.FAILED
    ]
    plan = make_destroy_plan(bench.engine.observe(Query("pair")))
    execute(plan, Execution(bench.engine, RunIdentity("pair", "", ""), lambda _: None))
    assert [each.status for each in recall(folder).judgement.results if each.name == "mps"] == [
        Status.OK
    ]
