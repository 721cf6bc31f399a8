"""What a node can and cannot do, tried from inside it, under each profile."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.contract.stand import docker
from tests.e2e.conftest import Desk
from tests.e2e.test_lifecycle import node
from tests.e2e.test_nodes import said
from tests.e2e.test_training import STEP, shipped

pytestmark = pytest.mark.docker

PROFILES = ("default", "strict")

PROBE = (
    "grep -E '^(CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status"
    r" | tr -d '\t'; id -u;"
    " touch /probe 2>/dev/null && echo root is writable || echo root is read-only;"
    " mount -t tmpfs none /bin 2>/dev/null || echo no mounting;"
    " ls /var/run/docker.sock /run/docker.sock 2>/dev/null || echo no engine;"
    " df -k /dev/shm | tail -1 | tr -s ' ' | cut -d' ' -f2"
)
IN_TMP = (
    "df -k /tmp | tail -1 | tr -s ' ' | cut -d' ' -f2;"
    " cp /bin/busybox /tmp/busybox && /tmp/busybox echo runs from $HOME;"
    " dd if=/dev/zero of=/tmp/big bs=1M count=65 2>/dev/null || echo no more than that"
)


def pinned(desk: Desk) -> str:
    """The `image` section with the id of the desk's image, which cannot move."""
    found = docker("image", "inspect", "--format", "{{.Id}}", desk.image).strip()
    return f"image: {{tag: '{found}', pull: never}}"


def write(desk: Desk, profile: str, script: str, more: str = "", **sections: str) -> None:
    security = "profile: strict, tmp_size: 64MiB" if profile == "strict" else "profile: default"
    given = {
        "image": pinned(desk),
        "ranks": desk.ranks(script, more),
        "security": f"security: {{{security}}}",
    }
    desk.write(script, **given | sections)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_node_holds_no_power(docker_desk: Desk, profile: str) -> None:
    write(docker_desk, profile, PROBE, ", resources: {shm_size: 8MiB}")
    strict = profile == "strict"
    assert said(docker_desk) == [
        *(f"Cap{kind}:{0:016x}" for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")),
        "NoNewPrivs:1",
        "Seccomp:2",
        "65534" if strict else "0",
        "root is read-only" if strict else "root is writable",
        "no mounting",
        "no engine",
        str(8 * 1024),
    ]


def test_strict_gives_a_node_a_tmp_of_a_size_that_it_can_run_from(docker_desk: Desk) -> None:
    write(docker_desk, "strict", IN_TMP)
    assert said(docker_desk) == [str(64 * 1024), "runs from /tmp", "no more than that"]


@pytest.mark.parametrize("profile", PROFILES)
def test_a_fork_bomb_is_capped(docker_desk: Desk, profile: str) -> None:
    bomb = "i=0; while [ $i -lt 200 ]; do sleep 3 & i=$((i+1)); done; echo started all"
    script = f"( {bomb} ) 2>&1 | tail -1; echo survived"
    write(docker_desk, profile, script, ", resources: {pids: 50}")
    words = said(docker_desk)
    assert words[-1] == "survived"
    assert "started all" not in words
    assert "fork" in words[0]


OUTSIDE = ("1.1.1.1 53", "9.9.9.9 443")
"""Addresses that answer wherever there is a way to the internet."""


@pytest.mark.parametrize("profile", PROFILES)
def test_a_node_has_no_way_out(docker_desk: Desk, profile: str) -> None:
    knocks = (f"nc -w 3 {there} </dev/null && echo got out" for there in OUTSIDE)
    write(docker_desk, profile, "; ".join([*knocks, "echo tried"]))
    assert [line for line in said(docker_desk) if not line.startswith("nc: ")] == ["tried"]
    network = f"{docker_desk.project}-net"
    assert docker("network", "inspect", "--format", "{{.Internal}}", network) == "true\n"


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--security-opt", "seccomp=unconfined"], "security_opt: seccomp=unconfined -> (none)"),
        (["--cap-add", "NET_ADMIN"], "cap_add: "),
        (["--tmpfs", "/tmp:rw,size=4096"], "tmpfs./tmp: rw,size=4096 -> rw,exec"),
    ],
)
def test_a_node_that_was_made_anew_with_less_in_its_way_is_drift(
    docker_desk: Desk, options: list[str], named: str
) -> None:
    write(docker_desk, "strict", "sleep 60", health_checks="health_checks: []")
    applied = docker_desk.apply()
    assert applied.code == 0, applied.out + applied.err
    loosen(node(docker_desk, 1), f"{docker_desk.project}-net", options)
    planned = docker_desk.run("plan", "--engine", "docker", "playbook.yaml")
    assert (named in planned.out, planned.code) == (True, 0), planned.out + planned.err
    assert "read_only_root: (none) -> true" in planned.out


def loosen(name: str, network: str, options: list[str]) -> None:
    """Put a container of other options in the place of a node, with all of its labels."""
    config = json.loads(docker("inspect", "--format", "{{json .Config}}", name))
    docker("rm", "--force", name)
    labels = [f"--label={key}={value}" for key, value in config["Labels"].items()]
    words = [*labels, *options, config["Image"], *config["Cmd"]]
    names = ["--name", name, "--hostname", name, "--network", network]
    docker("run", "--detach", *names, *words)


@pytest.mark.torch
@pytest.mark.parametrize("profile", PROFILES)
def test_the_trainer_runs_unchanged_under_each_profile(
    make_desk: Callable[[str], Desk], repository: Path, profile: str
) -> None:
    desk = make_desk("docker")
    playbook = shipped(desk, repository, "two-rank.yaml")
    playbook["security"] = {"profile": profile}
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    ran = desk.run("apply", "--engine", "docker", "playbook.yaml", deadline_s=1200)
    assert ran.code == 0, ran.out + ran.err
    assert len(STEP.findall(ran.out)) == 40


def test_what_a_node_writes_to_a_mount_belongs_to_who_ran_apply(docker_desk: Desk) -> None:
    out = docker_desk.folder / "out"
    out.mkdir()
    os.chown(out, 4321, 4321)
    mounts = ", user: '4321:4321', mounts: [{source: out, target: /out, read_only: false}]"
    write(docker_desk, "strict", "echo $RANK >/out/$RANK", mounts)
    assert said(docker_desk) == []
    assert sorted((path.name, path.stat().st_uid) for path in out.iterdir()) == [
        ("0", 4321),
        ("1", 4321),
    ]
