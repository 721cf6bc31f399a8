"""What the tests of the embedded engine share: nodes to start, and a look behind the engine."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from msgspec.structs import replace

from orchestrator.engines.local.engine import LocalEngine
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.state.spec import NodeSpec
from tests.waiting import wait_until

PROJECT = "lab"
IDENTITY = RunIdentity(PROJECT, "r1", "/nowhere/r1", "x.yaml", "sha256:0")


def node_spec(tmp_path: Path, rank: int = 0, script: str = "sleep 1000") -> NodeSpec:
    """A node that runs a shell script in the test's folder."""
    return NodeSpec(
        node_rank=rank,
        num_ranks=1,
        name=f"{PROJECT}-node-{rank}",
        command=("sh", "-c", script),
        confinement=None,
        workdir=str(tmp_path),
    )


def python_spec(tmp_path: Path, code: str) -> NodeSpec:
    """A node that runs Python code."""
    return replace(node_spec(tmp_path), command=("python", "-c", code))


def start(engine: LocalEngine, *specs: NodeSpec) -> tuple[ObservedNode, ...]:
    """Start nodes; how they are observed right after."""
    engine.start_nodes(specs, IDENTITY, lambda name: None)
    return engine.observe_nodes(PROJECT)


def wait_for_end(engine: LocalEngine) -> tuple[ObservedNode, ...]:
    """Wait until all nodes have ended."""
    wait_until(lambda: all(not node.is_active for node in engine.observe_nodes(PROJECT)))
    return engine.observe_nodes(PROJECT)


def states(engine: LocalEngine) -> list[tuple[NodeStatus, int | None, str]]:
    """Status, exit code and error of every node."""
    found = engine.observe_nodes(PROJECT)
    return [(node.status, node.exit_code, node.error) for node in found]


def folder_of(root: Path, rank: int = 0) -> Path:
    """Where the engine keeps a node."""
    return root / PROJECT / f"node-{rank}"


def main_pid(root: Path, rank: int = 0) -> int:
    """The node's main process."""
    return int(json.loads((folder_of(root, rank) / "process.json").read_text())["pid"])


def supervisor_pid(root: Path, rank: int = 0) -> int:
    """The node's supervisor."""
    return int((folder_of(root, rank) / "lock").read_text())


def is_running(pid: int) -> bool:
    """True for a process that is there and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def kill(pid: int) -> None:
    """SIGKILL."""
    os.kill(pid, signal.SIGKILL)
