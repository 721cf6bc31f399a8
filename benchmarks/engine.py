"""The benchmark's own questions to Docker: what runs, what is left, and sweeping up."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.child import BenchmarkFailed
from benchmarks.contestants import PROJECTS, SLEEP_IMAGE

CALL_DEADLINE_S = 120.0
SETTLE_S = 1.0


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


def compose_version() -> str | None:
    """The version of `docker compose`; None where it is not installed."""
    try:
        return docker("compose", "version", "--short").strip()
    except BenchmarkFailed:
        return None


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


def sweep(*, within_s: float = 30.0) -> None:
    """Remove everything of the contestants' projects, and nothing else.

    Looks again after it has removed something: when a contestant was interrupted, the
    engine may still be finishing what it was asked for.

    Raises:
        BenchmarkFailed: something could not be removed by the deadline.
    """
    deadline_s = time.monotonic() + within_s
    while any(_remove(project) for project in PROJECTS.values()):
        if time.monotonic() > deadline_s:
            raise BenchmarkFailed(
                f"bench-* objects are still there after {within_s:g} s",
                fix="see `docker ps --all` and `docker network ls`; the next run tries again",
            )
        time.sleep(SETTLE_S)


def _remove(project: str) -> bool:
    """Ask for the removal of what there is of a project; True if there was anything."""
    nodes, networks = _nodes(project), _networks(project)
    for command, found in ((("rm", "--force"), nodes), (("network", "rm"), networks)):
        if found:
            # One that is being removed already is refused, and gone at the next look.
            with suppress(BenchmarkFailed):
                docker(*command, *found)
    return bool(nodes or networks)


def remove_sleep_image() -> None:
    """Remove SLEEP_IMAGE, if it is there."""
    if has_image(SLEEP_IMAGE):
        docker("image", "rm", "--force", SLEEP_IMAGE)
