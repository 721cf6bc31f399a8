"""Every way in which somebody may change a run behind the program's back, as data.

Each kind says how to bring it about, which words of the plan name it, and whether apply
repairs it. What is not ours is named and refused, never repaired. `test_drift.py` shows
all of it on real engines; a page or a table may be made of the same list.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.engines.docker.endpoint import DEFAULT_SOCKET
from orchestrator.engines.docker.wire import Errand, connected
from orchestrator.engines.local.liveness import is_stopped
from orchestrator.engines.local.supervisor import EXIT_FILE, PROCESS_FILE
from orchestrator.state.labels import PROBE_FOLDER
from tests.e2e.conftest import Desk, docker
from tests.waiting import wait_until

Harm = Callable[[Desk], None]


@dataclass(frozen=True, slots=True)
class DriftKind:
    """One kind of drift.

    Attributes:
        name: what is done, in a few words.
        harm: does it to node 1 of the desk's project, or to its network or image.
        named: words of the plan that name it; `{node}`, `{net}` and `{side}` are filled in.
        repair: in place | gang replaced | refused | left alone.
        undo: takes away what apply does not.
    """

    name: str
    harm: Harm
    named: tuple[str, ...]
    repair: str = "gang replaced"
    undo: Harm = lambda _desk: None

    def said(self) -> str:
        """What the plan says of it, for a project `x` and objects of others named `other`."""
        names = {"node": "x-node-1", "net": "x-net", "side": "other"}
        return "; ".join(words.format(**names) for words in self.named)


def node(desk: Desk, node_rank: int = 1) -> str:
    return f"{desk.project}-node-{node_rank}"


def net(desk: Desk) -> str:
    return f"{desk.project}-net"


def side(desk: Desk) -> str:
    """Name of an object that is not the project's."""
    return f"{desk.project}x"


def on_node(*command: str) -> Harm:
    """A docker command, with the name of node 1 at its end."""
    return lambda desk: void(docker(*command, node(desk)))


def void(_: object) -> None:
    """Nothing."""


def _foreign_network(desk: Desk) -> None:
    docker("network", "create", "--internal", side(desk))
    docker("network", "connect", side(desk), node(desk))


def _no_foreign_network(desk: Desk) -> None:
    docker("network", "rm", side(desk))


def _cut_off(desk: Desk) -> None:
    for rank in (0, 1):
        docker("network", "disconnect", net(desk), node(desk, rank))


def _network_removed(desk: Desk) -> None:
    _cut_off(desk)
    docker("network", "rm", net(desk))


def _network_remade(desk: Desk, *options: str) -> None:
    labels = json.loads(docker("network", "inspect", "--format", "{{json .Labels}}", net(desk)))
    _network_removed(desk)
    kept = [word for key, value in labels.items() for word in ("--label", f"{key}={value}")]
    docker("network", "create", *kept, *options, net(desk))
    for rank in (0, 1):
        docker("network", "connect", "--alias", node(desk, rank), net(desk), node(desk, rank))


def _network_with_a_way_out(desk: Desk) -> None:
    _network_remade(desk)


def _network_that_isolates(desk: Desk) -> None:
    _network_remade(desk, "--internal", "-o", "com.docker.network.bridge.enable_icc=false")


def _network_by_hand(desk: Desk) -> None:
    _network_removed(desk)
    docker("network", "create", "--internal", net(desk))


def _no_network_by_hand(desk: Desk) -> None:
    docker("network", "rm", net(desk))


def _image_moved(desk: Desk) -> None:
    made = docker("create", desk.image, "true")
    docker("commit", "--change", "ENV MOVED=yes", made, f"{side(desk)}:1")
    docker("rm", made)
    docker("tag", desk.image, f"{side(desk)}:was")
    docker("tag", f"{side(desk)}:1", desk.image)


def _image_back(desk: Desk) -> None:
    desk.destroy("--grace", "0")
    docker("tag", f"{side(desk)}:was", desk.image)
    docker("rmi", f"{side(desk)}:was", f"{side(desk)}:1")


