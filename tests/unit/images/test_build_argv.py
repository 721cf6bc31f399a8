"""The commands that are run, word for word; and what was found out about the network."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.errors import ImageUnavailable
from orchestrator.images.build_cli import BuildCall, build_argv
from orchestrator.images.debian_base import can_replace, mmdebstrap_argv
from orchestrator.images.reach import Reach, ReachMemory, Route, memory_key, reach_from_environment
from orchestrator.images.wheels import Target, WheelRequest, download_argv

CALL = BuildCall(
    tag="x:1",
    context=Path("/s/context"),
    dockerfile=Path("/s/Dockerfile"),
    args=(("A", "1 2"),),
    labels=(("l", "v"),),
    network="none",
)


def test_build_argv_with_the_legacy_builder() -> None:
    assert build_argv(CALL, buildx=False) == [
        *("build", "--tag", "x:1", "--file", "/s/Dockerfile", "--force-rm"),
        *("--build-arg", "A=1 2", "--label", "l=v", "--network", "none", "/s/context"),
    ]


def test_build_argv_with_buildx() -> None:
    assert build_argv(CALL, buildx=True) == [
        *("build", "--tag", "x:1", "--file", "/s/Dockerfile", "--progress", "plain"),
        *("--build-arg", "A=1 2", "--label", "l=v", "--network", "none", "/s/context"),
    ]


def test_download_argv_names_the_target_and_not_this_machine() -> None:
    request = WheelRequest(Path("/r.txt"), Target("3.12", "aarch64", 6), ("--index-url", "u"))

    assert download_argv("/bin/py", request, Path("/w")) == [
        *("/bin/py", "-m", "pip", "download", "--disable-pip-version-check"),
        *("--progress-bar", "off", "--no-input", "--only-binary", ":all:"),
        *("--implementation", "cp", "--python-version", "3.12"),
        *("--abi", "cp312", "--abi", "abi3", "--abi", "none"),
        *("--platform", "manylinux_2_6_aarch64", "--platform", "manylinux_2_5_aarch64"),
        *("--platform", "manylinux2014_aarch64", "--platform", "manylinux2010_aarch64"),
        *("--platform", "manylinux1_aarch64", "--platform", "linux_aarch64"),
        *("--dest", "/w", "--requirement", "/r.txt", "--index-url", "u"),
    ]


def test_a_set_of_wheels_has_a_key_of_its_own(tmp_path: Path) -> None:
    requirements = tmp_path / "r.txt"
    requirements.write_text("a==1\n")
    target = Target("3.11", "x86_64", 36)
    keys = {WheelRequest(requirements, target, ()).key}
    keys.add(WheelRequest(requirements, target, ()).key)
    keys.add(WheelRequest(requirements, target, ("-i", "u")).key)
    keys.add(WheelRequest(requirements, Target("3.12", "x86_64", 36), ()).key)
    requirements.write_text("a==2\n")
    keys.add(WheelRequest(requirements, target, ()).key)

    assert len(keys) == 4


def test_mmdebstrap_argv() -> None:
    assert mmdebstrap_argv(Path("/s/base.tar")) == [
        *("mmdebstrap", "--variant=minbase"),
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--include=python3,python3-venv,usr-is-merged",
        '--aptopt=Acquire::Languages "none"',
        "--dpkgopt=path-exclude=/usr/share/doc/*",
        "--dpkgopt=path-exclude=/usr/share/man/*",
        "--dpkgopt=path-exclude=/usr/share/info/*",
        "--dpkgopt=path-exclude=/usr/share/locale/*",
        *("bookworm", "/s/base.tar"),
    ]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("python:3.11-slim", True),
        ("library/python:3.11", True),
        ("python:3.11.9-slim-bookworm", True),
        ("debian:bookworm-slim", True),
        ("debian:12", True),
        ("python:3.11-alpine", False),
        ("python:3.12-slim", False),
        ("python:3.1", False),
        ("debian:trixie", False),
        ("someone/python:3.11", False),
        ("pytorch/pytorch:2.13.0-cuda13.0-cudnn9-runtime", False),
        ("python", False),
    ],
)
def test_what_the_debian_base_may_stand_in_for(image: str, expected: bool) -> None:
    assert can_replace(image) is expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, Reach.AUTO),
        ({"ORCHESTRATE_OFFLINE": ""}, Reach.AUTO),
        ({"ORCHESTRATE_OFFLINE": "auto"}, Reach.AUTO),
        ({"ORCHESTRATE_OFFLINE": "1"}, Reach.OFFLINE),
        ({"ORCHESTRATE_OFFLINE": "0"}, Reach.ONLINE),
    ],
)
def test_the_switch(environ: dict[str, str], expected: Reach) -> None:
    assert reach_from_environment(environ) is expected


def test_the_switch_refuses_what_it_does_not_know() -> None:
    with pytest.raises(ImageUnavailable) as caught:
        reach_from_environment({"ORCHESTRATE_OFFLINE": "yes"})

    assert str(caught.value) == (
        "ORCHESTRATE_OFFLINE=yes means nothing; set ORCHESTRATE_OFFLINE to auto, 1 or 0"
    )


class _Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_finding_is_remembered_for_an_hour(tmp_path: Path) -> None:
    clock = _Clock()
    memory = ReachMemory(tmp_path / "reach", clock)
    route = Route(offline=True, instead=(("python:3.11-slim", "base:1"),))
    memory.remember("k", route)

    assert memory.recall("k") == route
    assert memory.recall("other") is None
    clock.now += 3599
    assert memory.recall("k") == route
    clock.now += 1
    assert memory.recall("k") is None
    clock.now = 999  # set back
    assert memory.recall("k") is None


def test_a_finding_can_be_forgotten_and_a_damaged_one_is_none(tmp_path: Path) -> None:
    memory = ReachMemory(tmp_path, _Clock())
    memory.forget("k")
    memory.remember("k", Route(offline=False))
    memory.forget("k")
    assert memory.recall("k") is None
    for damaged in ("", "[]", "{}", '{"instead": 1, "offline": true, "at_s": 1}'):
        (tmp_path / "k").write_text(damaged)
        assert memory.recall("k") is None


def test_another_engine_or_index_is_another_question() -> None:
    keys = [
        memory_key(["docker"], ["a"], []),
        memory_key(["docker", "a"], [], []),
        memory_key(["docker"], [], ["a"]),
        memory_key(["docker"], ["a"], []),
    ]

    assert len(set(keys)) == 3
