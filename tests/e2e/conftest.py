"""End to end: the installed `orchestrate` command, real engines, real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.engines.base import Query
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.plans.planner import make_destroy_plan

ORCHESTRATE = Path(sys.executable).with_name("orchestrate")
DEADLINE_S = 300.0


@dataclass(frozen=True, slots=True)
class Ran:
    """One finished `orchestrate` command."""

    code: int
    out: str
    err: str
    took_s: float

    def line(self, start: str) -> str:
        """The one line of the output that starts like this."""
        found = [line for line in self.out.splitlines() if line.startswith(start)]
        assert len(found) == 1, f"{start!r} is there {len(found)} times in:\n{self.out}{self.err}"
        return found[0]

    @property
    def planned(self) -> list[str]:
        """The lines of the output without their columns, as those of a plan are set in columns."""
        return [" ".join(line.split()) for line in self.out.splitlines()]


@dataclass
class Desk:
    """A user's working folder with one engine, and the commands typed in it."""

    folder: Path
    engine: str
    image: str
    project: str
    env: dict[str, str] = field(default_factory=dict)

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start `orchestrate ARGS` in the folder."""
        return subprocess.Popen(
            [ORCHESTRATE, *args],
            cwd=self.folder,
            env=os.environ | self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: str, deadline_s: float = DEADLINE_S) -> Ran:
        """Run `orchestrate ARGS` in the folder to its end."""
        began_s = time.monotonic()
        child = self.start(*args)
        try:
            out, err = child.communicate(timeout=deadline_s)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            pytest.fail(f"{args} did not end within {deadline_s} s:\n{out}\n{err}")
        return Ran(child.returncode, out, err, time.monotonic() - began_s)

    def apply(self, *args: str) -> Ran:
        """Apply the folder's playbook."""
        return self.run("apply", "--engine", self.engine, *args, "playbook.yaml")

    def destroy(self, *args: str) -> Ran:
        """Destroy the folder's project."""
        return self.run("destroy", "--engine", self.engine, *args, self.project)

    def write(self, script: str, **changes: str) -> None:
        """Write a playbook of two nodes that run a shell script.

        Args:
            script: what `sh -c` gets.
            changes: whole top-level sections as YAML, in place of the ones used here.
        """
        (self.folder / "script.sh").write_text(script)
        sections: Mapping[str, str] = {
            "version": "version: 1",
            "name": f"name: {self.project}",
            "image": f"image: {{tag: '{self.image}', pull: never}}",
            "ranks": f"ranks: {{nodes: 2, command: [sh, -c, {_quoted(script)}]}}",
            "rendezvous": f"rendezvous: {{port: {29500 + os.getpid() % 1000}}}",
            "health_checks": "health_checks: [{completed: {within: 30s}}]",
        } | changes
        (self.folder / "playbook.yaml").write_text("\n".join(sections.values()) + "\n")

    def ranks(self, script: str, more: str = "") -> str:
        """The `ranks` section for a script, with more keys."""
        return f"ranks: {{nodes: 2, command: [sh, -c, {_quoted(script)}]{more}}}"


def _quoted(script: str) -> str:
    return "'" + script.replace("'", "''") + "'"


def docker(*args: str) -> str:
    """Run a docker command on the engine that runs; what it prints."""
    done = subprocess.run(["docker", *args], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


ENGINES = (pytest.param("docker", marks=pytest.mark.docker), "local")


@pytest.fixture
def make_desk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Desk]]:
    """Makes desks for an engine, and takes away what was left on them."""
    desks: list[Desk] = []

    def make(engine: str) -> Desk:
        image = request.getfixturevalue("busybox_image") if engine == "docker" else "unused:1"
        project = f"e2e-{uuid.uuid4().hex[:10]}"
        folder = tmp_path / project
        folder.mkdir()
        desks.append(Desk(folder, engine, image, project))
        return desks[-1]

    yield make
    for desk in desks:
        desk.env.clear()
        desk.run("destroy", "--grace", "0", "--engine", desk.engine, desk.project)


@pytest.fixture(params=ENGINES)
def desk(make_desk: Callable[[str], Desk], request: pytest.FixtureRequest) -> Desk:
    """A desk on each engine in turn."""
    return make_desk(request.param)


@pytest.fixture
def docker_desk(make_desk: Callable[[str], Desk]) -> Desk:
    """A desk on Docker."""
    return make_desk("docker")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[str]:
    """A name for what is made without the command, an image `NAME:1` too; nothing is left of it."""
    name = f"utest-{uuid.uuid4().hex[:10]}"
    yield name
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path / "private")
    plan = make_destroy_plan(engine.observe(Query(name)))
    engine.remove_nodes([removal.node for removal in plan.remove_nodes])
    for removal in plan.remove_networks:
        engine.remove_network(removal.network)
    docker("rmi", "--force", f"{name}:1")
