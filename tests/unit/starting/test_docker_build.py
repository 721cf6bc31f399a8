"""`docker build` beside `docker run`: what a playbook has of it, and what is said of the rest."""

from __future__ import annotations

import re
import shlex
import subprocess
from typing import Any

import pytest

from orchestrator.starting.container import Container, NotSaidError
from orchestrator.starting.docker_build import image_of, table
from orchestrator.starting.docker_run import subcommand_of
from orchestrator.starting.shell import commands_of

CARRIED = {"build-arg", "file", "tag"}


@pytest.mark.docker
def test_the_table_knows_every_flag_of_the_docker_command_here() -> None:
    done = subprocess.run(
        ["docker", "build", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    line = re.compile(r"^ {2,6}(?:-(\w), )?--([\w-]+)(?: (\S+))?(?: {2,}|$)", re.MULTILINE)
    listed = line.findall(done.stdout)
    assert len(listed) > 20
    assert {(name, bool(value)) for _, name, value in listed} <= {
        (flag.name, flag.takes_value) for flag in table().flags.values()
    }


def test_every_flag_is_carried_over_or_has_a_reason() -> None:
    assert {flag.name for flag in table().flags.values() if not flag.left_out} == CARRIED


def built(typed: str, image: str) -> dict[str, Any] | None:
    """What the image of a container is built from, after `docker build` with these arguments."""
    container = Container("c", image=image)
    made = image_of(shlex.split(typed))
    if made.makes(image):
        made.give(container)
    return container.build


@pytest.mark.parametrize(
    ("typed", "image", "found"),
    [
        ("-t a .", "a", {"context": "."}),
        ("-t a .", "a:latest", {"context": "."}),
        ("-t a:1 -t b .", "b", {"context": "."}),
        ("-t host:5000/a .", "host:5000/a:latest", {"context": "."}),
        ("-t a -f Dockerfile .", "a", {"context": "."}),
        (
            "-ta -f docker/gpu.Dockerfile docker",
            "a",
            {"context": "docker", "dockerfile": "gpu.Dockerfile"},
        ),
        ("-t a -f d/F .", "a", {"context": ".", "dockerfile": "d/F"}),
        (
            "--tag=a --build-arg X=1 --build-arg Y .",
            "a",
            {"context": ".", "args": {"X": "1", "Y": "{{ env('Y', '') }}"}},
        ),
        ("-t a:1 .", "a:2", None),
        (".", "a", None),
    ],
)
def test_what_an_image_is_built_from(typed: str, image: str, found: object) -> None:
    assert built(typed, image) == found


def test_what_is_left_out_is_said() -> None:
    container = Container("c", image="a")
    image_of(shlex.split("--no-cache --target train -q -t a .")).give(container)
    assert [(note.what, note.value, note.instead) for note in container.notes] == [
        ("docker build --no-cache", "", "image.build"),
        ("docker build --target", "train", "image.build"),
        ("docker build --quiet", "", "image.build"),
    ]


@pytest.mark.parametrize(
    ("typed", "what"),
    [
        ("docker build -t a -", "what it builds from is no folder of this machine: '-'"),
        (
            "docker build -t a https://h/r.git",
            "what it builds from is no folder of this machine: 'https://h/r.git'",
        ),
        ('docker build -t a "$X"', "what it builds from is no folder of this machine: '$X'"),
        ("docker build -t a", "what it builds from is no folder of this machine: ''"),
        ("docker build --tga a .", "docker build has no flag '--tga'"),
        ("docker build -t", "--tag has no value"),
    ],
)
def test_what_cannot_be_built_here(typed: str, what: str) -> None:
    (command,) = commands_of(typed, "x.sh")
    with pytest.raises(NotSaidError) as caught:
        image_of(subcommand_of(command.words)[1])
    assert caught.value.what == what


@pytest.mark.parametrize(
    "typed", ["docker build .", "docker buildx build .", "docker image build ."]
)
def test_which_commands_build(typed: str) -> None:
    assert subcommand_of(typed.split()) == ("build", (".",))
