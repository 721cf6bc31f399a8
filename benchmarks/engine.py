"""The benchmark's own questions to Docker: what runs, what is left, and sweeping up."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.child import BenchmarkFailed
from benchmarks.contestants import PROJECTS, SLEEP_IMAGE

CALL_DEADLINE_S = 120.0


def docker(*args: str, stdin: bytes = b"") -> str:
    """Run a docker command; return its standard output.

    Raises:
        BenchmarkFailed: it failed, or did not end by the deadline.
    """
    try:
        done = subprocess.run(
            ["docker", *args],
            input=stdin,
            capture_output=True,
            timeout=CALL_DEADLINE_S,
            check=False,
            start_new_session=True,  # a Ctrl-C is for this program, which then sweeps up
        )
    except FileNotFoundError as exc:
        raise BenchmarkFailed("there is no `docker` command", fix="install Docker") from exc
    except subprocess.TimeoutExpired as exc:
        raise BenchmarkFailed(f"no answer in time: docker {' '.join(args[:3])}") from exc
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise BenchmarkFailed(f"docker {' '.join(args[:3])}: {said}")
    return done.stdout.decode(errors="replace")


def has_compose() -> bool:
    """True when `docker compose` is installed."""
    try:
        docker("compose", "version")
    except BenchmarkFailed:
        return False
    return True


def has_image(tag: str) -> bool:
    """True when the engine has an image of this tag."""
    return bool(docker("image", "ls", "--quiet", tag).split())


def import_sleep_image() -> None:
    """Make SLEEP_IMAGE: a static busybox as `sleep`, and nothing else.

    Raises:
        BenchmarkFailed: there is no static busybox on this machine.
    """
    busybox = shutil.which("busybox")
    if busybox is None:
        raise BenchmarkFailed(
            "there is no busybox to make the sleeping nodes' image of",
            fix="install the package busybox-static",
        )
    docker("import", "-", SLEEP_IMAGE, stdin=_root_file_system(Path(busybox)))


def _root_file_system(busybox: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.add(busybox, "bin/sleep")
    return buffer.getvalue()


def num_running(project: str) -> int:
    """How many of the project's nodes run."""
    return len(_nodes(project, "--filter", "status=running"))


def leftovers(project: str) -> tuple[str, ...]:
    """Ids of all containers and networks of the project, in any state."""
    return (*_nodes(project), *_networks(project))


def _nodes(project: str, *options: str) -> list[str]:
    name = f"name=^/?{project}-node-[0-9]+$"
    return docker("ps", "--all", "--quiet", "--filter", name, *options).split()


def _networks(project: str) -> list[str]:
    return docker("network", "ls", "--quiet", "--filter", f"name=^{project}-net$").split()


def inspect_node(project: str, node_rank: int) -> dict[str, Any]:
    """One node of the project, as `docker inspect` shows it."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", f"{project}-node-{node_rank}"))
    return found[0]


def has_joined(project: str, num_nodes: int) -> bool:
    """True when every node has written that it joined the process group."""
    return all(
        "process_group_joined" in docker("logs", f"{project}-node-{rank}")
        for rank in range(num_nodes)
    )


def sweep(projects: Sequence[str] = tuple(PROJECTS.values())) -> None:
    """Remove everything that a benchmark may have left: these projects' objects, no others."""
    for project in projects:
        nodes, networks = _nodes(project), _networks(project)
        if nodes:
            docker("rm", "--force", *nodes)
        if networks:
            docker("network", "rm", *networks)


def remove_sleep_image() -> None:
    """Remove SLEEP_IMAGE, if it is there."""
    if has_image(SLEEP_IMAGE):
        docker("image", "rm", "--force", SLEEP_IMAGE)
