"""Findings on what there is room for: disk, memory, processors, addresses. Pure.

Those on processors, memory and disk are apply's own, too: see `preflight.py`.
"""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.doctor.facts import Docker, Engine, Facts, Networks, Room, Unknown
from orchestrator.doctor.finding import Finding, RemoveProject, Status, ok, skipped
from orchestrator.doctor.fitting import (
    GIB,
    PULL_BYTES,
    cpus_fit,
    disk_fits,
    is_full,
    memory_fits,
    space_for,
)
from orchestrator.doctor.needs import Load, Needs
from orchestrator.errors import ExitCode

DEFAULT_POOLS = 31
"""Networks that fit into the engine's default ranges: 172.17/16 to 172.31/16, 192.168/16 by /20."""

_FEW = 3


def judge_room(facts: Facts, needs: Needs | None) -> Iterator[Finding]:
    """Disk, memory, processors, shared memory, addresses."""
    docker = facts.docker
    engine = docker.engine if docker else None
    if docker is not None and not isinstance(engine, Unknown):
        yield _disk_of(docker, needs)
        yield _addresses(docker.networks, needs, docker)
        yield from _leftovers(docker.networks)
    load = needs.load if needs else None
    if docker is None:
        yield skipped("memory", "the embedded engine limits nothing")
        return
    yield judge_cpus(load, engine.cpus if isinstance(engine, Engine) else facts.cpus)
    yield _memory(facts, docker, load)
    yield _shm(needs)


def _memory(facts: Facts, docker: Docker, load: Load | None) -> Finding:
    engine, free = docker.engine, facts.memory_free_bytes
    if isinstance(engine, Unknown):
        return judge_memory(load, facts.memory_bytes, free)
    if not engine.is_in(docker.place, facts.release):
        free = Unknown("the engine's machine does not say what is free")
    return judge_memory(load, engine.memory_bytes, free)


def judge_cpus(load: Load | None, cpus: int) -> Finding:
    """Processors against what one node, and all of them together, may use."""
    if load is None:
        return ok("cpus", f"{cpus} processors")
    if load.cpus_of_one > cpus:
        return Finding(
            "cpus",
            Status.PROBLEM,
            f"a node is given {load.cpus_of_one:g} processors, and there are {cpus}",
            "the engine refuses a node that may use more than it has",
            f"set ranks.resources.cpus to {cpus} or less",
            ExitCode.NODE_NOT_STARTED,
        )
    found = f"{load.cpus:g} of {cpus} processors for {load.num_nodes} nodes"
    if cpus_fit(of_one=load.cpus_of_one, together=load.cpus, has=cpus):
        return ok("cpus", found if load.cpus else f"{cpus} processors, no limit for any node")
    return Finding(
        "cpus",
        Status.WARNING,
        found,
        "nodes take turns: steps take longer than on machines of their own, and waits may time out",
        f"set ranks.resources.cpus to {_share(cpus, load.num_nodes)}, or lower ranks.nodes",
    )


def _share(cpus: int, num_nodes: int) -> str:
    """Each node's part, rounded down so that the sum fits."""
    return f"{max(int(cpus / num_nodes * 100), 1) / 100:g}"


def judge_memory(load: Load | None, total: int, free: int | Unknown) -> Finding:
    """Memory against what all nodes together may use.

    That it exceeds what this machine has is a fault of the playbook, which loading it names.
    """
    has = f"{total / GIB:.1f} GiB"
    left = "" if isinstance(free, Unknown) else f", {free / GIB:.1f} GiB of it free"
    if load is None or not load.memory_bytes:
        return ok("memory", has + left)
    found = f"{load.memory_bytes / GIB:.1f} GiB for {load.num_nodes} nodes; there are {has}{left}"
    known = None if isinstance(free, Unknown) else free
    if memory_fits(together=load.memory_bytes, total=total, free=known):
        return ok("memory", found)
    return Finding(
        "memory",
        Status.WARNING,
        found,
        "nodes that use all they may are killed, or the machine slows down to a crawl",
        "lower ranks.resources.memory or ranks.nodes, or end what else uses memory",
    )