def _copy_of_a_node(desk: Desk) -> None:
    """A container of an image that was committed from a node bears the node's labels."""
    docker("commit", node(desk), f"{side(desk)}:1")
    of = ("--network", "none", "--name", side(desk), f"{side(desk)}:1")
    docker("run", "--detach", *of, "sleep", "600")


def _no_copy(desk: Desk) -> None:
    docker("rm", "--force", side(desk))
    docker("rmi", f"{side(desk)}:1")


def _made_anew(change: Callable[[dict[str, Any]], None]) -> Harm:
    """Somebody makes node 1 again, labels and all, with something else in it."""

    def harm(desk: Desk) -> None:
        found = json.loads(docker("inspect", node(desk)))[0]
        body = found["Config"] | {"HostConfig": found["HostConfig"]}
        body["NetworkingConfig"] = {"EndpointsConfig": {net(desk): {"Aliases": [node(desk)]}}}
        change(body)
        docker("rm", "--force", node(desk))
        with connected(Errand(DEFAULT_SOCKET, "making it anew", 30.0)) as wire:
            target = f"/containers/create?name={node(desk)}"
            status, answer = wire.ask(target, method="POST", body=json.dumps(body).encode())
        assert status == 201, answer
        docker("start", node(desk))

    return harm


def _path_before_the_probe(body: dict[str, Any]) -> None:
    body["Env"] = [
        pair.replace("PYTHONPATH=", "PYTHONPATH=/evil:") if pair.startswith("PYTHONPATH=") else pair
        for pair in body["Env"]
    ]


def _another_probe(body: dict[str, Any]) -> None:
    next(m for m in body["HostConfig"]["Mounts"] if m["Target"] == PROBE_FOLDER)["Source"] = "/usr"


def _name_taken(desk: Desk) -> None:
    docker("rename", node(desk), side(desk))
    docker("create", "--name", node(desk), desk.image, "true")


def _name_freed(desk: Desk) -> None:
    docker("rm", node(desk))


STATUS = ("status: paused -> running", "in place")
DOCKER_KINDS = (
    DriftKind("nothing", lambda _: None, ("0 to change, 0 to replace",), "nothing to do"),
    DriftKind(
        "processor limit changed (docker update --cpus)",
        on_node("update", "--cpus", "0.3"),
        ("~ node {node} (changed in place)", "resources.cpus: 0.3 -> 0.5 in place"),
        "in place",
    ),
    DriftKind(
        "memory limit changed (docker update --memory)",
        on_node("update", "--memory", "48m", "--memory-swap", "48m"),
        ("resources.memory: 48MiB -> 64MiB in place",),
        "in place",
    ),
    DriftKind(
        "swap limit changed (docker update --memory-swap)",
        on_node("update", "--memory-swap", "96m"),
        ("resources.memory_swap: 100663296 -> 67108864 in place",),
        "in place",
    ),
    DriftKind(
        "process limit changed (docker update --pids-limit)",
        on_node("update", "--pids-limit", "77"),
        ("resources.pids: 77 -> 100 in place",),
        "in place",
    ),
    DriftKind("paused (docker pause)", on_node("pause"), (" ".join(STATUS),), "in place"),
    DriftKind(
        "renamed (docker rename)",
        lambda desk: void(docker("rename", node(desk), side(desk))),
        ("name: {side} -> {node} in place",),
        "in place",
    ),
    DriftKind(
        "pinned to processors (docker update --cpuset-cpus)",
        on_node("update", "--cpuset-cpus", "0"),
        ("cpuset_cpus: 0 -> (none) forces replacement",),
    ),
    DriftKind(
        "restart policy set (docker update --restart)",
        on_node("update", "--restart", "always"),
        ("restart_policy: always -> no forces replacement",),
    ),
    DriftKind(
        "network taken away (docker network disconnect)",
        lambda desk: void(docker("network", "disconnect", net(desk), node(desk))),
        ("network: (none) -> {net} forces replacement",),
    ),
    DriftKind(
        "foreign network added (docker network connect)",
        _foreign_network,
        ("network: {net},{side} -> {net} forces replacement",),
        undo=_no_foreign_network,
    ),
    DriftKind(
        "network removed (docker network rm)",
        _network_removed,
        ("+ network {net} (not there yet)",),
    ),
    DriftKind(
        "network made anew with a way out",
        _network_with_a_way_out,
        ("-/+ network {net} (replaced)", "internal: false -> true forces replacement"),
    ),
    DriftKind(
        "network made anew, nodes kept apart",
        _network_that_isolates,
        ("-/+ network {net} (replaced)", "enable_icc: false -> true forces replacement"),
    ),
    DriftKind(
        "network made anew by hand (foreign)",
        _network_by_hand,
        ("is taken by network {net}", "not made by orchestrate"),
        "refused",
        _no_network_by_hand,
    ),
    DriftKind(
        "image tag moved (docker tag)",
        _image_moved,
        ("-/+ node {node} (replaced)", "image id: sha256:"),
        undo=_image_back,
    ),
    DriftKind(
        "killed (docker kill)",
        on_node("kill"),
        ("-/+ node {node} (was killed by signal 9 (exit code 137))",),
    ),
    DriftKind(
        "stopped (docker stop)",
        on_node("stop", "--time", "0"),
        ("-/+ node {node} (was killed by signal",),
    ),
    DriftKind(
        "restarted (docker restart)",
        on_node("restart", "--time", "0"),
        ("-/+ node {node} (was started again by hand: its peers knew another process)",),
    ),
    DriftKind("removed (docker rm)", on_node("rm", "--force"), ("+ node {node} (not there yet)",)),
    DriftKind(
        "made anew, another folder before the probe",
        _made_anew(_path_before_the_probe),
        (
            "probe: off -> on forces replacement",
            f"env.PYTHONPATH: /evil:{PROBE_FOLDER} -> (none) forces replacement",
        ),
    ),
    DriftKind(
        "made anew, another folder as the probe",
        _made_anew(_another_probe),
        (
            "probe: off -> on forces replacement",
            f"mounts.{PROBE_FOLDER}: /usr (ro) -> (none) forces replacement",
        ),
    ),
    DriftKind(
        "foreign container with a node's labels",
        _copy_of_a_node,
        ("! container {side} (bears labels of the project, but was not made by orchestrate",),
        "left alone",
        _no_copy,
    ),
    DriftKind(
        "foreign container with a node's name",
        _name_taken,
        ("is taken by container {node}", "not made by orchestrate"),
        "refused",
        _name_freed,
    ),
)


