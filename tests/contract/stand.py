"""An engine under test, and what a test does to its nodes behind the engine's back."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from orchestrator.engines.base import Engine, Query
from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.command_reader import CliReader
from orchestrator.engines.docker.endpoint import by_command, make_ways
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.socket_reader import SocketReader
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.engines.local.liveness import is_stopped
from orchestrator.executor import Execution, execute
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.plans.plan import Plan, Unchanged
from orchestrator.plans.planner import make_destroy_plan, make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNode, ObservedState
from orchestrator.state.spec import Confinement, Limits, NodeSpec, sorted_env
from tests.waiting import wait_until

FOREVER = "trap 'exit 143' TERM; sleep 600 & wait"
STUBBORN = "trap '' TERM; echo deaf; sleep 600 & wait"


@dataclass
class Stand(ABC):
    """One engine, with the projects that a test makes on it."""

    folder: Path  # the test's own
    engine: Engine
    projects: list[str] = field(default_factory=list)

    # -- what differs between engines --------------------------------------------

    @abstractmethod
    def spec(self, project: str, node_rank: int, script: str, num_nodes: int) -> NodeSpec:
        """A node that runs a shell script."""

    @abstractmethod
    def desired(self, project: str, nodes: Sequence[NodeSpec]) -> DesiredState:
        """The state that has these nodes, and what they need on this engine."""

    @abstractmethod
    def kill(self, node: ObservedNode) -> None:
        """SIGKILL to the node's main process."""

    @abstractmethod
    def pause(self, node: ObservedNode) -> None:
        """Freeze the node."""

    @abstractmethod
    def put_foreign(self, project: str) -> Callable[[], bool]:
        """Put something of another's where node 0 would be; the result says if it is untouched."""

    def close(self) -> None:
        """Remove everything that the test made."""
        for project in self.projects:
            self.destroy(project)

    @property
    @abstractmethod
    def in_python(self) -> str:
        """Code that makes this engine, as `engine`, in another process."""

    # -- what is the same ----------------------------------------------------------

    def project(self) -> str:
        """A new project name; whatever bears it is removed after the test."""
        self.projects.append(f"ct-{secrets.token_hex(5)}")
        return self.projects[-1]

    def gang(self, project: str, *scripts: str) -> DesiredState:
        """Nodes that run the scripts, one each."""
        specs = [
            self.spec(project, rank, script, len(scripts)) for rank, script in enumerate(scripts)
        ]
        return self.desired(project, specs)

    def observe(self, desired: DesiredState) -> ObservedState:
        """Observe as apply does."""
        return self.engine.observe(
            Query(
                project=desired.project,
                image_tag=desired.image.tag if desired.image else None,
                network=desired.network.name if desired.network else None,
                node_names=tuple(node.name for node in desired.nodes),
                sidecar=desired.sidecar.name if desired.sidecar else None,
            )
        )

    def plan(self, desired: DesiredState) -> Plan:
        """Observe and decide."""
        in_place = self.engine.traits.in_place
        return make_plan(desired, self.observe(desired), in_place=in_place)

    def apply(
        self, desired: DesiredState, run_id: str = "r1", *, restart_count: int = 0
    ) -> tuple[ObservedNode, ...]:
        """Observe, decide, perform; the nodes that are there then."""
        self.perform(self.plan(desired), run_id, restart_count)
        return self.engine.observe_nodes(desired.project)

    def perform(self, plan: Plan, run_id: str = "r1", restart_count: int = 0) -> None:
        """Carry out a plan; what it tells is of no interest here."""
        run_dir = str(self.folder / "runs" / plan.project / run_id)
        identity = RunIdentity(plan.project, run_id, run_dir, "x.yaml", "sha256:0", restart_count)
        execute(plan, Execution(self.engine, identity, lambda event: None, grace_s=2.0))

    def destroy(self, project: str) -> None:
        """Take away everything of the project."""
        self.perform(make_destroy_plan(self.engine.observe(Query(project))))

    def wait_for(self, project: str, *statuses: NodeStatus) -> tuple[ObservedNode, ...]:
        """Wait until every node has one of the statuses."""
        nodes: tuple[ObservedNode, ...] = ()

        def reached() -> bool:
            nonlocal nodes
            nodes = self.engine.observe_nodes(project)
            return bool(nodes) and all(node.status in statuses for node in nodes)

        wait_until(reached)
        return nodes

    def wait_for_end(self, node: ObservedNode) -> None:
        """Wait until this one node has ended."""
        project = node.name.rpartition("-node-")[0]

        def ended() -> bool:
            found = self.engine.observe_nodes(project)
            return any(each.id == node.id and not each.is_active for each in found)

        wait_until(ended)

    def wait_for_log(self, nodes: Sequence[ObservedNode], text: bytes) -> None:
        """Wait until every node has written a line of this text."""

        def written() -> bool:
            lines = read_log(self.engine, nodes)
            found = {
                line.node_rank for line in lines if isinstance(line, LogLine) and line.text == text
            }
            return len(found) == len(nodes)

        wait_until(written)

    def kept(self, desired: DesiredState, why: str) -> Plan:
        """The plan for a state that has been reached."""
        image = (Unchanged(f"image {desired.image.tag}", "present"),) if desired.image else ()
        network = (
            (Unchanged(f"network {desired.network.name}", "present"),) if desired.network else ()
        )
        nodes = tuple(Unchanged(f"node {node.name}", why, node.node_rank) for node in desired.nodes)
        return Plan(desired.project, unchanged=(*image, *network, *nodes))


