"""Nodes as process groups on this machine's loopback: the embedded engine.

It promises no isolation: nodes see the host's files, network and each other, run as the
user who applied, and have no limits of their own (`user`, `limits` and `confinement` of a
spec are recorded and compared, not enforced). It serves where Docker is missing.

Its objects are folders, its memory of them the records inside (see folders,
record), and each node has a supervisor that outlives the orchestrator (see
supervisor). So every call works from another process than the one that started
the nodes.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from orchestrator.engines import secret_files
from orchestrator.engines.base import OnLine, OnLog, Query
from orchestrator.engines.local import launch, liveness, logs, observe, processes
from orchestrator.engines.local.folders import (
    SECRETS,
    NodeFolder,
    create_node_folder,
    node_folders,
    project_names,
    remove_node_folder,
    remove_project_if_empty,
    typed_errors,
)
from orchestrator.engines.local.record import NodeRecord, read_node, write_node
from orchestrator.engines.local.root import default_root
from orchestrator.errors import EngineFailed, LogGone
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import ObservedNetwork, ObservedNode, ObservedState, ProjectSummary
from orchestrator.state.spec import NodeSpec, Secret, spec_hash
from orchestrator.state.traits import EngineTraits
from orchestrator.state.usage import Usage

TRAITS = EngineTraits(
    name="local",
    has_images=False,
    has_networks=False,
    is_isolated=False,
    node_env={
        "CUDA_VISIBLE_DEVICES": "",
        # Without it Gloo asks for the address of the hostname, which need not be loopback.
        "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
    },
    loopback=True,
    gpu_variable="CUDA_VISIBLE_DEVICES",
    in_place=frozenset({"status"}),
)


class LocalEngine:
    """An `Engine` that needs nothing but this machine.

    Args:
        root: the folder that holds all projects; None: `default_root` of the environment.
    """

    def __init__(self, root: Path | None = None) -> None:
        self._root = (root or default_root(os.environ)).absolute()
        self.traits = replace(TRAITS, endpoint=os.path.realpath(self._root))

    # -- looking ---------------------------------------------------------------

    def observe(self, query: Query) -> ObservedState:
        """See `Engine.observe`."""
        with typed_errors(f"looking at project {query.project}"):
            folders = node_folders(self._root, query.project)
            return ObservedState(
                project=query.project,
                nodes=observe.observe_nodes(folders),
                foreign=observe.observe_foreign(folders, query),
            )

    def observe_nodes(self, project: str) -> tuple[ObservedNode, ...]:
        """See `Engine.observe_nodes`."""
        with typed_errors(f"looking at project {project}"):
            return observe.observe_nodes(node_folders(self._root, project))

    def projects(self, name: str | None = None) -> tuple[ProjectSummary, ...]:
        """See `Engine.projects`. Other users' are left out."""
        with typed_errors("listing projects"):
            names = [each for each in project_names(self._root) if name in {None, each}]
            found = map(self._summary, names)
            return tuple(summary for summary in found if summary.node_names)

    def _summary(self, project: str) -> ProjectSummary:
        folders = [
            folder for folder in node_folders(self._root, project) if not observe.is_foreign(folder)
        ]
        records = (read_node(folder.path) for folder in folders)
        playbooks = (each.identity.playbook for each in records if isinstance(each, NodeRecord))
        names = sorted(folder.node_name for folder in folders)
        return ProjectSummary(project, next(playbooks, ""), tuple(names))

    def usage(self, nodes: Sequence[ObservedNode]) -> tuple[Usage, ...]:
        """See `UsageSource.usage`: the sum over a node's processes; nothing without /proc."""
        with typed_errors("looking at what nodes use"):
            folders = {node.node_rank: self._folder(node) for node in nodes}
            return processes.usage({rank: f.path for rank, f in folders.items() if f is not None})

    # -- images and networks: never planned, as `traits` says that there are none ---

    def build_image(self, image: ImageSpec, on_line: OnLine) -> None:  # noqa: ARG002
        """Refuse: this engine has no images. Raises EngineFailed."""
        raise _has_none("images", f"build image {image.tag}")

    def pull_image(self, image: ImageSpec, on_line: OnLine) -> None:  # noqa: ARG002
        """Refuse: this engine has no images. Raises EngineFailed."""
        raise _has_none("images", f"pull image {image.tag}")

    def create_network(self, network: NetworkSpec, project: str) -> None:  # noqa: ARG002
        """Refuse: this engine has no networks. Raises EngineFailed."""
        raise _has_none("networks", f"create network {network.name}")

    def remove_network(self, network: ObservedNetwork) -> None:
        """Refuse: this engine has no networks. Raises EngineFailed."""
        raise _has_none("networks", f"remove network {network.name}")

    # -- nodes -----------------------------------------------------------------

    def start_nodes(
        self, nodes: Sequence[NodeSpec], identity: RunIdentity, on_started: Callable[[str], None]
    ) -> None:
        """See `Engine.start_nodes`: all are checked before any is created, then started in order.

        Raises:
            NodeNotStarted: a command, workdir or mount that cannot be had.
            AddressUnavailable: the rendezvous port is taken.
            NameTaken: a node's folder is there already.
            OutOfSpace: the disk is full.
            EngineFailed: the root cannot be written.
        """
        folders = [NodeFolder(self._root, identity.project, node.node_rank) for node in nodes]
        launches = [
            launch.Launch(node, folder.path, identity)
            for node, folder in zip(nodes, folders, strict=True)
        ]
        launch.check_launches(launches, os.environ)
        with typed_errors(f"creating nodes of {identity.project}"):
            for node, folder in zip(nodes, folders, strict=True):
                create_node_folder(folder)
                write_node(folder.path, _record(node, identity))
                _place_secrets(node, folder)
        launch.launch_all(launches, os.environ, on_started)

    def change_node(self, node: ObservedNode, wanted: NodeSpec) -> None:
        """See `Engine.change_node`: a node that was stopped by a signal goes on."""
        with typed_errors(f"changing node {wanted.name}"):
            if (folder := self._folder(node)) is not None:
                liveness.thaw(folder.path)

    def stop_nodes(self, nodes: Sequence[ObservedNode], *, grace_s: float) -> None:
        """See `Engine.stop_nodes`. A paused node goes on, to end on the signal it was sent."""
        with typed_errors("stopping nodes"):
            liveness.stop([each.path for each in self._present(nodes)], grace_s=grace_s)

    def remove_nodes(self, nodes: Sequence[ObservedNode]) -> None:
        """See `Engine.remove_nodes`."""
        with typed_errors("removing nodes"):
            present = self._present(nodes)
            liveness.kill([folder.path for folder in present])
            for folder in present:
                remove_node_folder(folder)

    def clear(self, project: str) -> None:
        """See `Engine.clear`: a folder of the project's that holds nothing."""
        with typed_errors(f"clearing away project {project}"):
            # Looks at whose it is, and refuses what is no project's name.
            if project in project_names(self._root):
                remove_project_if_empty(self._root / project)

    def _present(self, nodes: Sequence[ObservedNode]) -> list[NodeFolder]:
        """The folders of those nodes that are still there, and still the same nodes."""
        found = (self._folder(node) for node in nodes)
        return [folder for folder in found if folder is not None]

    def _folder(self, node: ObservedNode) -> NodeFolder | None:
        folder, birth = observe.parse_node_id(self._root, node.id)
        if folder not in node_folders(self._root, folder.project):
            return None
        if observe.is_foreign(folder) or observe.birth_of(folder) != birth:
            return None
        return folder

    # -- logs ------------------------------------------------------------------

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """See `Engine.follow_logs`."""
        logs.follow([self._log(node) for node in nodes], on_log, stop)

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """See `Engine.read_logs`."""
        for node in nodes:
            logs.read(self._log(node), on_log)

    def save_log(self, node: ObservedNode, path: Path) -> None:
        """See `Engine.save_log`.

        Raises:
            LogGone: it went with the node.
            OSError: `path` cannot be written.
        """
        source = self._log(node)
        if source.folder is None:
            raise LogGone(f"the log of node {node.name} went with the node")
        logs.save(source.folder, path)

    def _log(self, node: ObservedNode) -> logs.LogSource:
        with typed_errors(f"looking for the log of node {node.name}"):
            folder = self._folder(node)
        return logs.LogSource(node.node_rank, folder.path if folder else None)


def _place_secrets(node: NodeSpec, folder: NodeFolder) -> None:
    # After the record: what is on the disk belongs to a node that can be found.
    if node.secrets:
        secret_files.make_folder(folder.path / SECRETS)
        secret_files.place(folder.path / SECRETS, node.secrets)


def _record(node: NodeSpec, identity: RunIdentity) -> NodeRecord:
    return NodeRecord(
        format=1,
        birth=secrets.token_hex(4),
        identity=identity,
        spec_hash=spec_hash(node),
        spec=replace(node, secrets=tuple(Secret(secret.name) for secret in node.secrets)),
    )


def _has_none(things: str, asked: str) -> EngineFailed:
    return EngineFailed(
        f"cannot {asked}: the local engine has no {things}", fix="use the docker engine"
    )
