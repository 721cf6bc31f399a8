"""What an image gives its containers is no difference, whatever the image says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from orchestrator.deciding import query_for
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.plans.drift import remaining_differences
from orchestrator.plans.planner import make_plan
from orchestrator.state.desired import DesiredState, ImageSpec, NetworkSpec, RunIdentity
from orchestrator.state.spec import Limits, NodeSpec
from tests.e2e.conftest import docker

pytestmark = pytest.mark.docker

CHANGES = {
    "nothing": (),
    "environment": ("ENV A=1", "ENV EMPTY=", 'ENV QUOTED="x y=z"'),
    "python path": ("ENV PYTHONPATH=/app:/lib",),
    "empty python path": ("ENV PYTHONPATH=",),
    "user": ("USER 1000:1000",),
    "folder": ("WORKDIR /srv",),
    "entrypoint": ('ENTRYPOINT ["/bin/env"]',),
    "entrypoint in a shell": ('ENTRYPOINT exec "$0" "$@"',),
    "command": ('CMD ["echo", "hello"]',),
    "labels": ("LABEL a=b", "LABEL orchestrate.node_rank=7", "LABEL orchestrate.project=other"),
    "health check": ('HEALTHCHECK --interval=1s CMD ["true"]',),
    "stop signal": ("STOPSIGNAL SIGINT",),
    "shell": ('SHELL ["/bin/sh", "-ec"]', "CMD echo hello"),
    "volumes": ('VOLUME ["/data", "/srv/cache"]',),
    "ports": ("EXPOSE 8000/tcp", "EXPOSE 29500"),
    "all of it": (
        "ENV A=1",
        "USER 1000",
        "WORKDIR /srv",
        'ENTRYPOINT ["/bin/env"]',
        'CMD ["echo", "hello"]',
        "LABEL a=b",
        'HEALTHCHECK CMD ["true"]',
        "STOPSIGNAL SIGINT",
        'VOLUME ["/data"]',
        "EXPOSE 8000/tcp",
    ),
}  # fmt: skip


def build(tag: str, base: str, *lines: str) -> None:
    """Make an image of another one. Needs neither a network nor BuildKit."""
    subprocess.run(
        ["docker", "build", "--tag", tag, "-"],
        input="\n".join((f"FROM {base}", *lines)).encode(),
        env=os.environ | {"DOCKER_BUILDKIT": "0"},
        capture_output=True,
        check=True,
        timeout=60,
    )


@pytest.mark.parametrize("asked", ["nothing besides", "the same fields"])
@pytest.mark.parametrize("what", CHANGES)
def test_what_an_image_gives_is_no_difference(
    what: str, asked: str, busybox_image: str, project: str, tmp_path: Path
) -> None:
    build(f"{project}:1", busybox_image, *CHANGES[what])
    own = asked == "the same fields"
    spec = NodeSpec(
        node_rank=0,
        num_ranks=1,
        name=f"{project}-node-0",
        command=("sleep", "60"),
        image=f"{project}:1",
        env=(("A", "2"),) if own else (),
        limits=Limits(shm_bytes=2**20, pids=50),
        network=f"{project}-net",
        user="12:34" if own else None,
        workdir="/tmp" if own else None,
        probe=True,
    )
    network = NetworkSpec(f"{project}-net")
    desired = DesiredState(project, ImageSpec(f"{project}:1"), network, (spec,))
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path / "private")
    engine.create_network(network, project)
    engine.start_nodes([spec], RunIdentity(project, "run-1", "/runs/1"), lambda _: None)
    observed = engine.observe(query_for(desired))
    assert make_plan(desired, observed, in_place=engine.traits.in_place).actions == ()
    assert remaining_differences(desired, observed) == ()
    assert [node.status for node in observed.nodes] == ["running"]


def test_an_entrypoint_runs_the_command_and_the_plan_says_so(
    busybox_image: str, project: str, tmp_path: Path
) -> None:
    build(f"{project}:1", busybox_image, 'ENTRYPOINT ["/bin/env", "GIVEN=by the entrypoint"]')
    spec = NodeSpec(
        node_rank=0,
        num_ranks=1,
        name=f"{project}-node-0",
        command=("sh", "-c", 'echo "$GIVEN"; exec sleep 60'),
        image=f"{project}:1",
    )
    desired = DesiredState(project, ImageSpec(f"{project}:1"), None, (spec,))
    engine = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path / "private")
    engine.start_nodes([spec], RunIdentity(project, "run-1", "/runs/1"), lambda _: None)
    plan = make_plan(desired, engine.observe(query_for(desired)))
    assert plan.unchanged[0].why == (
        "present; its entrypoint /bin/env GIVEN=by the entrypoint runs the command"
    )
    assert docker("logs", spec.name) == "by the entrypoint"