class LocalStand(Stand):
    """The embedded engine on a root of its own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "root"
        super().__init__(folder, LocalEngine(self.root))

    def spec(self, project: str, node_rank: int, script: str, num_nodes: int) -> NodeSpec:
        return NodeSpec(
            node_rank=node_rank,
            num_ranks=1,
            name=f"{project}-node-{node_rank}",
            command=("sh", "-c", script),
            env=_env(node_rank, num_nodes),
            confinement=None,
            workdir=str(self.folder),
        )

    def desired(self, project: str, nodes: Sequence[NodeSpec]) -> DesiredState:
        return DesiredState(project, image=None, network=None, nodes=tuple(nodes))

    def kill(self, node: ObservedNode) -> None:
        os.kill(self._pid(node), signal.SIGKILL)

    def pause(self, node: ObservedNode) -> None:
        pid = self._pid(node)
        os.kill(pid, signal.SIGSTOP)
        # It stops when it is next given the processor, which may be long after on a busy machine.
        wait_until(lambda: is_stopped(pid))

    def _pid(self, node: ObservedNode) -> int:
        folder = self.root / node.id.partition("@")[0]
        return int(json.loads((folder / "process.json").read_text())["pid"])

    def put_foreign(self, project: str) -> Callable[[], bool]:
        keepsake = self.root / project / "node-0" / "keepsake"
        keepsake.parent.mkdir(parents=True)
        keepsake.write_text("mine")
        return lambda: (
            os.listdir(keepsake.parent) == ["keepsake"] and keepsake.read_text() == "mine"
        )

    @property
    def in_python(self) -> str:
        return (
            "from pathlib import Path\n"
            "from orchestrator.engines.local.engine import LocalEngine\n"
            f"engine = LocalEngine(Path({str(self.root)!r}))\n"
        )


class DockerStand(Stand):
    """The Docker engine, with an image that holds a shell.

    Args:
        folder: the test's own.
        image: the image.
        by_cli: ask and tell it through the docker command, and not over the engine's socket.
    """

    def __init__(self, folder: Path, image: str, *, by_cli: bool) -> None:
        self.image = image
        self.is_by_command = by_cli
        self._foreign: list[str] = []
        ways = by_command(DockerCli()) if by_cli else make_ways(DockerCli())
        # Without a socket both ways would be one, and the other would go untested.
        assert isinstance(ways.reader, CliReader if by_cli else SocketReader)
        private = folder / "private"
        engine = DockerEngine(cache_dir=folder / "cache", private_dir=private, ways=ways)
        super().__init__(folder, engine)

    def spec(self, project: str, node_rank: int, script: str, num_nodes: int) -> NodeSpec:
        return NodeSpec(
            node_rank=node_rank,
            num_ranks=1,
            name=f"{project}-node-{node_rank}",
            command=("sh", "-c", script),
            image=self.image,
            env=_env(node_rank, num_nodes),
            network=f"{project}-net",
            # A playbook that says nothing of these two gets a value for each, too.
            limits=Limits(shm_bytes=64 * 1024 * 1024 + 4096, pids=512),
            confinement=Confinement(),
        )

    def desired(self, project: str, nodes: Sequence[NodeSpec]) -> DesiredState:
        return DesiredState(
            project,
            image=ImageSpec(self.image, pull="never"),
            network=NetworkSpec(f"{project}-net"),
            nodes=tuple(nodes),
        )

    def kill(self, node: ObservedNode) -> None:
        docker("kill", node.id)

    def pause(self, node: ObservedNode) -> None:
        docker("pause", node.id)

    def put_foreign(self, project: str) -> Callable[[], bool]:
        name = f"{project}-node-0"
        made = docker("create", "--name", name, self.image, "true").strip()
        self._foreign.append(made)
        return lambda: (
            docker("inspect", "--format", "{{.Id}} {{.State.Status}}", name) == f"{made} created\n"
        )

    def close(self) -> None:
        super().close()
        if self._foreign:
            docker("rm", "--force", *self._foreign)

    @property
    def in_python(self) -> str:
        ways = "by_command(DockerCli())" if self.is_by_command else "None"
        return (
            "from pathlib import Path\n"
            "from orchestrator.engines.docker.engine import DockerEngine\n"
            "from orchestrator.engines.docker.cli import DockerCli\n"
            "from orchestrator.engines.docker.endpoint import by_command\n"
            f"cache = Path({str(self.folder / 'cache')!r})\n"
            f"engine = DockerEngine(cache_dir=cache, private_dir=cache, ways={ways})\n"
        )


def docker(*args: str) -> str:
    """What a docker command prints; a test that cannot run it fails."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def read_log(engine: Engine, nodes: Sequence[ObservedNode]) -> list[LogLine | LogEnd]:
    """What `read_logs` hands over."""
    found: list[LogLine | LogEnd] = []
    engine.read_logs(nodes, found.append)
    return found


def follow_log(engine: Engine, nodes: Sequence[ObservedNode]) -> list[LogLine | LogEnd]:
    """What `follow_logs` hands over until all nodes have ended."""
    found: list[LogLine | LogEnd] = []
    engine.follow_logs(nodes, found.append, Event())
    return found


def _env(node_rank: int, num_nodes: int) -> tuple[tuple[str, str], ...]:
    return sorted_env({"RANK": str(node_rank), "WORLD_SIZE": str(num_nodes), "GREETING": "a = b"})
