"""Desks for many runs side by side, what is left of a run, and objects nobody may touch."""

from __future__ import annotations

import itertools
import json
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.engines.base import Engine
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.local.engine import LocalEngine
from orchestrator.playbook.loader import load
from orchestrator.run import Request, plan
from tests.e2e.conftest import Desk, docker

RUNS_ON = "echo from $RANK; trap 'exit 143' TERM; sleep 600 & wait"
"""A node that runs until it is asked to end, and ends at once then."""

ENDS = "echo from $RANK"


@dataclass
class Yard:
    """Makes desks; may be used from several threads."""

    folder: Path
    engine: str
    image: str
    stem: str
    desks: list[Desk] = field(default_factory=list)
    _count: Iterator[int] = field(default_factory=itertools.count)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def desk(self, script: str = RUNS_ON) -> Desk:
        """A desk with a playbook of two nodes, and all its state in its own folder."""
        with self._lock:
            number = next(self._count)
        project = f"{self.stem}-{secrets.token_hex(2)}{number}"
        desk = Desk(self.folder / project, self.engine, self.image, project)
        for name in ("state", "cache", "tmp"):
            (desk.folder / name).mkdir(parents=True)
        desk.env = {
            "XDG_STATE_HOME": str(desk.folder / "state"),
            "XDG_CACHE_HOME": str(desk.folder / "cache"),
            "ORCHESTRATE_LOCAL_ROOT": str(desk.folder / "local"),
            "TMPDIR": str(desk.folder / "tmp"),
        }
        self.desks.append(desk)
        write(desk, script)
        return desk

    def clear(self) -> None:
        """Destroy what is left on the desks."""
        for desk in self.desks:
            if left_of(desk):
                desk.run("destroy", "--grace", "0", "--engine", desk.engine, desk.project)


def write(desk: Desk, script: str, **changes: str) -> None:
    """Write the desk's playbook: no check is waited for, and ports of neighbours differ."""
    port = 20000 + int(secrets.token_hex(2), 16) % 9000
    sections = {
        "health_checks": "health_checks: []",
        "rendezvous": f"rendezvous: {{port: {port}}}",
    }
    desk.write(script, **(sections | changes))


def engine_of(desk: Desk) -> Engine:
    """The desk's engine, in this process."""
    if desk.engine == "local":
        return LocalEngine(desk.folder / "local")
    return DockerEngine(
        cache_dir=desk.folder / "cache" / "orchestrate" / "images",
        private_dir=private_folder(desk),
        probe_dir=desk.folder / "state" / "orchestrate" / "probe",
    )


def private_folder(desk: Desk) -> Path:
    """Where the desk's secrets lie as long as nodes refer to them."""
    return desk.folder / "state" / "orchestrate" / "private"


def pending(desk: Desk) -> list[str]:
    """What an apply of the desk's playbook would still do."""
    request = Request(load(desk.folder / "playbook.yaml"), engine_of(desk), desk.folder / "unused")
    return [str(action) for action in plan(request).plan.actions]


def left_of(desk: Desk) -> list[str]:
    """Every object of the desk's project, whatever labels it has, and every unfinished file.

    The scratch folder of a build that was killed is not among them: the next build sweeps it.
    """
    found = [
        str(path)
        for path in desk.folder.rglob("*")
        if path.suffix == ".part" or path.parent == desk.folder / "tmp"
    ]
    if desk.engine == "local":
        project = desk.folder / "local" / desk.project
        return found + [str(path) for path in [project, *project.rglob("*")] if path.exists()]
    found += [str(path) for path in private_folder(desk).glob("*")]
    label = '{{.Label "orchestrate.project"}}'
    listed = (
        docker("ps", "--all", "--format", f"{{{{.Names}}}} {label}"),
        docker("network", "ls", "--format", f"{{{{.Name}}}} {label}"),
    )
    objects = [line for text in listed for line in text.splitlines()]
    return found + [
        line
        for line in objects
        if line.startswith(f"{desk.project}-") or line.endswith(f" {desk.project}")
    ]


def lost_logs(desk: Desk) -> list[str]:
    """Run folders that hold something else than whole logs of nodes that had their say."""
    runs = (desk.folder / ".orchestrate" / "runs" / desk.project).glob("*")
    return [
        f"{log.parent.name}/{log.name}: {log.read_text()!r}"
        for run in runs
        for log in run.iterdir()
        # A shell whose `sleep` was ended says so after that.
        if log.suffix == ".log"
        and not log.read_text().startswith(f"from {log.stem.removeprefix('node-')}\n")
    ]


@dataclass
class Bystanders:
    """Objects of others whose names and labels are close to those of the tests' projects."""

    project: str
    containers: list[str] = field(default_factory=list)
    networks: list[str] = field(default_factory=list)
    _before: dict[str, str] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def standing(cls, image: str, folder: Path) -> Iterator[Bystanders]:
        """Put them on the engine, for the block."""
        found = cls(f"rel-{secrets.token_hex(3)}")
        neighbour = Desk(folder, "docker", image, found.project)
        try:
            found._put(image, neighbour)
            yield found
        finally:
            neighbour.run("destroy", "--grace", "0", "--engine", "docker", found.project)
            for kind, names in (("rm", found.containers), ("network", found.networks)):
                if names:
                    docker(*((kind, "--force") if kind == "rm" else (kind, "rm")), *names)

    def _put(self, image: str, neighbour: Desk) -> None:
        """Another project of ours, another owner's, a stranger's, one with spoiled labels."""
        write(neighbour, "sleep 3600")
        assert neighbour.apply("--detach").code == 0
        name = self.project
        label = f"orchestrate.project={name}-x"
        self.networks += [
            docker("network", "create", "--label", label, f"{name}x-net"),
            docker("network", "create", f"{name}-netx"),
        ]
        for suffix, labels in (
            ("x-node-0", ["--label", label, "--label", "orchestrate.owner=nobody-else"]),
            ("-node-0x", []),
            ("-node-9", ["--label", "orchestrate.node_rank=9"]),
        ):
            self.containers.append(
                docker("create", "--name", f"{name}{suffix}", *labels, image, "sleep", "1")
            )
        self.containers_of_neighbour = docker(
            "ps", "-aq", "--no-trunc", "--filter", f"label=orchestrate.project={name}"
        ).split()
        self._before = self._inspected()

    def _inspected(self) -> dict[str, str]:
        ids = [*self.containers, *self.containers_of_neighbour]
        found = json.loads(docker("inspect", *ids))
        found += json.loads(docker("network", "inspect", f"{self.project}-net", *self.networks))
        return {each["Name"]: json.dumps(each, sort_keys=True) for each in found}

    def changes(self) -> dict[str, str]:
        """What is not byte for byte as it was: `{name: what it is now}`."""
        now = self._inspected()
        return {name: now[name] for name, was in self._before.items() if now[name] != was}
