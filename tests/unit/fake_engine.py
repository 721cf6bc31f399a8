"""An engine that is a dictionary: scripted nodes, injected failures, and a journal of calls.

Everything it holds lies in a `World`. It implements the whole `Engine` protocol, so that
what acts on an engine can be tested without one.
"""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from msgspec.structs import replace

from orchestrator.engines.base import Engine, OnLine, OnLog, Query, Restores, RunsSidecars
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.desired import ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import (
    ForeignObject,
    NodeStatus,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ObservedState,
    ProjectSummary,
)
from orchestrator.state.spec import NodeSpec, SidecarSpec
from orchestrator.state.traits import EngineTraits
from tests.unit.fakes import IN_PLACE, PROJECT, World

DOCKER_LIKE = EngineTraits(
    "docker", has_images=True, has_networks=True, is_isolated=True, in_place=IN_PLACE
)
LOCAL_LIKE = EngineTraits(
    "local", has_images=False, has_networks=False, is_isolated=False, loopback=True
)
START_S = 1000.0
MUTATING = (
    "build_image",
    "pull_image",
    "create_network",
    "remove_network",
    "start_nodes",
    "change_node",
    "stop_nodes",
    "remove_nodes",
    "start_sidecar",
    "remove_sidecars",
)


class Clock:
    """Seconds since the epoch. A call lets `tick_s` pass; looking at `now_s` lets none."""

    def __init__(self, *, tick_s: float = 0.0) -> None:
        self.now_s = START_S
        self.tick_s = tick_s

    def __call__(self) -> float:
        self.now_s += self.tick_s
        return self.now_s


@dataclass(frozen=True, slots=True)
class Script:
    """What a node does once it is started; times are seconds after that.

    `$RUN_ID` in a line becomes the id of the run. `ends_after_s` None: it runs on.
    """

    lines: tuple[tuple[float, str | bytes], ...] = ()
    ends_after_s: float | None = None
    code: int = 0


def joined(rank: int, world_size: int = 2, master_addr: str = f"{PROJECT}-node-0") -> str:
    """The record of a rank that joined as it should."""
    fields = {
        "event": "process_group_joined",
        "rank": rank,
        "run_id": "$RUN_ID",
        "world_size": world_size,
        "backend": "gloo",
        "master_addr": master_addr,
        "rank_sum": world_size * (world_size - 1) // 2,
    }
    return json.dumps(fields)


def rank_failed(rank: int, reason: str) -> str:
    """The record of a rank that ends with an exception."""
    fields = {"event": "rank_failed", "rank": rank, "run_id": "$RUN_ID", "reason": reason}
    return json.dumps(fields | {"error_type": "ValueError"})


def join_and_end(world_size: int = 2) -> dict[int, Script]:
    """Every node joins and ends with 0 at once."""
    return {
        rank: Script(((0.0, joined(rank, world_size)), (0.0, f"bye from {rank}")), 0.0)
        for rank in range(world_size)
    }


