"""Findings on GPUs: driver, toolkit, CDI, MPS and MIG. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.doctor import mending
from orchestrator.doctor.facts import Engine, Facts, Gpus, System, Unknown
from orchestrator.doctor.finding import Finding, RunProgram, Status, ok, skipped
from orchestrator.doctor.judging.engine import version_of
from orchestrator.doctor.needs import Needs
from orchestrator.errors import ExitCode
from orchestrator.gpus.demand import GpuDemand
from orchestrator.gpus.inventory import DEFAULT_COMPUTE_MODE, Gpu
from orchestrator.gpus.names import uuid_of
from orchestrator.gpus.pool import closed

_CDI_SINCE = (25, 0)


def judge_gpus(facts: Facts, needs: Needs | None) -> Iterator[Finding]:
    """What a playbook with GPUs needs; without a playbook what there is of it."""
    gpus, mode = facts.gpus, needs.gpu_mode if needs else ""
    if mode == "cpu":
        yield skipped("gpus", "not needed: gpu.mode is cpu")
        return
    if not mode and isinstance(gpus.inventory, Unknown):
        yield skipped("gpus", f"{gpus.inventory.why}; only playbooks with GPUs need one")
        return
    yield _driver(gpus, facts.system)
    yield _toolkit(facts)
    yield _cdi(facts)
    yield _mps(gpus, mode, facts.system)
    if not isinstance(gpus.inventory, Unknown):
        yield _mig(gpus.inventory)
        yield _compute_mode(gpus.inventory, needs.gpus if needs else None, facts.system)


def _driver(gpus: Gpus, system: System) -> Finding:
    found = gpus.inventory
    version = f"driver {gpus.driver}".rstrip()
    if not isinstance(found, Unknown):
        return ok("gpu-driver", f"{version}: {'; '.join(map(str, found))}")
    # With a driver in the kernel, what nvidia-smi said of it is the better advice.
    mend = found.fix if gpus.driver else mending.install_driver(system)
    return Finding(
        "gpu-driver",
        Status.PROBLEM,
        found.why,
        "GPUs are chosen by the UUIDs that it lists; gpu.mode: cpu needs none",
        mend,
        ExitCode.GPU_UNAVAILABLE,
    )


def _toolkit(facts: Facts) -> Finding:
    docker, toolkit = facts.docker, facts.gpus.toolkit
    if docker is None:
        return skipped("gpu-toolkit", "not needed: nodes are processes of this machine")
    if not docker.place.is_local:
        return skipped("gpu-toolkit", "it would be on the engine's machine")
    if _has_hook(facts):
        return ok("gpu-toolkit", toolkit.hook or "the engine has the runtime nvidia")
    if _knows_all(facts):
        return skipped("gpu-toolkit", "not needed: the engine gives GPUs by CDI")
    if toolkit.ctk:
        found = f"{toolkit.ctk} is there, and its hook for containers is not"
        mend = mending.configure_toolkit(facts.system)
    else:
        found, mend = "not installed", mending.install_toolkit(facts.system)
    return Finding(
        "gpu-toolkit",
        Status.PROBLEM,
        found,
        "the engine hands no GPU to a container without it",
        mend,
        ExitCode.GPU_UNAVAILABLE,
    )


def _has_hook(facts: Facts) -> bool:
    """True where the engine takes `--gpus`, as far as that can be told from outside."""
    engine = facts.docker.engine if facts.docker else None
    has_runtime = isinstance(engine, Engine) and "nvidia" in engine.runtimes
    return bool(facts.gpus.toolkit.hook) or has_runtime


def _knows_all(facts: Facts) -> bool:
    """True where the engine can inject every GPU or slice of the machine by its UUID."""
    engine = facts.docker.engine if facts.docker else None
    inventory = facts.gpus.inventory
    if not isinstance(engine, Engine) or isinstance(inventory, Unknown):
        return False
    known = set(map(uuid_of, engine.cdi_devices))
    return known >= {
        unit.uuid for gpu in inventory for unit in (gpu.slices if gpu.has_mig else (gpu,))
    }


def _cdi(facts: Facts) -> Finding:
    docker, gpus = facts.docker, facts.gpus
    engine = docker.engine if docker else None
    if not isinstance(engine, Engine):
        return skipped("gpu-cdi", "there is no engine that has a use for it")
    if _knows_all(facts):
        return ok("gpu-cdi", f"the engine knows every GPU: {', '.join(engine.cdi_devices)}")
    if not engine.cdi_folders:
        why = "is off" if version_of(engine.version) >= _CDI_SINCE else "begins with engine 25"
        return skipped("gpu-cdi", f"CDI {why} here")
    found = "the engine takes CDI devices, and does not know every GPU by its UUID"
    if _has_hook(facts) or not gpus.toolkit.ctk:
        return skipped("gpu-cdi", f"{found}: `--gpus` is used")
    return Finding(
        "gpu-cdi",
        Status.WARNING,
        found,
        "an engine without NVIDIA's hook gets GPUs in this way alone",
        mending.generate_cdi(facts.system),
        remedies=(RunProgram(mending.GENERATE_CDI),),
    )


def _mps(gpus: Gpus, mode: str, system: System) -> Finding:
    mps = gpus.mps
    if mps.is_running:
        return Finding(
            "gpu-mps",
            Status.WARNING,
            f"a daemon of this machine runs at {mps.pipe_folder}",
            "it may hold GPUs that are in exclusive mode, and nodes that do not reach it get none",
            "echo quit | nvidia-cuda-mps-control",
        )
    if mps.program or mode != "mps":
        found = mps.program or "no nvidia-cuda-mps-control on this machine"
        return ok("gpu-mps", found) if mode == "mps" else skipped("gpu-mps", found)
    return Finding(
        "gpu-mps",
        Status.WARNING,
        "no nvidia-cuda-mps-control on this machine",
        "NVIDIA's toolkit mounts it from here into the daemon's container",
        mending.install_driver(system),
    )


def _mig(gpus: Sequence[Gpu]) -> Finding:
    """What there is of slices. That it is not what a playbook asks for, planning says."""
    cut = [gpu for gpu in gpus if gpu.has_mig]
    if not cut:
        return skipped("gpu-mig", "no GPU is cut into slices")
    return ok("gpu-mig", "; ".join(map(str, cut)))


def _compute_mode(gpus: Sequence[Gpu], demand: GpuDemand | None, system: System) -> Finding:
    id_ = "gpu-compute-mode"
    odd = [gpu for gpu in gpus if gpu.compute_mode != DEFAULT_COMPUTE_MODE]
    if not odd:
        return ok(id_, f"{DEFAULT_COMPUTE_MODE}: any number of processes")
    found = "; ".join(f"GPU {gpu.index}: {gpu.compute_mode}" for gpu in odd)
    shut = closed(demand, gpus) if demand else {}
    first = next((gpu for gpu in odd if gpu.uuid in shut), None)
    if first is None:
        return ok(id_, found)
    return Finding(
        id_,
        Status.WARNING,
        found,
        "a GPU that takes one process or none is not chosen for such nodes",
        mending.as_root(system, f"nvidia-smi -i {first.index} -c DEFAULT"),
    )
