"""`docker run …` -> the container that it asks for, by a table of docker's own flags. Pure.

Which flags take a value is data: `docker_run.yaml`. An unknown flag is a fault, as its value could
be taken for the image.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from orchestrator.starting.container import Container, NotSaidError
from orchestrator.starting.flags import FlagTable, read_table
from orchestrator.starting.shell import as_written, is_unknown

TABLE = Path(__file__).with_name("docker_run.yaml")
PROGRAMS = frozenset(("docker", "podman", "nerdctl"))
_BEFORE = frozenset(("sudo", "exec", "time", "nohup", "command"))
# Of docker's own flags, those that take a value (`docker --help`).
_GLOBAL_VALUES = frozenset(
    [
        "--config",
        "-c",
        "--context",
        "-H",
        "--host",
        "-l",
        "--log-level",
        "--tlscacert",
        "--tlscert",
        "--tlskey",
    ]
)
_GPU = re.compile(r"all|none|\d{1,4}|GPU-[0-9A-Za-z-]{1,64}", re.ASCII)


@cache
def table() -> FlagTable:
    """The flags of `docker run`."""
    return read_table("docker run", TABLE)


def subcommand_of(words: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Which command of docker this is, and its arguments; an empty name: it is none.

    `docker container run` is `run`, and `create` as well; `docker buildx build` is `build`.
    """
    rest = list(words)
    while rest and (rest[0] in _BEFORE or "=" in rest[0]):
        rest.pop(0)
    if not rest or rest.pop(0).rpartition("/")[2] not in PROGRAMS:
        return "", ()
    while rest and rest[0].startswith("-"):
        flag = rest.pop(0)
        if flag in _GLOBAL_VALUES and rest:
            rest.pop(0)
    if rest and rest[0] in {"container", "image", "buildx"}:
        rest.pop(0)
    match rest:
        case ["run" | "create", *arguments]:
            return "run", tuple(arguments)
        case ["network", "create", *arguments]:
            return "network create", tuple(arguments)
        case _:
            return " ".join(rest[:1]) or "docker", tuple(rest[1:])


def container_of(arguments: Sequence[str], line: int) -> Container:
    """The container that the arguments of `docker run` ask for.

    Raises:
        NotSaidError: a flag is unknown, lacks its value, or no image is named.
    """
    container = Container(f"the container of line {line}", line)
    rest = list(arguments)
    for flag, value in table().taken(rest):
        if container_knows := _CARRIED.get(flag.name):
            container_knows(container, value)
        if flag.left_out and not _says_nothing(flag.name, value):
            container.leave_out(f"--{flag.name}", value, flag.left_out, flag.instead)
    if not rest:
        raise NotSaidError("no image is named", "docker run [flags] IMAGE [command]")
    container.image, *command = rest
    if unknown := next(filter(is_unknown, rest), ""):
        raise NotSaidError(
            f"only a running shell knows what {as_written(unknown)!r} is",
            "write what it stands for, or set it in the script",
        )
    container.command = tuple(command)
    return container


def _says_nothing(name: str, value: str) -> bool:
    """True where a value asks for what is so anyway."""
    return (name, value) in {("restart", "no"), ("ipc", "private"), ("pid", "")}


def _env(container: Container, value: str) -> None:
    name, has_value, text = value.partition("=")
    container.set_variable(name, text if has_value else None)


def _env_file(container: Container, value: str) -> None:
    if is_unknown(value):
        container.leave_out("--env-file", value, "only a running shell knows what it is")
    else:
        container.env_files.append(value)


def _volume(container: Container, value: str) -> None:
    source, separator, rest = value.partition(":")
    target, _, options = rest.partition(":")
    if not separator:
        why = "a volume without a name is the container's alone, and goes with it"
        container.leave_out("--volume", value, why, "ranks.mounts")
    else:
        container.mount(source, target, read_only="ro" in options.split(","), flag="--volume")


def _mount(container: Container, value: str) -> None:
    pairs = dict(part.partition("=")[::2] for part in value.split(","))
    source = pairs.get("source", pairs.get("src", ""))
    target = pairs.get("target", pairs.get("dst", pairs.get("destination", "")))
    if pairs.get("type", "volume") != "bind":
        container.leave_out("--mount", value, "nodes see folders of this machine", "ranks.mounts")
        return
    is_read_only = any(pairs.get(key, "no") in {"", "true", "1"} for key in ("readonly", "ro"))
    container.mount(source, target, read_only=is_read_only, flag="--mount")


def _network(container: Container, value: str) -> None:
    pairs = [part.partition("=")[::2] for part in value.split(",")]
    name = next((text for key, text in pairs if key == "name"), value)
    if name == "host":
        why = "each node has an address of its own; ranks meet at node 0's name"
        container.mend("--network", value, why, "network")
    elif name == "none" or name.startswith("container:") or is_unknown(name):
        container.leave_out("--network", value, "nodes share one network", "network")
    elif name not in {"bridge", "default"}:
        container.networks.append(name)


def _user(container: Container, value: str) -> None:
    if is_unknown(value):
        why = "where a mount is writable, nodes run as who runs apply"
        container.leave_out("--user", value, why, "ranks.user")
    else:
        container.user = int(value) if value.isdecimal() and len(value) < 12 else value


def _gpus(container: Container, value: str) -> None:
    """Read `all`, `2`, `device=0,1`, each with or without the quotes that docker asks for."""
    parts = [part.rpartition("=") for part in value.replace('"', "").split(",")]
    named = [text for _, _, text in parts if _GPU.fullmatch(text)]
    is_count = len(named) == 1 and named[0].isdecimal() and "device=" not in value
    container.gpus = f"count={named[0]}" if is_count else ",".join(named)
    if not named:
        container.leave_out("--gpus", value, "not understood", "gpu")


def _runtime(container: Container, value: str) -> None:
    if value == "nvidia":
        container.gpus = container.gpus or "all"


def _entrypoint(container: Container, value: str) -> None:
    container.entrypoint = (value,) if value else ()


def _workdir(container: Container, value: str) -> None:
    if is_unknown(value):
        container.leave_out("--workdir", value, "only a running shell knows what it is")
    else:
        container.workdir = value


def _pull(container: Container, value: str) -> None:
    container.pull = value if value in {"always", "never"} else ""


def _limit(what: str) -> Callable[[Container, str], None]:
    return lambda container, value: container.limit(what, value)


_CARRIED: dict[str, Callable[[Container, str], None]] = {
    "cpus": _limit("cpus"),
    "entrypoint": _entrypoint,
    "env": _env,
    "env-file": _env_file,
    "gpus": _gpus,
    "memory": _limit("memory"),
    "mount": _mount,
    "network": _network,
    "pids-limit": _limit("pids"),
    "pull": _pull,
    "runtime": _runtime,
    "shm-size": _limit("shm_size"),
    "user": _user,
    "volume": _volume,
    "workdir": _workdir,
}
