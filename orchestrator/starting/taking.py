"""What `init --from` is given -> a draft, and what is to be said of it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from orchestrator.starting.carried import Place, draft_of, notes_of
from orchestrator.starting.compose import services_of
from orchestrator.starting.container import Container, Note, NotSaidError
from orchestrator.starting.docker_build import image_of
from orchestrator.starting.docker_run import container_of, subcommand_of
from orchestrator.starting.draft import Draft
from orchestrator.starting.gang import gang_of
from orchestrator.starting.shell import Command, commands_of, refused

_FIX = "give `docker run` commands, a script of them, or a Compose file"


def take(text: str, name: str, place: Place) -> tuple[Draft, tuple[Note, ...]]:
    """Turn commands, or a Compose file, into a playbook.

    Args:
        text: what was given.
        name: what faults call it.
        place: where the playbook will be.

    Raises:
        InvalidPlaybook: it cannot be understood, with the line at fault.
    """
    if _is_compose(text, name):
        containers, networks = services_of(text, name)
    else:
        containers, networks = _run_by(commands_of(text, name), name)
    for container in containers:
        if not container.command and not container.entrypoint:
            what = f"{container.where} runs what its image {container.image} runs by itself"
            fix = "add the command: `docker image inspect` shows it under Cmd"
            raise refused(name, container.line, what, fix)
    gang = gang_of(containers, networks)
    draft = draft_of(gang, place)
    return draft, notes_of(gang)


def _is_compose(text: str, name: str) -> bool:
    is_named = name.endswith((".yaml", ".yml"))
    return is_named or any(line.startswith("services:") for line in text.splitlines())


def _run_by(commands: Sequence[Command], name: str) -> tuple[list[Container], dict[str, bool]]:
    """The containers and networks that commands make."""
    containers: list[Container] = []
    networks: dict[str, bool] = {}
    builds: list[tuple[str, ...]] = []
    for command in commands:
        verb, arguments = subcommand_of(command.words)
        if verb == "network create" and arguments:
            networks[arguments[-1]] = "--internal" in arguments
        elif verb == "build":
            builds.append(arguments)
        elif verb == "run":
            containers.append(_container(command, arguments, name))
    if not containers:
        raise refused(name, 1, "no `docker run` in it", _FIX)
    for each in builds:
        _build(containers, each)
    return containers, networks


def _container(command: Command, arguments: Sequence[str], name: str) -> Container:
    try:
        container = container_of(arguments, command.line)
    except NotSaidError as exc:
        raise refused(name, command.line, exc.what, exc.fix) from exc
    if command.has_redirection:
        container.leave_out("redirection", "", "logs are kept in .orchestrate/runs")
    return container


def _build(containers: Sequence[Container], arguments: Sequence[str]) -> None:
    """Have the image of containers built; what cannot be is said of the first of them."""
    try:
        image = image_of(arguments)
    except NotSaidError as exc:
        containers[0].leave_out("docker build", "", exc.what, "image.build")
        return
    for container in containers:
        if image.makes(container.image):
            image.give(container)
