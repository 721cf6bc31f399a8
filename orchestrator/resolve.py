"""Playbook in, desired state out: names, ranks, rendezvous and environment of every node.

Pure: reading files (the digest of a build's inputs) is the caller's part.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec.structs import replace

from orchestrator.devices import backend, gpu_demand, gpu_env, memlock_bytes
from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.launcher import under_torchrun
from orchestrator.mps import client_env, daemon_name, mps_daemon
from orchestrator.playbook.health import ContainerHealth
from orchestrator.playbook.loaded import LoadedPlaybook
from orchestrator.playbook.models import Joined, PerNode, Playbook, Progress, Ranks, Resources
from orchestrator.playbook.outside import NOTHING, Taken
from orchestrator.profiles import confinement_of, default_user, environment_of
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec, ProbeOrders
from orchestrator.state.labels import ENV_SECRETS_DIR, SECRETS_FOLDER
from orchestrator.state.spec import HealthCommand, Limits, Mount, NodeSpec, Secret, sorted_env
from orchestrator.state.traits import EngineTraits

if TYPE_CHECKING:
    from orchestrator.images.recipe import BuildRecipe

DEFAULT_SHM_BYTES = 1024**3
"""Docker's own 64 MB are too small for NCCL and DataLoader workers; unused pages cost nothing."""

DEFAULT_PIDS = 4096
"""Stops a fork bomb, and is more than any training script was seen to use."""


def build_recipe(loaded: LoadedPlaybook) -> BuildRecipe | None:
    """What the image is built from, with absolute paths; None when it is not built here."""
    build = loaded.playbook.image.build
    if build is None:
        return None
    from orchestrator.images.recipe import BuildRecipe

    context = (loaded.folder / build.context).resolve()
    return BuildRecipe(
        tag=loaded.playbook.image.tag,
        context=context,
        dockerfile=context / build.dockerfile,
        args=tuple(sorted(build.args.items())),
        requirements=context / build.requirements if build.requirements else None,
    )


def resolve(
    loaded: LoadedPlaybook,
    traits: EngineTraits,
    *,
    build_inputs: str | None = None,
    writer: str | None = None,
    taken: Taken = NOTHING,
) -> DesiredState:
    """Work out everything that the playbook asks of an engine with these traits.

    Args:
        loaded: the playbook and where it lies.
        traits: what the engine has.
        build_inputs: digest of the inputs of `build_recipe(loaded)`, if there is one.
        writer: `uid:gid` of who runs apply; nodes with a writable mount run as them.
        taken: what was read of the files and secrets that the playbook names.

    Raises:
        InvalidPlaybook: it asks for what this engine cannot give.
    """
    playbook = loaded.playbook
    _refuse_what_is_missing(loaded, traits)
    image = _image(loaded, build_inputs) if traits.has_images else None
    network = _network(playbook) if traits.has_networks else None
    nodes = tuple(
        replace(
            _node(loaded, traits, node_rank, writer),
            env=_env(playbook, traits, node_rank, taken),
            hidden_env=_hidden_env(playbook.ranks, node_rank, taken),
            secrets=tuple(Secret(name, value) for name, value in taken.secrets),
        )
        for node_rank in range(playbook.ranks.nodes)
    )
    _refuse_two_users(loaded, nodes)
    return DesiredState(
        project=playbook.name,
        image=image,
        network=network,
        nodes=_beside_a_daemon(playbook, nodes) if playbook.gpu.mode == "mps" else nodes,
        sidecar=mps_daemon(playbook, traits, nodes),
        playbook=str(loaded.path),
        playbook_digest=loaded.digest,
        gpus=gpu_demand(playbook, traits),
    )


def probe_orders(playbook: Playbook) -> ProbeOrders:
    """What the probe is told of the checks."""
    checks = playbook.health_checks if playbook.probe == "on" else ()
    joined = next((check.within_s for check in checks if isinstance(check, Joined)), None)
    progress = next((check.every_s for check in checks if isinstance(check, Progress)), None)
    checksum = any(check.kind == "parameters_in_sync" for check in checks)
    return ProbeOrders(joined, progress, checksum)


def node_name(project: str, node_rank: int) -> str:
    """Container name, hostname and network alias of a node."""
    return f"{project}-node-{node_rank}"


def network_name(playbook: Playbook) -> str:
    """The network's name: as given, or `<project>-net`."""
    return playbook.network.name or f"{playbook.name}-net"