def _disk_of(docker: Docker, needs: Needs | None) -> Finding:
    if isinstance(docker.room, Unknown):
        return skipped("disk", docker.room.why)
    if needs is None:
        return judge_disk(docker.room, PULL_BYTES)
    is_here = isinstance(docker.image_bytes, int)
    return judge_disk(docker.room, space_for(builds=needs.builds, is_here=is_here))


def judge_disk(room: Room, needed: int) -> Finding:
    """Room on the engine's disk against what an apply may well need."""
    free_bytes, free_files = room.free_bytes, room.free_files
    found = f"{free_bytes / GIB:.1f} GiB free at {room.path}"
    mend = "docker system df    (then, for what you can spare: docker image prune)"
    if disk_fits(free_bytes=free_bytes, free_files=free_files, needed=needed):
        return ok("disk", found)
    if not is_full(free_bytes=free_bytes, free_files=free_files):
        why = f"images and logs, which the engine does not bound, may need {needed / GIB:.1f} GiB"
        return Finding("disk", Status.WARNING, found, why, mend)
    if free_files == 0:
        found = f"no file can be made at {room.path}: no inode is left"
    why = "no container can be made"
    return Finding("disk", Status.PROBLEM, found, why, mend, ExitCode.OUT_OF_SPACE)


def _addresses(networks: Networks | Unknown, needs: Needs | None, docker: Docker) -> Finding:
    if isinstance(networks, Unknown) or isinstance(docker.engine, Unknown):
        return skipped("addresses", "the engine's networks could not be listed")
    pools = sum(docker.engine.pool_sizes) or DEFAULT_POOLS
    used = len(networks.names)
    found = f"{used} of about {pools} ranges of addresses are used by networks"
    if used < pools - _FEW:
        return ok("addresses", found)
    makes = needs is not None and needs.network is not None
    if needs is not None and (not makes or needs.network in networks.names):
        return ok("addresses", f"{found}; none is needed")
    is_full = makes and used >= pools
    return Finding(
        "addresses",
        Status.PROBLEM if is_full else Status.WARNING,
        found,
        "each project's network takes one",
        "docker network prune    (removes networks that no container is on)",
        ExitCode.ADDRESS_UNAVAILABLE if is_full else None,
    )


def _leftovers(networks: Networks | Unknown) -> Iterator[Finding]:
    if isinstance(networks, Unknown):
        return
    if not networks.stale:
        yield ok("leftovers", "nothing of a killed apply is left")
        return
    commands = " && ".join(f"orchestrate destroy {name}" for name in networks.stale)
    yield Finding(
        "leftovers",
        Status.WARNING,
        f"projects without nodes: {', '.join(networks.stale)}",
        "an apply was killed there; a network that is left takes a range of addresses",
        commands,
        remedies=tuple(map(RemoveProject, networks.stale)),
    )


def _shm(needs: Needs | None) -> Finding:
    if needs is None or needs.load.shm_bytes is None:
        return skipped("shm", "no playbook asks for it")
    shm = needs.load.shm_bytes
    if needs.load.shm_over_memory:
        return Finding(
            "shm",
            Status.WARNING,
            f"{needs.load.shm_over_memory}: its shm_size is larger than its memory",
            "what is in it counts as the node's memory: the node is killed before it is full",
            "lower ranks.resources.shm_size, or raise ranks.resources.memory",
        )
    if needs.gpu_mode != "cpu" and shm < GIB:
        return Finding(
            "shm",
            Status.WARNING,
            f"{shm / GIB:.2f} GiB of /dev/shm for a node with GPUs",
            "NCCL and DataLoader workers fail in the middle of a run when it is full",
            "set ranks.resources.shm_size to 1GiB, or leave it out",
        )
    return ok("shm", f"{shm / GIB:.2f} GiB of /dev/shm in each node")
