"""What a node really gets, seen from inside its container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import node

pytestmark = pytest.mark.docker


def said(desk: Desk, node_rank: int = 0) -> list[str]:
    """Apply, and return what one rank printed."""
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    prefix = f"rank {node_rank} | "
    return [line.removeprefix(prefix) for line in ran.out.splitlines() if line.startswith(prefix)]


def test_name_ranks_and_rendezvous(docker_desk: Desk) -> None:
    docker_desk.write(
        "hostname; echo $RANK $WORLD_SIZE $LOCAL_RANK $NODE_RANK $MASTER_ADDR $MASTER_PORT",
        rendezvous="rendezvous: {port: 29123, timeout: 90s}",
    )
    name = node(docker_desk, 1)
    assert said(docker_desk, 1) == [name, f"1 2 0 1 {node(docker_desk, 0)} 29123"]


def test_peers_are_reached_by_name(docker_desk: Desk) -> None:
    serve = "echo hello from 0 | nc -l -p 29500"
    fetch = "for i in 1 2 3 4 5 6 7 8 9; do nc $MASTER_ADDR 29500 && exit; sleep 0.3; done; exit 1"
    docker_desk.write(f"if [ $RANK = 0 ]; then {serve}; else {fetch}; fi")
    assert said(docker_desk, 1)[-1] == "hello from 0"


def test_mounts_and_who_owns_what_is_written_there(docker_desk: Desk) -> None:
    for name in ("in", "out"):
        (docker_desk.folder / name).mkdir()
    (docker_desk.folder / "in" / "text").write_text("some prose")
    os.chmod(docker_desk.folder / "out", 0o755)
    script = (
        "cat /in/text; echo; touch /in/more 2>/dev/null || echo read-only; echo $RANK >/out/$RANK"
    )
    mounts = (
        ", mounts: [{source: ./in, target: /in}, {source: ./out, target: /out, read_only: false}]"
    )
    docker_desk.write(script, ranks=docker_desk.ranks(script, mounts))
    assert said(docker_desk) == ["some prose", "read-only"]
    written = sorted((docker_desk.folder / "out").iterdir())
    assert [(path.name, path.read_text(), path.stat().st_uid) for path in written] == [
        ("0", "0\n", os.getuid()),
        ("1", "1\n", os.getuid()),
    ]


def test_limits_and_user(docker_desk: Desk) -> None:
    script = (
        "id -u; id -g; "
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null"
        " || cat /sys/fs/cgroup/memory.max; "
        "cat /sys/fs/cgroup/pids/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids.max; "
        "df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
    )
    more = (
        ", user: '1234:1235', resources: {cpus: 0.5, memory: 64MiB, pids: 77, shm_size: 8MiB},"
        " per_node: {1: {resources: {memory: 32MiB}}}"
    )
    docker_desk.write(script, ranks=docker_desk.ranks(script, more))
    assert said(docker_desk) == ["1234", "1235", str(64 * 1024**2), "77", str(8 * 1024)]
    docker_desk.write(script + "; true", ranks=docker_desk.ranks(script + "; true", more))
    assert said(docker_desk, 1)[2] == str(32 * 1024**2)


def test_a_node_that_needs_more_memory_than_it_may_is_said_to_have_run_out(
    docker_desk: Desk,
) -> None:
    script = 'if [ $RANK = 1 ]; then x=a; while true; do x="$x$x"; done; fi; sleep 60'
    more = ", resources: {memory: 32MiB}"
    docker_desk.write(script, ranks=docker_desk.ranks(script, more))
    ran = docker_desk.apply()
    assert ran.code == 1
    assert "    node 1: expected runs, or has ended with 0; found ran out of memory" in ran.out


def test_an_external_network_is_used_and_never_removed(docker_desk: Desk) -> None:
    import subprocess

    name = f"{docker_desk.project}-own"
    docker_desk.write("true", network=f"network: {{name: {name}, external: true}}")
    missing = docker_desk.apply()
    assert (missing.code, f"docker network create {name}" in missing.err) == (11, True)
    subprocess.run(["docker", "network", "create", name], check=True, capture_output=True)
    try:
        assert docker_desk.apply().code == 0
        assert docker_desk.destroy().code == 0
        listed = subprocess.run(
            ["docker", "network", "ls", "--format", "{{.Name}}", "--filter", f"name={name}"],
            check=True,
            capture_output=True,
            text=True,
        )
        assert listed.stdout.split() == [name]
    finally:
        subprocess.run(["docker", "network", "rm", name], check=True, capture_output=True)


def test_a_local_image_of_ones_own_is_built_from_its_dockerfile(docker_desk: Desk) -> None:
    folder: Path = docker_desk.folder / "image"
    folder.mkdir()
    (folder / "Dockerfile").write_text(f"FROM {docker_desk.image}\nCOPY word /word\n")
    (folder / "word").write_text("first")
    tag = f"orchestrate-test:{docker_desk.project}"
    image = f"image: {{tag: '{tag}', build: {{context: ./image}}}}"
    docker_desk.write("cat /word; echo", image=image)
    assert said(docker_desk) == ["first"]
    unchanged = docker_desk.apply()
    assert "changed=0" in unchanged.line("RECAP")
    (folder / "word").write_text("second")
    plan = docker_desk.run("plan", "--engine", "docker", "playbook.yaml")
    assert f"-/+ image {tag} (its inputs changed)" in plan.planned
    assert said(docker_desk) == ["second"]
