"""Starting nodes of the embedded engine: what is checked first, and the launch itself."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from orchestrator.engines.local import supervisor
from orchestrator.engines.local.folders import SECRETS, typed_errors
from orchestrator.engines.local.liveness import ENV_NODE_FOLDER
from orchestrator.engines.probe_files import SITE
from orchestrator.errors import AddressUnavailable, EngineFailed, EngineUnavailable, NodeNotStarted
from orchestrator.identity import ENV_PROBE_CHANNEL, told_to_nodes, with_probe
from orchestrator.state.desired import RunIdentity
from orchestrator.state.labels import ENV_SECRETS_DIR
from orchestrator.state.spec import NodeSpec

LAUNCH_DEADLINE_S = 60.0

# What a launcher around the orchestrator (torchrun, Slurm, MPI) sets would give a node a
# rank that is not its own.
_LEAKS = re.compile(
    r"(MASTER|TORCHELASTIC|PET|OMPI_COMM_WORLD|PMI|SLURM)_.*"
    r"|((LOCAL_|GROUP_|ROLE_|NODE_)?(RANK|WORLD_SIZE))|ROLE_NAME|ORCHESTRATE_(RUN_ID|LOCAL_NODE|SECRETS_DIR|PROBE_.*)"
)


class Launch(Struct, frozen=True):
    """One node about to be started, and the folder that was made for it."""

    node: NodeSpec
    folder: Path
    identity: RunIdentity

    @property
    def workdir(self) -> str:
        """Where the command runs: the node's workdir, else where the orchestrator does."""
        return self.node.workdir or os.getcwd()


def node_environment(host: Mapping[str, str], launch: Launch) -> dict[str, str]:
    """The whole environment of a node: the host's without foreign ranks, then the spec's.

    PATH starts with the folder of this interpreter, so that `python` in a playbook is the
    one of the virtual environment that orchestrate runs in. A secret is handed over as a file
    alone: no variable of the host that holds it reaches the node.
    """
    secrets = {os.fsdecode(secret.value or b"") for secret in launch.node.secrets}
    kept = {
        name: value
        for name, value in host.items()
        if not _LEAKS.fullmatch(name) and (not value or value not in secrets)
    }
    merged = kept | dict(launch.node.env)
    if launch.node.probe:
        merged = with_probe(merged, str(SITE))
    path = merged.get("PATH") or os.defpath
    return merged | {
        "PATH": f"{os.path.dirname(sys.executable)}{os.pathsep}{path}",
        **told_to_nodes(launch.identity),
        ENV_NODE_FOLDER: str(launch.folder),
        **({ENV_SECRETS_DIR: str(launch.folder / SECRETS)} if launch.node.secrets else {}),
    }


def check_launches(launches: Sequence[Launch], host: Mapping[str, str]) -> None:
    """Find what would keep a node from starting, before anything is created.

    Raises:
        NodeNotStarted: a mount, a workdir or command that is not there, text no process takes.
        AddressUnavailable: the rendezvous port is taken.
    """
    for launch in launches:
        _check_node(launch, node_environment(host, launch))
    for address, port in {_rendezvous(launch.node) for launch in launches}:
        if address == "127.0.0.1" and port:
            check_port(port)


def _check_node(launch: Launch, env: Mapping[str, str]) -> None:
    node = launch.node
    if node.mounts:
        raise _refusal(
            node, f"it mounts {node.mounts[0].source}", "use the docker engine: mounts need it"
        )
    if not node.command:
        raise _refusal(node, "it has no command", "give it one: ranks.command")
    if not all(_is_passable(text) for text in (*node.command, *env.values())):
        raise _refusal(
            node, "its command or environment has a NUL or is not Unicode", "take that out"
        )
    if wrong := [name for name, _ in node.env if not name or "=" in name or "\0" in name]:
        raise _refusal(node, f"{wrong[0]!r} cannot name a variable", "rename it in ranks.env")
    if not os.path.isdir(launch.workdir):
        raise _refusal(node, f"its folder {launch.workdir} is not there", "create it")
    _check_command(launch, env)


def _check_command(launch: Launch, env: Mapping[str, str]) -> None:
    program = launch.node.command[0]
    # A path with a slash is looked up from where the node runs, a bare name in its PATH.
    where = os.path.join(launch.workdir, program) if os.sep in program else program
    if shutil.which(where, path=env["PATH"]) is None:
        raise _refusal(
            launch.node,
            f"there is no command {program!r}",
            "install it, or mend ranks.command",
        )


def _is_passable(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _refusal(node: NodeSpec, why: str, fix: str) -> NodeNotStarted:
    return NodeNotStarted(f"cannot start node {node.name}: {why}", fix=fix)


def _rendezvous(node: NodeSpec) -> tuple[str, str]:
    env = dict(node.env)
    return env.get("MASTER_ADDR", ""), env.get("MASTER_PORT", "")


def check_port(port: str) -> None:
    """Bind the port for a moment: rank 0 alone would know, after all others have waited.

    Raises:
        AddressUnavailable: it is taken, or none that this user may have.
    """
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", int(port)))
    except (OSError, ValueError, OverflowError) as error:
        why = error.strerror if isinstance(error, OSError) else "no port number"
        raise AddressUnavailable(
            f"port {port} of 127.0.0.1 cannot be used: {(why or str(error)).lower()}",
            fix="choose another rendezvous.port",
        ) from error


def launch_all(
    launches: Sequence[Launch], host: Mapping[str, str], on_started: Callable[[str], None]
) -> None:
    """Start the nodes, in order, each with a supervisor that outlives us.

    Raises:
        NodeNotStarted: a node's command could not be run; later ones were not started.
        EngineUnavailable: they were not all started within LAUNCH_DEADLINE_S.
        EngineFailed: the launcher itself failed.
    """
    names = {str(launch.folder): launch.node.name for launch in launches}
    for answer in _answers([_order(launch, host) for launch in launches]):
        name = names.pop(answer["folder"])
        if answer["complaint"]:
            raise NodeNotStarted(
                f"cannot start node {name}: {answer['complaint']}", fix="mend ranks.command"
            )
        on_started(name)
    if names:
        raise EngineFailed(f"the launcher ended before it started {', '.join(names.values())}")


def _order(launch: Launch, host: Mapping[str, str]) -> dict[str, Any]:
    return {
        "folder": str(launch.folder),
        "command": launch.node.command,
        "env": node_environment(host, launch),
        "workdir": launch.workdir,
        "channel": ENV_PROBE_CHANNEL if launch.node.probe else "",
    }


def _answers(orders: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    launcher = _run_launcher(json.dumps(orders).encode())
    if launcher.returncode != 0:
        last = launcher.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise EngineFailed(f"the launcher of nodes failed: {last}")
    return [json.loads(line) for line in launcher.stdout.splitlines()]


def _run_launcher(orders: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the launcher. The orders go through a pipe: environments must not stand in argv."""
    try:
        with typed_errors("running the launcher of nodes"):
            return subprocess.run(
                [sys.executable, "-I", "-S", supervisor.__file__],
                input=orders,
                capture_output=True,
                check=False,
                timeout=LAUNCH_DEADLINE_S,
                start_new_session=True,
            )
    except subprocess.TimeoutExpired as error:
        raise EngineUnavailable(
            f"the nodes were not started within {LAUNCH_DEADLINE_S:g} s",
            fix="see whether the machine is overloaded",
        ) from error