def _refuse_what_is_missing(loaded: LoadedPlaybook, traits: EngineTraits) -> None:
    if traits.is_isolated:
        return
    faults = []
    if path := _path_of_mounts(loaded.playbook.ranks):
        faults.append(
            _fault(
                loaded,
                path,
                f"the {traits.name} engine has no file system of its own to mount into",
                "use --engine docker, or paths that exist on this machine",
            )
        )
    for index, check in enumerate(loaded.playbook.health_checks):
        if isinstance(check, ContainerHealth):
            what = f"the {traits.name} engine runs no health commands"
            fix = "use --engine docker, or leave the check out"
            faults.append(_fault(loaded, f"health_checks[{index}].container", what, fix))
    if loaded.playbook.gpu.mode == "mps":
        what = f"the {traits.name} engine runs no MPS daemon beside its nodes"
        fix = "use --engine docker, or mode: shared"
        faults.append(_fault(loaded, "gpu.mode", what, fix))
    if loaded.playbook.security.profile == "strict":
        what = f"the {traits.name} engine cannot keep a node from anything"
        fix = "use --engine docker, or profile: default"
        faults.append(_fault(loaded, "security.profile", what, fix))
    if faults:
        raise InvalidPlaybook(faults)


def _refuse_two_users(loaded: LoadedPlaybook, nodes: tuple[NodeSpec, ...]) -> None:
    """An MPS server serves one user at a time: a node of another would wait for ever."""
    users = sorted({node.user or "the image's own" for node in nodes})
    if loaded.playbook.gpu.mode == "mps" and len(users) > 1:
        what = f"MPS serves one user, and nodes would run as {' and '.join(users)}"
        fix = "say who they all run as, such as 1000:1000"
        raise InvalidPlaybook([_fault(loaded, "ranks.user", what, fix)])


def _beside_a_daemon(playbook: Playbook, nodes: tuple[NodeSpec, ...]) -> tuple[NodeSpec, ...]:
    """The nodes in the IPC namespace of their daemon, whose /dev/shm they then have."""
    ipc = daemon_name(playbook.name)
    return tuple(
        replace(node, ipc=ipc, limits=replace(node.limits, shm_bytes=None)) for node in nodes
    )


def _path_of_mounts(ranks: Ranks) -> str:
    if ranks.mounts:
        return "ranks.mounts"
    given = (node for node, override in sorted(ranks.per_node.items()) if override.mounts)
    return next((f"ranks.per_node.{node}.mounts" for node in given), "")


def _fault(loaded: LoadedPlaybook, path: str, what: str, fix: str) -> Fault:
    return Fault(str(loaded.path), 1, 1, path, what, fix)


def _image(loaded: LoadedPlaybook, build_inputs: str | None) -> ImageSpec:
    image = loaded.playbook.image
    return ImageSpec(
        tag=image.tag, pull=image.pull, recipe=build_recipe(loaded), build_inputs=build_inputs
    )


def _network(playbook: Playbook) -> NetworkSpec:
    network = playbook.network
    return NetworkSpec(network_name(playbook), network.internal, network.external)


def _node(
    loaded: LoadedPlaybook, traits: EngineTraits, node_rank: int, writer: str | None
) -> NodeSpec:
    playbook = loaded.playbook
    ranks = playbook.ranks
    mounts = _mounts(loaded, node_rank)
    return NodeSpec(
        node_rank=node_rank,
        num_ranks=ranks.nproc_per_node,
        name=node_name(playbook.name, node_rank),
        command=_command(playbook, traits, node_rank),
        image=playbook.image.tag if traits.has_images else None,
        mounts=mounts,
        limits=_limits(playbook, node_rank) if traits.is_isolated else Limits(),
        user=_user(loaded, mounts, writer) if traits.is_isolated else None,
        network=network_name(playbook) if traits.has_networks else None,
        confinement=confinement_of(playbook.security) if traits.is_isolated else None,
        workdir=None if traits.is_isolated else str(loaded.folder),
        probe=playbook.probe == "on" and traits.places_probe,
        health=_health(playbook) if traits.is_isolated else None,
    )


def _health(playbook: Playbook) -> HealthCommand | None:
    """What the check `container` has run in every node; None where it is the image's own."""
    checks = (each for each in playbook.health_checks if isinstance(each, ContainerHealth))
    check = next(checks, None)
    if check is None or check.command is None:
        return None
    return HealthCommand(
        check.command, check.interval_s, check.timeout_s, check.retries, check.start_period_s
    )