@dataclass(eq=False)
class FakeEngine:
    """An `Engine` over a `World`.

    Attributes:
        world: what there is.
        traits: what the engine says it has.
        now: the engine's clock; looking at it must let no time pass.
        scripts: `{node rank: what a node of that rank does}`.
        attempts: `{restart count: scripts}` of attempts that do something else.
        of_project: `{project: scripts}` of projects whose nodes do something else.
        failures: `{call: error}`; a call is a method's name, alone or with the name of the
            one object at which it fails. Raised each time.
        clinging: names of nodes and networks that removing does not remove.
        rivals: projects of other owners; `world.strangers` are their objects.
        mute: node ranks whose log never comes to its end.
        devices: what it knows by CDI names.
        journal: every call that changes something, as text, and `save_log`; in order.
    """

    world: World = field(default_factory=World)
    traits: EngineTraits = DOCKER_LIKE
    now: Callable[[], float] = time.time
    scripts: dict[int, Script] = field(default_factory=dict)
    attempts: dict[int, dict[int, Script]] = field(default_factory=dict)
    of_project: dict[str, dict[int, Script]] = field(default_factory=dict)
    failures: dict[str, Exception] = field(default_factory=dict)
    clinging: set[str] = field(default_factory=set)
    rivals: tuple[ProjectSummary, ...] = ()
    mute: set[int] = field(default_factory=set)
    devices: frozenset[str] = frozenset()
    journal: list[object] = field(default_factory=list)
    num_looks: int = 0
    _owners: dict[str, RunIdentity] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _reading: threading.Condition = field(default_factory=threading.Condition)
    _read_until_s: float = 0.0

    # -- looking ---------------------------------------------------------------

    def observe(self, query: Query) -> ObservedState:
        self._fail("observe")
        tag = query.image_tag
        networks = tuple(net for net in self.world.networks.values() if _concerns(net, query))
        return ObservedState(
            project=query.project,
            image=self.world.images.get(tag) if tag else None,
            networks=networks,
            nodes=self.observe_nodes(query.project),
            sidecars=self.observe_sidecars(query.project),
            foreign=(
                *(
                    each
                    for each in self.world.strangers
                    if each.name in query.node_names or each.project == query.project
                ),
                *(
                    ForeignObject("network", net.name, net.id, net.project or "")
                    for net in networks
                    if net.project != query.project and not query.network_is_external
                ),
            ),
        )

    def observe_nodes(self, project: str) -> tuple[ObservedNode, ...]:
        self._fail("observe_nodes")
        with self._lock:
            self.num_looks += 1
            self._let_nodes_end()
            found = [
                node for node in self.world.nodes.values() if self.owner(node).project == project
            ]
        return tuple(sorted(found, key=lambda node: (node.node_rank, node.id)))

    def cdi_devices(self) -> frozenset[str]:
        return self.devices

    def projects(self, name: str | None = None) -> tuple[ProjectSummary, ...]:
        self._fail("projects")
        names = {self.owner(node).project for node in self.world.nodes.values()}
        names |= {net.project for net in self.world.networks.values() if net.project}
        found = (*(self._summary(each) for each in sorted(names)), *self.rivals)
        return tuple(each for each in found if name in {None, each.name})

    def _summary(self, project: str) -> ProjectSummary:
        nodes = self.observe_nodes(project)
        playbook = self.owner(nodes[0]).playbook if nodes else ""
        return ProjectSummary(project, playbook, tuple(node.name for node in nodes))

    def owner(self, node: ObservedNode) -> RunIdentity:
        """What a node was told of its run."""
        return self._owners.get(node.id, RunIdentity(PROJECT, node.run_id, node.run_dir))

    # -- changing --------------------------------------------------------------

    def build_image(self, image: ImageSpec, on_line: OnLine) -> None:
        self._note("build_image", image.tag)
        on_line(f"building {image.tag}")
        self._fail("build_image")
        self.world.add_image(image.tag, build_inputs=image.build_inputs)

    def pull_image(self, image: ImageSpec, on_line: OnLine) -> None:
        self._note("pull_image", image.tag)
        on_line(f"pulling {image.tag}")
        self._fail("pull_image")
        self.world.add_image(image.tag)

    def create_network(self, network: NetworkSpec, project: str) -> None:
        self._note("create_network", network.name, "for", project)
        self._fail("create_network")
        self.world.add_network(network.name, internal=network.internal, project=project)

    def remove_network(self, network: ObservedNetwork) -> None:
        self._note("remove_network", network.name)
        self._fail("remove_network")
        if network.name not in self.clinging:
            self.world.networks.pop(network.id, None)

    def start_nodes(
        self, nodes: Sequence[NodeSpec], identity: RunIdentity, on_started: Callable[[str], None]
    ) -> None:
        self._note("start_nodes", *(node.name for node in nodes), "as", identity.run_id)
        self._fail("start_nodes")
        for spec in nodes:
            self._fail("start_nodes", spec.name)
            self._start(spec, identity)
            on_started(spec.name)

    def _start(self, spec: NodeSpec, identity: RunIdentity) -> None:
        with self._lock:
            self.world.start(spec)
            node = list(self.world.nodes.values())[-1]
            self._owners[node.id] = identity
            self.world.nodes[node.id] = replace(
                node,
                run_id=identity.run_id,
                run_dir=identity.run_dir,
                restart_count=identity.restart_count,
                started_at_s=self.now(),
            )

    def change_node(self, node: ObservedNode, wanted: NodeSpec) -> None:
        self._note("change_node", node.name, "to", wanted.name)
        self._fail("change_node", wanted.name)
        with self._lock:
            self.world.make_as(node.id, wanted)

    def stop_nodes(self, nodes: Sequence[ObservedNode], *, grace_s: float) -> None:
        self._note("stop_nodes", *(node.name for node in nodes), "grace", f"{grace_s:g}")
        self._fail("stop_nodes")
        with self._lock:
            self._let_nodes_end()
            for node in nodes:
                if node.id in self.world.nodes and self.world.nodes[node.id].is_active:
                    self._end(node.id, 143, self.now())

    def remove_nodes(self, nodes: Sequence[ObservedNode]) -> None:
        self._note("remove_nodes", *(node.name for node in nodes))
        self._fail("remove_nodes")
        with self._lock:
            for node in nodes:
                if node.name not in self.clinging:
                    self.world.nodes.pop(node.id, None)

    def observe_sidecars(self, project: str) -> tuple[ObservedSidecar, ...]:
        self._fail("observe_sidecars")
        with self._lock:
            found = self.world.sidecars.values()
            return tuple(each for each in found if each.name.startswith(f"{project}-"))

    def start_sidecar(
        self, sidecar: SidecarSpec, identity: RunIdentity, restores: Restores
    ) -> None:
        self._note("start_sidecar", sidecar.name, "as", identity.run_id)
        self._fail("start_sidecar")
        with self._lock:
            self.world.start_sidecar(sidecar, identity.run_id, restores)
            self.world.change_sidecar(run_dir=identity.run_dir)

    def remove_sidecars(self, sidecars: Sequence[ObservedSidecar]) -> None:
        self._note("remove_sidecars", *(sidecar.name for sidecar in sidecars))
        self._fail("remove_sidecars")
        with self._lock:
            for sidecar in sidecars:
                if sidecar.name not in self.clinging:
                    self.world.sidecars.pop(sidecar.id, None)

    def save_sidecar_log(self, sidecar: ObservedSidecar, path: Path) -> None:
        self._note("save_sidecar_log", sidecar.name)
        self._fail("save_sidecar_log")
        path.write_text("[Control] Start\n")

    def clear(self, project: str) -> None:
        self._fail("clear")

    def _let_nodes_end(self) -> None:
        for node in list(self.world.nodes.values()):
            after_s = self._script(node).ends_after_s
            if node.is_active and after_s is not None:
                ends_at_s = (node.started_at_s or 0.0) + after_s
                if ends_at_s <= self.now():
                    self._end(node.id, self._script(node).code, ends_at_s)

    def _end(self, node_id: str, code: int, at_s: float) -> None:
        self.world.nodes[node_id] = replace(
            self.world.nodes[node_id],
            status=NodeStatus.EXITED,
            exit_code=code,
            finished_at_s=at_s,
        )

    # -- logs ------------------------------------------------------------------

    def follow_logs(
        self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: threading.Event
    ) -> None:
        try:
            self._fail("follow_logs")
            num_told = {node.id: 0 for node in nodes}
            while num_told and not stop.is_set():
                now_s = self.now()
                for node in [each for each in nodes if each.id in num_told]:
                    self._follow(node, num_told, on_log)
                self._say_read(now_s)
                stop.wait(0.002)
        finally:
            self._say_read(math.inf)

    def _follow(self, node: ObservedNode, num_told: dict[str, int], on_log: OnLog) -> None:
        has_ended, written = self._log(node)
        for line in written[num_told[node.id] :]:
            on_log(line)
        num_told[node.id] = len(written)
        if has_ended and node.node_rank not in self.mute:
            on_log(LogEnd(node.node_rank))
            del num_told[node.id]

    def _say_read(self, until_s: float) -> None:
        with self._reading:
            self._read_until_s = until_s
            self._reading.notify_all()

    def wait_for_reader(self, until_s: float) -> None:
        """Return once `follow_logs` has handed over all that was written until a time."""
        with self._reading:
            assert self._reading.wait_for(lambda: self._read_until_s >= until_s, timeout=10)

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        self._fail("read_logs")
        for node in nodes:
            has_ended, written = self._log(node)
            for line in written:
                on_log(line)
            if has_ended:
                on_log(LogEnd(node.node_rank))

    def save_log(self, node: ObservedNode, path: Path) -> None:
        self._note("save_log", node.name)
        self._fail("save_log")
        self._fail("save_log", node.name)
        _, written = self._log(node)
        path.write_bytes(b"".join(line.text + b"\n" for line in written))

    def _log(self, node: ObservedNode) -> tuple[bool, list[LogLine]]:
        """Whether a node has ended, and what it has written until now."""
        with self._lock:
            self._let_nodes_end()
            found = self.world.nodes.get(node.id, node)
        start_s, until_s = found.started_at_s or 0.0, found.finished_at_s or self.now()
        written = [
            LogLine(found.node_rank, start_s + after_s, _text(text, found.run_id))
            for after_s, text in self._script(found).lines
            if start_s + after_s <= until_s
        ]
        return not found.is_active, written

    def _script(self, node: ObservedNode) -> Script:
        usual = self.of_project.get(self.owner(node).project, self.scripts)
        scripts = self.attempts.get(node.restart_count, usual)
        return scripts.get(node.node_rank, Script())

    # -- what is noted, and what fails -----------------------------------------

    @property
    def mutations(self) -> list[str]:
        """The calls in the journal that change something on the engine."""
        return [each for each in self.journal if isinstance(each, str) and _mutates(each)]

    def _note(self, *words: str) -> None:
        with self._lock:
            self.journal.append(" ".join(words))

    def _fail(self, *call: str) -> None:
        if error := self.failures.get(" ".join(call)):
            raise error


def _mutates(call: str) -> bool:
    return call.split(" ", 1)[0] in MUTATING


def _concerns(network: ObservedNetwork, query: Query) -> bool:
    return network.project == query.project or network.name == query.network


def _text(text: str | bytes, run_id: str) -> bytes:
    raw = text.encode() if isinstance(text, str) else text
    return raw.replace(b"$RUN_ID", run_id.encode())


def as_engine(engine: FakeEngine) -> Engine:
    """The fake as what it stands for; type checking holds it to the whole protocol."""
    return engine


def with_sidecars(engine: FakeEngine) -> RunsSidecars:
    """The fake as an engine that runs sidecars."""
    return engine
