"""Findings on the machine itself: kernel, folders, port, Python. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from orchestrator.doctor import mending
from orchestrator.doctor.facts import Facts, Feature, Folder, System, Unknown
from orchestrator.doctor.finding import Finding, Status, ok, skipped
from orchestrator.doctor.needs import Needs
from orchestrator.errors import ExitCode

NETWORKING = ("bridge", "veth")
SHAPING = ("sch_netem", "sch_tbf", "vxlan")
_USES = {
    "bridge": "joins the nodes of a network",
    "veth": "connects a node to its network",
    "sch_netem": "delay and loss between nodes",
    "sch_tbf": "bounds on bandwidth between nodes",
    "vxlan": "networks over several machines",
}
_ELSEWHERE = {
    "state": "set XDG_STATE_HOME to a folder of yours",
    "runs": "run orchestrate in a folder of yours",
}
_SCARCE_BYTES = 64 * 1024**2


def judge_machine(facts: Facts, needs: Needs | None) -> Iterator[Finding]:
    """Kernel, folders, port, Python."""
    needs_network = needs is None or needs.network is not None
    if _has_own_kernel(facts):
        for module in NETWORKING:
            yield _module(facts.kernel, module, facts.system, is_needed=needs_network)
        for module in SHAPING:
            yield _module(facts.kernel, module, facts.system, is_needed=False)
    yield _port(facts)
    for folder in facts.folders:
        yield _folder(folder)
    yield ok("python", facts.python)


def _has_own_kernel(facts: Facts) -> bool:
    """True where nodes run on the kernel that was looked at; one in a machine of its own is not."""
    docker = facts.docker
    if docker is None or isinstance(docker.engine, Unknown):
        return docker is not None and docker.place.is_local
    return docker.engine.is_in(docker.place, facts.release)


def _module(
    kernel: Mapping[str, Feature], module: str, system: System, *, is_needed: bool
) -> Finding:
    id_ = f"kernel-{module.removeprefix('sch_')}"
    has = kernel.get(module, Feature.UNKNOWN)
    found = f"{has.value} ({_USES[module]})"
    if has is Feature.UNKNOWN:
        return skipped(id_, f"cannot be told ({_USES[module]})")
    if has is not Feature.MISSING:
        return ok(id_, found)
    if not is_needed:
        return skipped(id_, f"{found}; not needed here")
    return Finding(
        id_,
        Status.PROBLEM,
        found,
        "the engine cannot make a network without it",
        mending.install_modules(system),
        ExitCode.ENGINE_FAILED,
    )


def _port(facts: Facts) -> Finding:
    if facts.docker is not None:
        return skipped("port", "none is needed on this machine: nodes have their own")
    if facts.port is None:
        return ok("port", "rank 0 can listen")
    return Finding(
        "port",
        Status.PROBLEM,
        facts.port.why,
        "all ranks meet at it, and the embedded engine's nodes share this machine's ports",
        facts.port.fix,
        facts.port.code or ExitCode.ADDRESS_UNAVAILABLE,
    )


def _folder(folder: Folder) -> Finding:
    id_ = f"{folder.use}-folder"
    if folder.closed:
        is_there = folder.closed == folder.path
        # Never a folder above ours: who owns that may well be right.
        command = 'chown "$USER"' if is_there else 'install -d -o "$USER"'
        above = "" if is_there else f": it is to be made in {folder.closed}"
        return Finding(
            id_,
            Status.PROBLEM,
            f"{folder.path} cannot be written{above}",
            "nothing is created where its logs, locks or secrets cannot be kept",
            f"sudo {command} {folder.path}    (or {_ELSEWHERE[folder.use]})",
            ExitCode.FOLDER_UNUSABLE,
        )
    found = f"{folder.path}, {folder.free_bytes / 1024**3:.1f} GiB free"
    if folder.free_bytes < _SCARCE_BYTES:
        why = "a run's logs and records are kept there"
        return Finding(id_, Status.WARNING, found, why, "free some space there")
    return ok(id_, found)