def _mounts(loaded: LoadedPlaybook, node_rank: int) -> tuple[Mount, ...]:
    ranks = loaded.playbook.ranks
    given = {posixpath.normpath(mount.target): mount for mount in ranks.mounts}
    given |= {posixpath.normpath(mount.target): mount for mount in _own(ranks, node_rank).mounts}
    return tuple(
        sorted(
            Mount(str((loaded.folder / mount.source).resolve()), mount.target, mount.read_only)
            for mount in given.values()
        )
    )


def _own(ranks: Ranks, node_rank: int) -> PerNode:
    """What the playbook says of this node alone."""
    return ranks.per_node.get(node_rank) or PerNode()


def _user(loaded: LoadedPlaybook, mounts: tuple[Mount, ...], writer: str | None) -> str | None:
    """Who runs a node: as given, else who must own what it writes, else as the profile says."""
    playbook = loaded.playbook
    if playbook.ranks.user is not None:
        return str(playbook.ranks.user)
    if not writer or all(mount.read_only for mount in mounts):
        return default_user(playbook.security)
    if playbook.security.profile == "strict" and writer.startswith("0:"):
        what = "a mount is writable, so nodes would run as root, who runs this apply"
        fix = "say who they run as, such as 1000:1000, or apply as another user"
        raise InvalidPlaybook([_fault(loaded, "ranks.user", what, fix)])
    return writer


def _limits(playbook: Playbook, node_rank: int) -> Limits:
    ranks = playbook.ranks
    common = ranks.resources
    own = _own(ranks, node_rank).resources
    given = common.model_dump(exclude_unset=True)
    given |= own.model_dump(exclude_unset=True) if own else {}
    merged = Resources.model_construct(**{**common.model_dump(), **given})
    return Limits(
        cpus=merged.cpus,
        memory_bytes=merged.memory_bytes,
        shm_bytes=merged.shm_bytes or DEFAULT_SHM_BYTES,
        pids=merged.pids or DEFAULT_PIDS,
        memlock_bytes=memlock_bytes(playbook),
    )


def master_addr(playbook: Playbook, traits: EngineTraits) -> str:
    """Node 0's address, which every rank is told."""
    return traits.address_of(node_name(playbook.name, 0))


def _env(
    playbook: Playbook, traits: EngineTraits, node_rank: int, taken: Taken
) -> tuple[tuple[str, str], ...]:
    ranks = playbook.ranks
    in_a_container = {ENV_SECRETS_DIR: SECRETS_FOLDER} if traits.is_isolated else {}
    return sorted_env(
        traits.node_env,
        environment_of(playbook.security),
        taken.env,
        ranks.env,
        taken.node_env.get(node_rank, {}),
        _own(ranks, node_rank).env,
        _rendezvous_env(playbook, traits, node_rank),
        in_a_container if taken.secrets else {},
    )


def _hidden_env(ranks: Ranks, node_rank: int, taken: Taken) -> tuple[str, ...]:
    """Names of the variables whose value comes from a file, sorted."""
    own = taken.node_env.get(node_rank, {})
    common = set(taken.env) - set(ranks.env)
    return tuple(sorted((common | set(own)) - set(_own(ranks, node_rank).env)))


def _rendezvous_env(playbook: Playbook, traits: EngineTraits, node_rank: int) -> Mapping[str, str]:
    ranks, rendezvous = playbook.ranks, playbook.rendezvous
    env = {
        "MASTER_ADDR": master_addr(playbook, traits),
        "MASTER_PORT": str(rendezvous.port),
        "WORLD_SIZE": str(ranks.nodes * ranks.nproc_per_node),
        "NODE_RANK": str(node_rank),
        "ORCHESTRATE_PROJECT": playbook.name,
        "ORCHESTRATE_BACKEND": backend(playbook),
        "ORCHESTRATE_RENDEZVOUS_TIMEOUT_S": f"{rendezvous.timeout_s:g}",
        **gpu_env(playbook, traits),
        **client_env(playbook),
    }
    if ranks.nproc_per_node == 1:  # else torchrun gives each process its own
        env |= {"RANK": str(node_rank), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1"}
    return env


def _command(playbook: Playbook, traits: EngineTraits, node_rank: int) -> tuple[str, ...]:
    """The command as given, or torchrun around it where a node runs several ranks."""
    ranks = playbook.ranks
    if ranks.nproc_per_node == 1:
        return ranks.command
    options = (
        f"--nnodes={ranks.nodes}",
        f"--node-rank={node_rank}",
        f"--nproc-per-node={ranks.nproc_per_node}",
        f"--master-addr={master_addr(playbook, traits)}",
        f"--master-port={playbook.rendezvous.port}",
    )
    return under_torchrun(ranks.command, options)
