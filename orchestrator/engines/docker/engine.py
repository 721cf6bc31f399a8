"""Nodes as containers on a Docker engine.

What only looks goes through a `Reader`, what is told through a `Changer`. There are two of
each: the engine's own socket where the docker command would use a local one, and else that
command, with containers created by python-on-whales.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from threading import Event

from msgspec.structs import replace

from orchestrator.engines import probe_files
from orchestrator.engines.base import OnLine, OnLog, Query, Restores
from orchestrator.engines.docker.changing import Changer
from orchestrator.engines.docker.cli import DockerCli, to_error
from orchestrator.engines.docker.creation import Creation, ProbePlace
from orchestrator.engines.docker.deadlines import deadlines_from
from orchestrator.engines.docker.endpoint import Ways, endpoint, make_ways, sees_this_machine
from orchestrator.engines.docker.inspection import Json, image_from_inspect
from orchestrator.engines.docker.options import update_options
from orchestrator.engines.docker.ownership import Ownership, owner_of
from orchestrator.engines.docker.private import PrivateFiles
from orchestrator.engines.docker.reading import Reader, ReadsStats, filters_for, of_project
from orchestrator.engines.docker.sidecars import Sidecars
from orchestrator.engines.docker.threads import in_parallel, settle, to_its_end
from orchestrator.engines.docker.traits import TRAITS
from orchestrator.errors import EngineFailed, ImageUnavailable, OrchestrateError
from orchestrator.identity import ENV_PYTHONPATH
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.labels import LABEL_OWNER, LABEL_PROJECT
from orchestrator.state.observed import (
    ForeignObject,
    ObservedContainer,
    ObservedImage,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ObservedState,
    ProjectSummary,
)
from orchestrator.state.spec import ContainerSpec, NodeSpec, SidecarSpec
from orchestrator.state.usage import Usage

ABOUT = (
    "ServerVersion", "OperatingSystem", "KernelVersion", "Architecture", "NCPU", "MemTotal",
    "Driver", "LoggingDriver", "CgroupDriver", "CgroupVersion", "DefaultRuntime",
    "SecurityOptions", "Containers", "ContainersRunning", "Images", "Warnings",
)  # fmt: skip
"""What of `docker info` tells how nodes run, and nothing of who uses the engine."""

PULL_DEADLINE_S = 3600.0


class DockerEngine:
    """An `Engine` on the Docker engine that the `docker` command talks to.

    Args:
        cache_dir: where image builds keep wheels and their log.
        private_dir: where secrets lie as long as nodes refer to them.
        probe_dir: where the copies of the probe lie that nodes see; None: in `cache_dir`.
        ways: how to look at the engine and to tell it; None: the quickest that lead to it.
        owner: whose objects are ours; None: as the environment says.

    Raises:
        UnusableSetting: the environment's deadline means nothing.
    """

    def __init__(
        self,
        *,
        cache_dir: Path,
        private_dir: Path,
        probe_dir: Path | None = None,
        ways: Ways | None = None,
        owner: str | None = None,
    ) -> None:
        self._deadlines = deadlines_from(os.environ)
        self._cli = DockerCli(deadlines=self._deadlines)
        self._cache_dir = cache_dir
        self._private = PrivateFiles(private_dir)
        self._probe_dir = probe_dir or cache_dir / "probe"
        self._given_ways = ways
        self._ownership = Ownership(owner or owner_of(os.environ))
        self.traits = replace(
            TRAITS,
            endpoint=endpoint(os.environ),
            places_probe=sees_this_machine(os.environ),
        )

    @cached_property
    def _ways(self) -> Ways:
        return self._given_ways or make_ways(self._cli)

    @property
    def _reader(self) -> Reader:
        return self._ways.reader

    @property
    def _changer(self) -> Changer:
        return self._ways.changer

    # -- looking ---------------------------------------------------------------

    def version(self) -> str:
        """See `versions.Versioned`."""
        with _understood("asking for the engine's version"):
            return self._reader.version()

    def observe(self, query: Query) -> ObservedState:
        """See `Engine.observe`: three questions side by side, whatever the number of nodes."""
        reader = self._reader
        with ThreadPoolExecutor(3) as pool, _understood("looking at the project"):
            image = pool.submit(self._observe_image, query.image_tag)
            networks = pool.submit(self._observe_networks, query)
            containers = reader.containers(filters_for(query))
            found_networks, foreign_networks = networks.result()
            return ObservedState(
                project=query.project,
                image=image.result(),
                networks=found_networks,
                nodes=self._nodes(containers, query.project),
                foreign=(
                    *self._ownership.foreign_containers(containers, query),
                    *foreign_networks,
                ),
                lookalikes=self._ownership.lookalikes(containers, query),
                sidecars=self._ownership.sidecars(containers, query.project),
            )

    def observe_nodes(self, project: str) -> tuple[ObservedNode, ...]:
        """See `Engine.observe_nodes`."""
        with _understood("looking at nodes"):
            containers = self._reader.containers([of_project(project)])
            return self._nodes(containers, project)

    def _nodes(self, containers: Iterable[Json], project: str) -> tuple[ObservedNode, ...]:
        return tuple(map(self._private.with_values, self._ownership.nodes(containers, project)))

    def projects(self, name: str | None = None) -> tuple[ProjectSummary, ...]:
        """See `Engine.projects`."""
        label = LABEL_PROJECT if name is None else f"{LABEL_PROJECT}={name}"
        with _understood("looking for projects"):
            return self._ownership.summaries(
                self._reader.containers([("label", label)]), self._reader.networks(label)
            )

    def _observe_image(self, tag: str | None) -> ObservedImage | None:
        found = self._reader.image(tag) if tag else None
        return image_from_inspect(found, tag) if found and tag else None

    def _observe_networks(
        self, query: Query
    ) -> tuple[tuple[ObservedNetwork, ...], tuple[ForeignObject, ...]]:
        found = self._reader.networks(f"{LABEL_PROJECT}={query.project}", query.network)
        return self._ownership.networks(found, query)

    def about(self) -> dict[str, object]:
        """See `versions.TellsOfItself`."""
        with _understood("asking the engine about itself"):
            info = self._reader.info()
        return {name: info[name] for name in ABOUT if name in info}

    def usage(self, nodes: Sequence[ObservedNode]) -> tuple[Usage, ...]:
        """See `UsageSource.usage`. The docker command takes too long for it: nothing there."""
        if not isinstance(self._reader, ReadsStats):
            return ()
        from orchestrator.engines.docker.stats import usage_from_stats

        with _understood("looking at what nodes use"):
            counted = self._reader.stats([node.id for node in nodes])
            found = [
                usage_from_stats(node.node_rank, each)
                for node, each in zip(nodes, counted, strict=True)
                if each is not None
            ]
        return tuple(usage for usage in found if usage is not None)

    def machine(self) -> tuple[int, int, str]:
        """See `doctor.preflight.KnowsMachine`."""
        with _understood("asking the engine about its machine"):
            info = self._reader.info()
            return int(info["NCPU"]), int(info["MemTotal"]), str(info["DockerRootDir"])

    def cdi_devices(self) -> frozenset[str]:
        """See `InjectsDevices.cdi_devices`."""
        from orchestrator.engines.docker.cdi import cdi_devices

        with _understood("asking the engine for its devices"):
            return cdi_devices(self._reader.info())

    # -- images ----------------------------------------------------------------

    def build_image(self, image: ImageSpec, on_line: OnLine) -> None:
        """See `Engine.build_image`."""
        if image.recipe is None:
            raise ImageUnavailable(f"image {image.tag} has no build in the playbook")
        from orchestrator.images.builder import ImageBuilder

        builder = ImageBuilder(
            self._cli.prefix, cache_dir=self._cache_dir, first_word_s=self._deadlines.bulk_s
        )
        builder.build(image.recipe, on_line)

    def pull_image(self, image: ImageSpec, on_line: OnLine) -> None:
        """See `Engine.pull_image`."""
        from orchestrator.images.command import Limits, stream
        from orchestrator.images.failures import mute

        limits = Limits(PULL_DEADLINE_S, first_output_s=self._deadlines.bulk_s)
        done = stream([*self._cli.prefix, "pull", image.tag], limits, on_line)
        if done.is_mute:
            raise mute(f"pulling image {image.tag}")
        if not done.ok:
            raise to_error(done.text, f"pulling image {image.tag}")

    # -- networks --------------------------------------------------------------

    def create_network(self, network: NetworkSpec, project: str) -> None:
        """See `Engine.create_network`."""
        labels = {LABEL_PROJECT: project, LABEL_OWNER: self._ownership.owner}
        to_its_end(lambda: self._changer.create_network(network, labels))

    def remove_network(self, network: ObservedNetwork) -> None:
        """See `Engine.remove_network`."""
        to_its_end(lambda: self._changer.remove_network(network.id, network.name))
        # No node needs them any more: networks go after nodes.
        self._private.remove_project(network.project or "")

    # -- nodes -----------------------------------------------------------------

    def start_nodes(
        self, nodes: Sequence[NodeSpec], identity: RunIdentity, on_started: Callable[[str], None]
    ) -> None:
        """See `Engine.start_nodes`: each is started as soon as it is created, the first one first.

        Creating is work for this machine's processors, starting mostly waits for its kernel:
        side by side they take less time than one after the other. The first node holds the
        rendezvous: a peer that knocks before it listens waits for half a second or more.
        """
        lead: Future[None] = Future()
        probe = self._probe_place(nodes)

        def create(node: NodeSpec) -> Creation:
            return self._create(node, identity, probe if node.probe else None)

        def launch(node: NodeSpec) -> None:
            if node is nodes[0]:
                # All nodes of a run have the same secrets, and none has started yet.
                settle(lead, lambda: self._private.place_secrets(create(node)))
            else:
                create(node)
            lead.result()
            with _about(node):
                self._changer.start(node.name)
            on_started(node.name)

        if nodes:
            self._private.prepare(nodes, identity)
        in_parallel(launch, nodes)

    def _probe_place(self, nodes: Sequence[NodeSpec]) -> ProbePlace | None:
        """Where the probe is for these nodes, all of one image; None where none of them has it."""
        if not any(node.probe for node in nodes):
            return None
        source = probe_files.place(self._probe_dir)
        with _understood("looking at the image"):
            image = self._observe_image(nodes[0].image)
        return ProbePlace(source, dict(image.env).get(ENV_PYTHONPATH, "") if image else "")

    def _create(self, node: NodeSpec, identity: RunIdentity, probe: ProbePlace | None) -> Creation:
        private = self._private.folder(identity)
        creation = Creation(node, identity, self._ownership.owner, private, probe)
        with _about(node):
            self._changer.create(creation)
        return creation

    def change_node(self, node: ObservedNode, wanted: NodeSpec) -> None:
        """See `Engine.change_node`: an update, a rename and a thaw, as far as they are needed."""
        limits = update_options(node, wanted)
        if limits:
            self._cli.call("update", *limits, node.id, doing=f"changing limits of {wanted.name}")
        if node.name != wanted.name:
            self._cli.call("rename", node.id, wanted.name, doing=f"renaming {node.name}")
        if node.status == "paused":
            self._cli.call("unpause", node.id, doing=f"unpausing {wanted.name}")

    def stop_nodes(self, nodes: Sequence[ObservedNode], *, grace_s: float) -> None:
        """See `Engine.stop_nodes`: one signal call for all, so the grace is waited for once."""
        active = [node.id for node in nodes if node.is_active]
        if not active:
            return
        paused = [node.id for node in nodes if node.status == "paused"]
        if paused:
            # A paused process takes no signal until it is thawed.
            self._changer.unpause(paused)
        self._changer.signal(active, "TERM")
        if not self._reader.have_exited(active, within_s=grace_s):
            self._changer.signal(active, "KILL")
            self._reader.have_exited(active, within_s=self._deadlines.change_s)

    def remove_nodes(self, nodes: Sequence[ObservedNode]) -> None:
        """See `Engine.remove_nodes`: docker carries it out side by side."""
        if not nodes:
            return
        # First: while a container is there, the next destroy comes by here again.
        for run_id in sorted({node.run_id for node in nodes}):
            self._private.remove_run(run_id)
        self._changer.remove([node.id for node in nodes])

    # -- sidecars --------------------------------------------------------------

    @cached_property
    def _sidecars(self) -> Sidecars:
        return Sidecars(self._ways, self._ownership, self._deadlines)

    def observe_sidecars(self, project: str) -> tuple[ObservedSidecar, ...]:
        """See `RunsSidecars.observe_sidecars`."""
        with _understood("looking at sidecars"):
            return self._sidecars.observe(project)

    def start_sidecar(
        self, sidecar: SidecarSpec, identity: RunIdentity, restores: Restores
    ) -> None:
        """See `RunsSidecars.start_sidecar`."""
        with _about(sidecar):
            self._sidecars.start(sidecar, identity, restores)

    def remove_sidecars(self, sidecars: Sequence[ObservedSidecar]) -> None:
        """See `RunsSidecars.remove_sidecars`."""
        self._sidecars.remove(sidecars)

    def save_sidecar_log(self, sidecar: ObservedSidecar, path: Path) -> None:
        """See `RunsSidecars.save_sidecar_log`."""
        self._save(sidecar, path)

    def clear(self, project: str) -> None:
        """See `Engine.clear`: private files that no node refers to any more."""
        self._private.remove_project(project)

    # -- logs ------------------------------------------------------------------

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """See `Engine.follow_logs`."""
        self._reader.follow_logs(nodes, on_log, stop)

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """See `Engine.read_logs`."""
        self._reader.read_logs(nodes, on_log)

    def save_log(self, node: ObservedNode, path: Path) -> None:
        """See `Engine.save_log`."""
        self._save(node, path)

    def _save(self, container: ObservedContainer, path: Path) -> None:
        part = path.with_suffix(".part")
        try:
            with part.open("wb") as file:
                self._reader.copy_log(container, file)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


@contextmanager
def _understood(doing: str) -> Iterator[None]:
    """Type what comes of an engine that describes its objects in a way that is not Docker's."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as exc:
        raise EngineFailed(
            f"{doing}: docker described an object in an unknown way ({exc!r})",
            fix="see whether this version of Docker is a supported one",
        ) from exc


@contextmanager
def _about(node: ContainerSpec) -> Iterator[None]:
    """Let what is raised inside the block say which node it is about."""
    try:
        yield
    except OrchestrateError as exc:
        exc.about = node.name
        raise