def _folder(desk: Desk) -> Path:
    root = desk.env.get("ORCHESTRATE_LOCAL_ROOT") or os.environ["ORCHESTRATE_LOCAL_ROOT"]
    return Path(root) / desk.project / "node-1"


def _stop(desk: Desk) -> None:
    pid = _pid(desk)
    os.kill(pid, signal.SIGSTOP)
    # It stops when it is next given the processor, which may be long after on a busy machine.
    wait_until(lambda: is_stopped(pid))


def _kill(desk: Desk) -> None:
    os.kill(_pid(desk), signal.SIGKILL)
    wait_until((_folder(desk) / EXIT_FILE).exists)


def _pid(desk: Desk) -> int:
    return int(json.loads((_folder(desk) / PROCESS_FILE).read_text())["pid"])


def _folder_removed(desk: Desk) -> None:
    _kill(desk)
    shutil.rmtree(_folder(desk))


def _record(change: Callable[[str], str]) -> Harm:
    def edit(desk: Desk) -> None:
        path = _folder(desk) / "node.json"
        path.write_text(change(path.read_text()))

    return edit


LOCAL_KINDS = (
    DriftKind("nothing", lambda _: None, ("0 to change, 0 to replace",), "nothing to do"),
    DriftKind(
        "killed (SIGKILL)",
        _kill,
        ("-/+ node {node} (was killed by signal 9 (exit code 137))",),
    ),
    DriftKind("stopped (SIGSTOP)", _stop, (" ".join(STATUS),), "in place"),
    DriftKind("folder removed", _folder_removed, ("+ node {node} (not there yet)",)),
    DriftKind(
        "record edited",
        _record(lambda text: text.replace("sleep 600", "sleep 601")),
        ('command[2]: "sleep 601" -> "sleep 600" forces replacement',),
    ),
    DriftKind(
        "record cut",
        _record(lambda text: text[:40]),
        ("-/+ node {node} (is dead: node.json is damaged",),
    ),
)
