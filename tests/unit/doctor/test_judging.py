"""What the doctor makes of a machine: whole findings, one machine a case."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.doctor.facts import (
    Facts,
    Family,
    Feature,
    Folder,
    Limiting,
    Mps,
    Networks,
    Place,
    Room,
    System,
    Toolkit,
    Unknown,
)
from orchestrator.doctor.finding import (
    PAGE,
    Finding,
    RemoveProject,
    RunProgram,
    Status,
    exit_code,
    ok,
    skipped,
)
from orchestrator.doctor.judging import judge
from orchestrator.doctor.judging.engine import version_of
from orchestrator.doctor.needs import Needs
from orchestrator.errors import ExitCode
from orchestrator.gpus.inventory import Slice
from tests.unit.doctor.machines import (
    A100,
    COMMAND,
    DEBIAN,
    DOCKER,
    ENGINE,
    GIB,
    GPU_PAIR,
    NO_DRIVER,
    PAIR,
    WELL,
    machine,
    needing,
    with_docker,
    with_engine,
    with_gpus,
    with_mode,
)

START = Finding(
    "engine-answers",
    Status.PROBLEM,
    "asking for the engine's version: Cannot connect",
    "no node can be made without it; `--engine local` runs nodes as plain processes",
    "sudo systemctl start docker",
    ExitCode.ENGINE_UNAVAILABLE,
    (RunProgram(("systemctl", "start", "docker")),),
)
SILENT = Unknown(
    "asking for the engine's version: Cannot connect", "start it", ExitCode.ENGINE_UNAVAILABLE
)
DEBIANS_DRIVER = (
    "with `contrib non-free non-free-firmware` in /etc/apt/sources.list: sudo apt-get update &&"
    " sudo apt-get install -y nvidia-driver"
)
NOT_ALL_BY_CDI = "the engine takes CDI devices, and does not know every GPU by its UUID"
DEAD = {"engine": SILENT, "networks": SILENT, "room": SILENT, "image_bytes": SILENT}


def found(facts: Facts, needs: Needs | None, id_: str) -> Finding:
    """The one finding of that name."""
    (finding,) = [each for each in judge(facts, needs) if each.id == id_]
    return finding


def troubles(facts: Facts, needs: Needs | None = PAIR) -> tuple[Finding, ...]:
    """All that is not well."""
    bad = {Status.WARNING, Status.PROBLEM}
    return tuple(each for each in judge(facts, needs) if each.status in bad)


def test_a_machine_that_is_well() -> None:
    assert judge(WELL, PAIR) == (
        ok("docker-command", "/usr/bin/docker, version 28.5.1"),
        ok("engine-answers", "at unix:///var/run/docker.sock: Debian GNU/Linux 12 (bookworm)"),
        ok("engine-version", "28.5.1"),
        ok("engine-place", "on this machine"),
        ok("limits", "cgroup version 2, systemd: memory, cpus and pids can be limited"),
        ok("buildx", "there: images are built with BuildKit"),
        ok("image", "app:1 is here, 1.1 GB"),
        ok("clock", "the engine's clock is this machine's"),
        ok("disk", "100.0 GiB free at /var/lib/docker"),
        ok("addresses", "1 of about 31 ranges of addresses are used by networks"),
        ok("leftovers", "nothing of a killed apply is left"),
        ok("cpus", "2 of 8 processors for 2 nodes"),
        ok("memory", "4.0 GiB for 2 nodes; there are 32.0 GiB, 30.0 GiB of it free"),
        ok("shm", "1.00 GiB of /dev/shm in each node"),
        skipped("gpus", "not needed: gpu.mode is cpu"),
        ok("kernel-bridge", "built in (joins the nodes of a network)"),
        ok("kernel-veth", "built in (connects a node to its network)"),
        ok("kernel-netem", "built in (delay and loss between nodes)"),
        ok("kernel-tbf", "built in (bounds on bandwidth between nodes)"),
        ok("kernel-vxlan", "built in (networks over several machines)"),
        skipped("port", "none is needed on this machine: nodes have their own"),
        ok("state-folder", "/home/u/.local/state/orchestrate, 50.0 GiB free"),
        ok("runs-folder", "/home/u/.orchestrate/runs, 50.0 GiB free"),
        ok("python", "3.12.1, orchestrate 0.1.0"),
        ok("plan", "4 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be."),
    )
    assert exit_code(judge(WELL, PAIR)) is ExitCode.CONVERGED


def test_the_general_part_asks_for_nothing() -> None:
    general = judge(machine(plan=None), None)
    assert [each for each in general if each.status is Status.SKIPPED] == [
        skipped("image", "no playbook names one"),
        skipped("shm", "no playbook asks for it"),
        skipped("gpus", f"{NO_DRIVER.why}; only playbooks with GPUs need one"),
        skipped("port", "none is needed on this machine: nodes have their own"),
    ]
    assert {each.status for each in general} == {Status.OK, Status.SKIPPED}


def test_an_engine_that_does_not_answer() -> None:
    assert troubles(with_docker(**DEAD)) == (START,)
    assert exit_code(troubles(with_docker(**DEAD))) is ExitCode.ENGINE_UNAVAILABLE


@pytest.mark.parametrize(
    ("place", "mend"),
    [
        (
            Place("unix:///var/run/docker.sock", is_denied=True),
            "sudo usermod -aG docker $USER    (then log in again)",
        ),
        (
            Place("tcp://far:2375", is_local=False, is_usual=False),
            "start the engine at tcp://far:2375, or `unset DOCKER_HOST DOCKER_CONTEXT`",
        ),
    ],
)
def test_an_engine_that_cannot_be_started_from_here(place: Place, mend: str) -> None:
    assert troubles(with_docker(place=place, **DEAD)) == (replace(START, mend=mend, remedies=()),)


def test_no_docker_command() -> None:
    missing = Unknown("there is no `docker` command on this machine")
    facts = with_docker(command=missing, **DEAD)
    assert troubles(facts) == (
        Finding(
            "docker-command",
            Status.PROBLEM,
            missing.why,
            "nodes are containers, and images are built with this command; `--engine local` does"
            " without, and without isolation",
            "sudo apt-get install -y docker.io && sudo systemctl start docker",
            ExitCode.ENGINE_UNAVAILABLE,
        ),
    )
    assert found(facts, PAIR, "engine-answers").status is Status.SKIPPED


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (
            "20.10.24+dfsg1",
            "20.10.24+dfsg1: builds with BuildKit only where buildx is installed; two applies at"
            " the same moment can make a network twice; no CDI devices",
        ),
        ("26.1.5", "26.1.5: CDI devices only where features.cdi is turned on"),
        ("28.2.0", "28.2.0"),
        ("dev", "dev"),
    ],
)
def test_what_an_engine_lacks_is_told(version: str, said: str) -> None:
    assert found(with_engine(version=version), PAIR, "engine-version") == ok("engine-version", said)


def test_an_engine_older_than_the_oldest_that_is_tested() -> None:
    (finding,) = troubles(with_engine(version="19.03.15"))
    assert (finding.id, finding.status, finding.code) == ("engine-version", Status.WARNING, None)
    assert finding.mend == "install a newer engine: https://docs.docker.com/engine/install/"


def test_versions() -> None:
    assert [version_of(text) for text in ("20.10.24+dfsg1", "9.1", "podman")] == [
        (20, 10),
        (9, 1),
        (9999, 0),
    ]


def test_an_engine_on_another_machine() -> None:
    far = Place("ssh://far", is_local=False, is_usual=False)
    unseen = Unknown("the engine's disk cannot be seen from this machine")
    facts = with_docker(place=far, room=unseen)
    warning = Finding(
        "engine-place",
        Status.WARNING,
        "ssh://far is another machine",
        "nodes there run without the probe: checks rest on what the script reports itself",
        "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default",
    )
    assert troubles(facts) == (warning,)
    assert found(facts, PAIR, "disk") == skipped("disk", unseen.why)
    assert not any(each.id.startswith("kernel-") for each in judge(facts, PAIR))
    why = "the probe, ranks.mounts and GPUs are this machine's, and nodes there see none of it"
    assert troubles(facts, replace(PAIR, has_mounts=True)) == (replace(warning, why=why),)


def test_an_engine_in_a_virtual_machine_has_a_kernel_and_a_memory_of_its_own() -> None:
    facts = with_engine(kernel="6.10.14-linuxkit", name="Docker Desktop", memory_bytes=8 * GIB)
    assert not any(each.id.startswith("kernel-") for each in judge(facts, PAIR))
    assert found(facts, PAIR, "memory") == ok("memory", "4.0 GiB for 2 nodes; there are 8.0 GiB")


def test_limits_that_the_engine_cannot_set() -> None:
    facts = with_engine(limiting=Limiting(memory=False, pids=False))
    problem = Finding(
        "limits",
        Status.PROBLEM,
        "cgroup version 2, systemd: no limit on memory, pids",
        "the engine drops such a limit with a warning, and apply ends as what is there is not what"
        " was asked for",
        "boot with cgroup_enable=memory on the kernel's command line",
        ExitCode.STILL_DIFFERENT,
    )
    assert troubles(facts) == (problem,)
    assert troubles(facts, None) == (replace(problem, status=Status.WARNING, code=None),)
    assert troubles(facts, needing(limits=frozenset({"cpus"}))) == ()
    rootless = with_engine(limiting=Limiting(memory=False), is_rootless=True)
    assert "rootless" in found(rootless, PAIR, "limits").mend
    assert found(rootless, PAIR, "engine-place").found == "rootless, on this machine"


def test_buildx_matters_where_an_image_is_built() -> None:
    facts = with_docker(command=replace(COMMAND, has_buildx=False))
    assert troubles(facts) == (
        Finding(
            "buildx",
            Status.WARNING,
            "not there: the image is built with the legacy builder",
            "that works, step after step, and Docker is about to take it away",
            "sudo apt-get install -y docker-buildx",
        ),
    )
    assert troubles(facts, replace(PAIR, builds=False)) == ()
    assert troubles(facts, None) == ()


def test_an_image_that_is_not_here() -> None:
    facts = with_docker(image_bytes=None)
    assert found(facts, PAIR, "image").found == "app:1 is not here: it will be built"
    pulled = found(facts, replace(PAIR, builds=False), "image")
    assert pulled == ok(
        "image",
        "app:1 is not here: it will be pulled; whether its registry answers was not asked",
    )


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (7.4, "the engine's clock is 7 s ahead of this machine's"),
        (-3600.0, "the engine's clock is 3600 s behind this machine's"),
    ],
)
def test_clocks_that_differ(ahead_s: float, said: str) -> None:
    (finding,) = troubles(with_engine(ahead_s=ahead_s))
    assert (finding.id, finding.status, finding.found) == ("clock", Status.WARNING, said)
    assert finding.mend == "on both machines: sudo timedatectl set-ntp true"
    (finding,) = troubles(with_engine(ahead_s=ahead_s, name="Docker Desktop"))
    assert finding.mend == "restart Docker Desktop"


@pytest.mark.parametrize(
    ("room", "image_bytes", "expected"),
    [
        (Room("/d", GIB // 2, 9), 1, None),
        (Room("/d", GIB // 4, 9), 1, "0.2 GiB free at /d"),
        (Room("/d", 4 * GIB, 9), None, "4.0 GiB free at /d"),
        (Room("/d", 6 * GIB), None, None),
    ],
)
def test_room_for_what_is_to_come(
    room: Room, image_bytes: int | None, expected: str | None
) -> None:
    said = [each.found for each in troubles(with_docker(room=room, image_bytes=image_bytes))]
    assert said == ([expected] if expected else [])


@pytest.mark.parametrize(
    ("room", "said"),
    [
        (Room("/d", 0, 9), "0.0 GiB free at /d"),
        (Room("/d", 9 * GIB, 0), "no file can be made at /d: no inode is left"),
    ],
)
def test_a_full_disk(room: Room, said: str) -> None:
    assert troubles(with_docker(room=room)) == (
        Finding(
            "disk",
            Status.PROBLEM,
            said,
            "no container can be made",
            "docker system df    (then, for what you can spare: docker image prune)",
            ExitCode.OUT_OF_SPACE,
        ),
    )


def test_a_node_that_may_use_more_processors_than_there_are() -> None:
    assert troubles(WELL, needing(cpus=18.0, cpus_of_one=9.0)) == (
        Finding(
            "cpus",
            Status.PROBLEM,
            "a node is given 9 processors, and there are 8",
            "the engine refuses a node that may use more than it has",
            "set ranks.resources.cpus to 8 or less",
            ExitCode.NODE_NOT_STARTED,
        ),
    )


def test_nodes_that_together_may_use_more_processors_than_there_are() -> None:
    assert troubles(WELL, needing(cpus=12.0, cpus_of_one=4.0, num_nodes=3)) == (
        Finding(
            "cpus",
            Status.WARNING,
            "12 of 8 processors for 3 nodes",
            "nodes take turns: steps take longer than on machines of their own, and waits may time"
            " out",
            "set ranks.resources.cpus to 2.66, or lower ranks.nodes",
        ),
    )


@pytest.mark.parametrize(
    ("memory_bytes", "free", "said"),
    [
        (31 * GIB, 30 * GIB, "31.0 GiB for 2 nodes; there are 32.0 GiB, 30.0 GiB of it free"),
        (33 * GIB, Unknown("?"), "33.0 GiB for 2 nodes; there are 32.0 GiB"),
        (32 * GIB, Unknown("?"), ""),
        (0, 0, ""),
    ],
)
def test_memory_of_all_nodes(memory_bytes: int, free: int | Unknown, said: str) -> None:
    facts = machine(memory_free_bytes=free)
    told = [each.found for each in troubles(facts, needing(memory_bytes=memory_bytes))]
    assert told == ([said] if said else [])


@pytest.mark.parametrize(
    ("num_used", "needs", "status"),
    [
        (27, PAIR, Status.OK),
        (28, PAIR, Status.WARNING),
        (31, PAIR, Status.PROBLEM),
        (31, replace(PAIR, network=None), Status.OK),
        (31, replace(PAIR, network="net-7"), Status.OK),
        (31, None, Status.WARNING),
    ],
)
def test_ranges_of_addresses(num_used: int, needs: Needs | None, status: Status) -> None:
    facts = with_docker(networks=Networks(tuple(f"net-{number}" for number in range(num_used))))
    finding = found(facts, needs, "addresses")
    assert finding.status is status
    assert (finding.code is ExitCode.ADDRESS_UNAVAILABLE) == (status is Status.PROBLEM)


def test_ranges_that_were_configured_count() -> None:
    facts = machine(
        docker=replace(
            DOCKER,
            engine=replace(ENGINE, pool_sizes=(256, 16)),
            networks=Networks(tuple(f"net-{number}" for number in range(40))),
        )
    )
    assert found(facts, PAIR, "addresses") == ok(
        "addresses", "40 of about 272 ranges of addresses are used by networks"
    )


def test_networks_that_a_killed_apply_has_left() -> None:
    assert troubles(with_docker(networks=Networks(("bridge", "a-net", "b-net"), ("a", "b")))) == (
        Finding(
            "leftovers",
            Status.WARNING,
            "projects without nodes: a, b",
            "an apply was killed there; a network that is left takes a range of addresses",
            "orchestrate destroy a && orchestrate destroy b",
            remedies=(RemoveProject("a"), RemoveProject("b")),
        ),
    )


def test_shared_memory() -> None:
    (finding,) = troubles(WELL, needing(shm_over_memory="pair-node-1"))
    assert (finding.id, finding.status, finding.found) == (
        "shm",
        Status.WARNING,
        "pair-node-1: its shm_size is larger than its memory",
    )
    small = replace(GPU_PAIR, load=replace(PAIR.load, shm_bytes=GIB // 4))
    (finding,) = troubles(with_gpus(), small)
    assert (finding.id, finding.found) == ("shm", "0.25 GiB of /dev/shm for a node with GPUs")
    assert troubles(WELL, needing(shm_bytes=GIB // 4)) == ()


# -- GPUs ------------------------------------------------------------------------------


def test_a_machine_with_a_gpu_that_is_well() -> None:
    gpus = [each for each in judge(with_gpus(), GPU_PAIR) if each.id.startswith("gpu")]
    assert gpus == [
        ok("gpu-driver", "driver 550.54.15: 0: GPU-8932f937 (NVIDIA A100, 40 GiB)"),
        ok("gpu-toolkit", "/usr/bin/nvidia-container-runtime-hook"),
        skipped("gpu-cdi", f"{NOT_ALL_BY_CDI}: `--gpus` is used"),
        skipped("gpu-mps", "/usr/bin/nvidia-cuda-mps-control"),
        skipped("gpu-mig", "no GPU is cut into slices"),
        ok("gpu-compute-mode", "Default: any number of processes"),
    ]
    assert troubles(with_gpus(), GPU_PAIR) == ()
    assert troubles(with_gpus(), None) == ()


def test_a_gpu_playbook_without_any_nvidia_software() -> None:
    assert troubles(WELL, GPU_PAIR) == (
        Finding(
            "gpu-driver",
            Status.PROBLEM,
            NO_DRIVER.why,
            "GPUs are chosen by the UUIDs that it lists; gpu.mode: cpu needs none",
            DEBIANS_DRIVER,
            ExitCode.GPU_UNAVAILABLE,
        ),
        Finding(
            "gpu-toolkit",
            Status.PROBLEM,
            "not installed",
            "the engine hands no GPU to a container without it",
            "add NVIDIA's package repository (https://docs.nvidia.com/datacenter/cloud-native/"
            "container-toolkit/latest/install-guide.html), then: sudo apt-get install -y"
            " nvidia-container-toolkit && sudo nvidia-ctk runtime configure --runtime=docker &&"
            " sudo systemctl restart docker",
            ExitCode.GPU_UNAVAILABLE,
        ),
    )


def test_a_driver_that_is_loaded_and_broken_is_mended_as_it_says() -> None:
    broken = Unknown("nvidia-smi failed: Driver/library version mismatch", "mend the driver")
    (finding,) = troubles(with_gpus(inventory=broken), GPU_PAIR)
    assert (finding.found, finding.mend) == (broken.why, broken.fix)


def test_a_toolkit_that_the_engine_does_not_know() -> None:
    old = replace(DOCKER, engine=replace(ENGINE, cdi_folders=()))
    facts = replace(with_gpus(toolkit=Toolkit("nvidia-ctk 1.17", "")), docker=old)
    (finding,) = troubles(facts, GPU_PAIR)
    assert (finding.id, finding.found, finding.mend) == (
        "gpu-toolkit",
        "nvidia-ctk 1.17 is there, and its hook for containers is not",
        "sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
    )
    known = replace(DOCKER, engine=replace(ENGINE, runtimes=("nvidia", "runc")))
    facts = replace(with_gpus(toolkit=Toolkit("", "")), docker=known)
    assert troubles(facts, GPU_PAIR) == ()


def cdi(*devices: str, **changes: Any) -> Facts:
    """A machine whose engine knows these devices, and has no hook."""
    engine = replace(ENGINE, cdi_devices=devices)
    gpus = with_gpus(toolkit=Toolkit("nvidia-ctk 1.17", ""), **changes)
    return replace(gpus, docker=replace(DOCKER, engine=engine))


def test_an_engine_that_knows_every_gpu_needs_no_hook() -> None:
    facts = cdi(f"nvidia.com/gpu={A100.uuid}", "nvidia.com/gpu=all")
    assert found(facts, GPU_PAIR, "gpu-cdi").status is Status.OK
    assert found(facts, GPU_PAIR, "gpu-toolkit") == skipped(
        "gpu-toolkit", "not needed: the engine gives GPUs by CDI"
    )
    cut = replace(A100, has_mig=True, slices=(Slice("MIG-1", "3g.20gb", 0),))
    assert troubles(cdi("nvidia.com/gpu=MIG-1", inventory=(cut,)), GPU_PAIR) == ()


@pytest.mark.parametrize("device", ["nvidia.com/gpu=0", "nvidia.com/gpu=GPU-other"])
def test_cdi_that_was_not_written_down_by_uuid_can_be(device: str) -> None:
    facts = cdi(device)
    assert troubles(facts, GPU_PAIR)[1:] == (
        Finding(
            "gpu-cdi",
            Status.WARNING,
            NOT_ALL_BY_CDI,
            "an engine without NVIDIA's hook gets GPUs in this way alone",
            "sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            remedies=(
                RunProgram(("nvidia-ctk", "cdi", "generate", "--output=/etc/cdi/nvidia.yaml")),
            ),
        ),
    )
    assert troubles(facts, GPU_PAIR)[0].id == "gpu-toolkit"


@pytest.mark.parametrize(
    ("version", "said"),
    [("20.10.24", "CDI begins with engine 25 here"), ("26.1.5", "CDI is off here")],
)
def test_an_engine_without_cdi(version: str, said: str) -> None:
    old = replace(DOCKER, engine=replace(ENGINE, version=version, cdi_folders=()))
    facts = replace(with_gpus(), docker=old)
    assert found(facts, GPU_PAIR, "gpu-cdi") == skipped("gpu-cdi", said)


def test_an_mps_daemon_in_the_way() -> None:
    running = Mps("/usr/bin/nvidia-cuda-mps-control", "/tmp/nvidia-mps", is_running=True)
    (finding,) = troubles(with_gpus(mps=running), GPU_PAIR)
    assert (finding.id, finding.status, finding.mend) == (
        "gpu-mps",
        Status.WARNING,
        "echo quit | nvidia-cuda-mps-control",
    )
    by_mps = with_mode("mps")
    assert troubles(with_gpus(mps=running), by_mps) == (finding,)
    ready = replace(running, is_running=False)
    assert found(with_gpus(mps=ready), by_mps, "gpu-mps") == ok("gpu-mps", ready.program)
    (finding,) = troubles(with_gpus(mps=replace(ready, program="")), by_mps)
    assert (finding.id, finding.mend) == ("gpu-mps", DEBIANS_DRIVER)


@pytest.mark.parametrize(
    ("compute_mode", "needs", "is_trouble"),
    [
        ("Exclusive_Process", GPU_PAIR, True),
        ("Exclusive_Process", with_mode("exclusive"), False),
        ("Exclusive_Process", with_mode("mps"), False),
        ("Prohibited", with_mode("exclusive"), True),
        ("Prohibited", None, False),
        ("Default", GPU_PAIR, False),
    ],
)
def test_compute_modes(compute_mode: str, needs: Needs | None, *, is_trouble: bool) -> None:
    facts = with_gpus(inventory=(replace(A100, compute_mode=compute_mode),))
    told = [(each.id, each.mend) for each in troubles(facts, needs)]
    mend = "sudo nvidia-smi -i 0 -c DEFAULT"
    assert told == ([("gpu-compute-mode", mend)] if is_trouble else [])
    says = found(facts, needs, "gpu-compute-mode").found
    assert says == (
        "Default: any number of processes"
        if compute_mode == "Default"
        else f"GPU 0: {compute_mode}"
    )


# -- the machine ----------------------------------------------------------------------


def test_a_kernel_without_what_networks_are_made_of() -> None:
    facts = machine(kernel={**WELL.kernel, "veth": Feature.MISSING, "sch_netem": Feature.MISSING})
    assert troubles(facts) == (
        Finding(
            "kernel-veth",
            Status.PROBLEM,
            "missing (connects a node to its network)",
            "the engine cannot make a network without it",
            "boot the distribution's own kernel, which has it as a module",
            ExitCode.ENGINE_FAILED,
        ),
    )
    assert troubles(facts, replace(PAIR, network=None)) == ()
    assert found(facts, PAIR, "kernel-netem") == skipped(
        "kernel-netem", "missing (delay and loss between nodes); not needed here"
    )


def test_a_port_that_is_taken() -> None:
    taken = Unknown(
        "port 29500 of 127.0.0.1 cannot be used: address already in use",
        "choose another rendezvous.port",
        ExitCode.ADDRESS_UNAVAILABLE,
    )
    local = machine(docker=None)
    assert [each.id for each in judge(local, PAIR)][:3] == ["docker-command", "memory", "gpus"]
    assert troubles(local) == ()
    (finding,) = troubles(replace(local, port=taken))
    assert (finding.id, finding.found, finding.mend, finding.code) == (
        "port",
        taken.why,
        taken.fix,
        ExitCode.ADDRESS_UNAVAILABLE,
    )


@pytest.mark.parametrize(
    ("closed", "said", "command"),
    [
        ("/s/o", "/s/o cannot be written", "chown"),
        ("/", "/s/o cannot be written: it is to be made in /", "install -d -o"),
    ],
)
def test_a_folder_that_cannot_be_written(closed: str, said: str, command: str) -> None:
    assert troubles(machine(folders=(Folder("state", "/s/o", closed, 0),))) == (
        Finding(
            "state-folder",
            Status.PROBLEM,
            said,
            "nothing is created where its logs, locks or secrets cannot be kept",
            f'sudo {command} "$USER" /s/o    (or set XDG_STATE_HOME to a folder of yours)',
            ExitCode.FOLDER_UNUSABLE,
        ),
    )


def test_a_folder_without_room() -> None:
    assert troubles(machine(folders=(Folder("runs", "/r", "", 1024**2),))) == (
        Finding(
            "runs-folder",
            Status.WARNING,
            "/r, 0.0 GiB free",
            "a run's logs and records are kept there",
            "free some space there",
        ),
    )


def test_what_planning_refuses() -> None:
    refusal = Unknown("image app:1 is not on this engine", "build it", ExitCode.IMAGE_UNAVAILABLE)
    (finding,) = troubles(machine(plan=refusal))
    assert finding == Finding(
        "plan",
        Status.PROBLEM,
        refusal.why,
        "apply ends with it",
        "build it",
        ExitCode.IMAGE_UNAVAILABLE,
    )


def test_every_finding_has_its_place_in_the_docs() -> None:
    page = (Path(__file__).resolve().parents[3] / PAGE).read_text()
    cases = ((WELL, PAIR), (with_gpus(), GPU_PAIR), (machine(docker=None), PAIR))
    ids = {each.id for facts, needs in cases for each in judge(facts, needs)}
    headings = re.findall(r"^### ([a-z-]+)$", page.partition("## Findings")[2], re.MULTILINE)
    assert sorted(headings) == sorted(ids)
    assert ok("cpus", "").docs == f"{PAGE}#cpus"


# -- other systems --------------------------------------------------------------------

UBUNTU = replace(DEBIAN, is_ubuntu=True)
FEDORA = System(Family.FEDORA, "Fedora Linux 42", has_systemd=True)
ROCKY = replace(FEDORA, is_enterprise=True)
ARCH = System(Family.ARCH, "Arch Linux", has_systemd=True)
SUSE = System(Family.SUSE, "openSUSE", has_systemd=True)
MACOS = System(Family.MACOS, "darwin")
WSL = replace(UBUNTU, is_wsl=True, has_systemd=False, has_init_script=True)
ROOT = replace(DEBIAN, is_root=True, has_systemd=False, has_init_script=True)
BARE = replace(ROOT, has_init_script=False)


@pytest.mark.parametrize(
    ("system", "install", "start"),
    [
        (
            FEDORA,
            "sudo dnf install -y moby-engine && sudo systemctl start docker",
            "sudo systemctl start docker",
        ),
        (
            ROCKY,
            "sudo dnf config-manager --add-repo https://download.docker.com/linux/centos/docker-ce.repo"
            " && sudo dnf install -y docker-ce docker-buildx-plugin && sudo systemctl start docker",
            "sudo systemctl start docker",
        ),
        (
            ARCH,
            "sudo pacman -S --noconfirm docker && sudo systemctl start docker",
            "sudo systemctl start docker",
        ),
        (
            SUSE,
            "sudo zypper install -y docker && sudo systemctl start docker",
            "sudo systemctl start docker",
        ),
        (ROOT, "apt-get install -y docker.io && service docker start", "service docker start"),
        (MACOS, "brew install --cask docker && open -a Docker", "open -a Docker"),
        (
            WSL,
            "install Docker Desktop on Windows and turn on its WSL integration for this"
            " distribution, or: sudo apt-get install -y docker.io && sudo service docker start",
            "sudo service docker start",
        ),
        (
            System(Family.OTHER, "Plan 9"),
            "see https://docs.docker.com/engine/install/",
            "sudo dockerd    (it stays in front; in the checkout: docker/setup.sh)",
        ),
        (
            BARE,
            "apt-get install -y docker.io && service docker start",
            "dockerd    (it stays in front; in the checkout: docker/setup.sh)",
        ),
    ],
)
def test_docker_is_got_as_the_system_has_it(system: System, install: str, start: str) -> None:
    missing = with_docker(command=Unknown("no command"), **DEAD)
    assert found(replace(missing, system=system), PAIR, "docker-command").mend == install
    stopped = found(replace(with_docker(**DEAD), system=system), PAIR, "engine-answers")
    assert stopped.mend == start
    by_itself = {each.removeprefix("sudo ") for each in (start,) if " start" in each}
    assert set(map(str, stopped.remedies)) == by_itself


@pytest.mark.parametrize(
    ("system", "modules", "driver"),
    [
        (
            UBUNTU,
            'sudo apt-get install -y "linux-modules-extra-$(uname -r)"',
            "sudo ubuntu-drivers install",
        ),
        (
            FEDORA,
            'sudo dnf install -y "kernel-modules-extra-$(uname -r)"',
            "with RPM Fusion's repository: sudo dnf install -y akmod-nvidia",
        ),
        (
            ARCH,
            "boot the distribution's own kernel, which has it as a module",
            "sudo pacman -S --noconfirm nvidia",
        ),
        (
            WSL,
            "use a kernel that has it: https://learn.microsoft.com/windows/wsl/wsl-config",
            "install NVIDIA's driver on Windows: WSL shares it",
        ),
        (
            ROCKY,
            'sudo dnf install -y "kernel-modules-extra-$(uname -r)"',
            "see https://www.nvidia.com/drivers",
        ),
        (
            SUSE,
            "boot the distribution's own kernel, which has it as a module",
            "see https://www.nvidia.com/drivers",
        ),
    ],
)
def test_kernel_and_driver_as_the_system_has_them(
    system: System, modules: str, driver: str
) -> None:
    facts = replace(machine(kernel={**WELL.kernel, "bridge": Feature.MISSING}), system=system)
    assert found(facts, GPU_PAIR, "kernel-bridge").mend == modules
    assert found(facts, GPU_PAIR, "gpu-driver").mend == driver


DOCKERS_OWN = "with Docker's package repository (https://docs.docker.com/engine/install/): sudo "


@pytest.mark.parametrize(
    ("system", "mend"),
    [
        (DEBIAN, "sudo apt-get install -y docker-buildx"),
        (
            replace(DEBIAN, version=12),
            f"{DOCKERS_OWN}apt-get install -y docker-buildx-plugin",
        ),
        (replace(UBUNTU, version=22), "sudo apt-get install -y docker-buildx"),
        (FEDORA, "sudo dnf install -y docker-buildx"),
        (ROCKY, f"{DOCKERS_OWN}dnf install -y docker-buildx-plugin"),
        (MACOS, "it comes with Docker Desktop; update that"),
        (System(Family.OTHER, "NixOS"), "see https://github.com/docker/buildx#installing"),
    ],
)
def test_buildx_as_the_system_has_it(system: System, mend: str) -> None:
    facts = with_docker(command=replace(COMMAND, has_buildx=False))
    assert found(replace(facts, system=system), PAIR, "buildx").mend == mend
