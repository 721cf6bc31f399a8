"""The table of docker's flags against docker itself, and commands that cannot be understood."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.starting.carried import Place
from orchestrator.starting.container import Container, Note
from orchestrator.starting.docker_run import _CARRIED, container_of, subcommand_of, table
from orchestrator.starting.taking import take

PLACE = Place("p", "p.yaml", "/lab", "/lab", "docker run")
RUN = "docker run i "


@pytest.mark.docker
def test_the_table_knows_every_flag_of_the_docker_command_here() -> None:
    done = subprocess.run(
        ["docker", "run", "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    line = re.compile(r"^ {2,6}(?:-(\w), )?--([\w-]+)(?: (\S+))?(?: {2,}|$)", re.MULTILINE)
    listed = line.findall(done.stdout)
    assert len(listed) > 80
    known = table().flags
    assert {(letter, name, bool(value)) for letter, name, value in listed} <= {
        (flag.short, flag.name, flag.takes_value) for flag in known.values()
    }


def test_every_flag_is_carried_over_or_has_a_reason() -> None:
    silent = {flag.name for flag in table().flags.values() if not flag.left_out} - _CARRIED.keys()
    assert silent == set()
    assert _CARRIED.keys() <= table().flags.keys()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("docker run i", ("run", ("i",))),
        ("sudo A=1 /usr/bin/docker container create i", ("run", ("i",))),
        ("docker --context c -D run -d i", ("run", ("-d", "i"))),
        ("podman run i", ("run", ("i",))),
        ("docker network create n", ("network create", ("n",))),
        ("docker logs -f n", ("logs", ("-f", "n"))),
        ("docker", ("docker", ())),
        ("echo docker run i", ("", ())),
        ("A=1", ("", ())),
    ],
)
def test_which_command_it_is(typed: str, found: tuple[str, tuple[str, ...]]) -> None:
    assert subcommand_of(typed.split()) == found


def asked(typed: str) -> Container:
    return container_of(shlex.split(typed), 1)


@pytest.mark.parametrize(
    "typed",
    [
        "-it -e A=1 -m 2g i c -e x",
        "-ite A=1 -m2g i c -e x",
        "--tty=true -i --env=A=1 --memory=2048m -- i c -e x",
        "-ti --rm=false -e=A=1 -m=2G i c -e x",
    ],
)
def test_one_thing_can_be_written_in_many_ways(typed: str) -> None:
    found = asked(typed)
    assert (found.image, found.command, found.env, found.resources) == (
        "i",
        ("c", "-e", "x"),
        {"A": "1"},
        {"memory": "2GiB"},
    )
    assert {note.what for note in found.notes} == {"--interactive", "--tty"}


@pytest.mark.parametrize(
    ("typed", "gpus"),
    [
        ("--gpus all", "all"),
        ("--gpus 2", "count=2"),
        ("--gpus device=1", "1"),
        ("""--gpus '"device=0,1"'""", "0,1"),
        ("""--gpus '"device=GPU-ab-1","capabilities=compute,utility"'""", "GPU-ab-1"),
        ("-e NVIDIA_VISIBLE_DEVICES=0", "0"),
        ("-e NVIDIA_VISIBLE_DEVICES=void", ""),
        ("--runtime nvidia", "all"),
    ],
)
def test_gpus_are_asked_for_in_many_ways(typed: str, gpus: str) -> None:
    assert asked(f"{typed} i c").gpus == gpus


def test_what_is_left_out_says_why_and_what_serves_instead() -> None:
    assert asked("--ulimit memlock=-1 --cap-add ALL --restart no i c").notes == [
        Note(
            "left out",
            "--ulimit",
            "memlock=-1",
            "only memlock has a field, and it is unlimited where nodes have GPUs",
            "gpu.memlock",
        ),
        Note(
            "left out",
            "--cap-add",
            "ALL",
            "nodes are confined: no capability, no device of this machine, no engine socket",
            "security",
        ),
    ]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("", 1, "no `docker run` in it"),
        ("echo hello", 1, "no `docker run` in it"),
        ("\ndocker run --evn A=1 i c", 2, "docker run has no flag '--evn'"),
        ("docker run -Q i c", 1, "docker run has no flag '-Q'"),
        ("docker run -e", 1, "--env has no value"),
        ("docker run -d", 1, "no image is named"),
        ("docker run -m lots i c", 1, "'lots' is not a size"),
        ("docker run --cpus many i c", 1, "'many' is not a number"),
        ("docker run $IMAGE c", 1, "only a running shell knows what '$IMAGE' is"),
        ("docker run i c $(cat steps)", 1, "only a running shell knows what '$(cat steps)' is"),
        ("docker run 'i c", 1, "quotes that do not end: no closing quotation"),
        ("docker run i", 1, "the container of line 1 runs what its image i runs by itself"),
        ("\n\ndocker run i c\ndocker run", 4, "no image is named"),
    ],
)
def test_what_cannot_be_understood_is_named_with_its_line(text: str, line: int, what: str) -> None:
    with pytest.raises(InvalidPlaybook) as caught:
        take(text, "x.sh", PLACE)
    (fault,) = caught.value.faults
    assert (fault.file, fault.line, fault.what) == ("x.sh", line, what)
    assert fault.fix


def test_a_misspelt_flag_is_told_the_right_one() -> None:
    with pytest.raises(InvalidPlaybook) as caught:
        take("docker run --evn A=1 i c", "x.sh", PLACE)
    assert caught.value.faults == (
        Fault("x.sh", 1, 1, "", "docker run has no flag '--evn'", "did you mean --env?"),
    )


def test_one_container_that_says_how_many_there_are_stands_for_all() -> None:
    draft, notes = take(f"docker run -e RANK=0 -e WORLD_SIZE=3 {RUN[11:]} c", "x", PLACE)
    assert draft.document["ranks"] == {"nodes": 3, "command": ["c"]}
    assert [note.what for note in notes] == ["number of ranks", "RANK", "WORLD_SIZE"]


def test_a_rank_that_is_given_twice_and_a_world_that_does_not_fit() -> None:
    _, notes = take("docker run -e RANK=0 -e WORLD_SIZE=4 i c\n" * 2, "x", PLACE)
    assert [(note.what, note.value, note.why) for note in notes][:2] == [
        ("WORLD_SIZE", "4", "2 containers are started: they are the world"),
        (
            "RANK",
            "0, 0",
            "set for every rank by the number of its node; rank 0 was given more than once",
        ),
    ]


def test_ranks_are_put_in_order() -> None:
    text = "docker run -e RANK=1 -e A=1 i c\ndocker run -e RANK=0 -e A=0 i c"
    draft, _ = take(text, "x", PLACE)
    assert draft.document["ranks"]["per_node"] == {0: {"env": {"A": "0"}}, 1: {"env": {"A": "1"}}}


@pytest.mark.parametrize(
    ("first", "second", "gpu"),
    [
        ("", "", None),
        ("--gpus all", "--gpus all", {"mode": "shared", "memory_fraction": 0.45}),
        (
            "--gpus device=1",
            "--gpus device=1",
            {"mode": "shared", "devices": [1], "memory_fraction": 0.45},
        ),
        ("--gpus device=0", "--gpus device=1", {"mode": "exclusive", "devices": [0, 1]}),
    ],
)
def test_how_gpus_are_shared_follows_from_who_was_given_which(
    first: str, second: str, gpu: dict[str, object] | None
) -> None:
    draft, _ = take(f"docker run {first} i c\ndocker run {second} i c", "x", PLACE)
    assert draft.document.get("gpu") == gpu
