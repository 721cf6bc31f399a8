"""A Compose file -> the containers that its services ask for. Pure.

Read leniently, as Compose reads it: merge keys, anchors and YAML 1.1 are part of such files. What
would hurt a parser (nesting, size, aliases without end) is refused before it is composed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import yaml
from yaml.events import AliasEvent, CollectionEndEvent, CollectionStartEvent

from orchestrator.starting.container import Container, NotSaidError
from orchestrator.starting.draft import Template
from orchestrator.starting.shell import refused

MAX_BYTES = 256 * 1024
MAX_DEPTH = 50
MAX_ALIASES = 1_000

# `$$` is a dollar; `${NAME}`, `${NAME:-default}`, `$NAME` come from the environment.
_VARIABLE = re.compile(r"\$(?:(\$)|\{([A-Za-z_]\w*)(?::?-([^{}]*))?[^{}]*\}|([A-Za-z_]\w*))")
_LEFT_OUT: dict[str, tuple[str, str]] = {
    "cap_add": ("nodes are confined: no capability", "security"),
    "cap_drop": ("nodes have no capability", "security"),
    "container_name": ("nodes are named after the project: NAME-node-0, …", "name"),
    "depends_on": ("ranks wait for each other in the rendezvous", "rendezvous.timeout"),
    "devices": ("no device of this machine but GPUs", "gpu"),
    "dns": ("nodes find each other by the names of the nodes", ""),
    "expose": ("no port is published", ""),
    "extra_hosts": ("nodes find each other by the names of the nodes", ""),
    "healthcheck": ("the check `container` has a command of its own", "health_checks"),
    "hostname": ("nodes are named after the project: NAME-node-0, …", "name"),
    "init": ("every node has an init", ""),
    "ipc": ("each node has a /dev/shm of its own", "ranks.resources.shm_size"),
    "labels": ("labels are how orchestrate finds its objects", ""),
    "logging": ("logs are kept in .orchestrate/runs", ""),
    "platform": ("the image is taken as this machine has it", ""),
    "ports": ("no port is published; `http` and `tcp` ask at ports that are not", "health_checks"),
    "privileged": ("nodes are confined", "security"),
    "read_only": ("only the profile `strict` has a read-only root", "security.profile"),
    "restart": ("a rank that restarts alone finds no group", "restarts.max"),
    "secrets": ("name each anew: a file, or a variable of this machine", "ranks.secrets"),
    "security_opt": ("nodes have no new privileges", "security"),
    "stdin_open": ("nobody types into a node", ""),
    "stop_grace_period": ("nodes get SIGTERM, and SIGKILL after `destroy --grace`", ""),
    "tmpfs": ("only the profile `strict` has a /tmp in memory", "security.tmp_size"),
    "tty": ("nobody types into a node", ""),
    "ulimits": ("memlock is unlimited where nodes have GPUs", "gpu.memlock"),
}
_NO_COUNTERPART = ("it has no counterpart", "")


def services_of(text: str, name: str) -> tuple[list[Container], dict[str, bool]]:
    """The containers of a Compose file, and the networks that it makes.

    Args:
        text: the file.
        name: what faults call it.

    Raises:
        InvalidPlaybook: it is no Compose file that can be read.
    """
    document = _document(text, name)
    services = document.get("services")
    if not isinstance(services, Mapping) or not services:
        raise refused(name, 1, "no services", "a Compose file has a mapping of them")
    networks = document.get("networks")
    made = {"default": False}
    made.update(_networks(networks if isinstance(networks, Mapping) else {}))
    containers = []
    for key, service in services.items():
        line = _line_of(text, str(key))
        try:
            containers.append(_container(str(key), line, _mapping(service, f"service {key}")))
        except NotSaidError as exc:
            raise refused(name, line, f"service {key}: {exc.what}", exc.fix) from exc
    return containers, made


def _document(text: str, name: str) -> Mapping[str, Any]:
    if len(text.encode("utf-8", "replace")) > MAX_BYTES:
        raise refused(name, 1, "larger than 256 KiB", "give the file alone")
    try:
        _bounded(text)
        found = yaml.safe_load(text)
    except NotSaidError as exc:
        raise refused(name, 1, exc.what, exc.fix) from exc
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        mark = getattr(exc, "problem_mark", None)
        problem = getattr(exc, "problem", None) or "a value that YAML cannot hold"
        raise refused(name, mark.line + 1 if mark else 1, str(problem), "mend the file") from exc
    if not isinstance(found, Mapping):
        raise refused(name, 1, "not a mapping", "a Compose file has `services:`")
    return found


def _bounded(text: str) -> None:
    """Look at the parser's events before anything is built of them."""
    depth = aliases = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
        aliases += isinstance(event, AliasEvent)
        if depth > MAX_DEPTH or aliases > MAX_ALIASES:
            raise NotSaidError("nested too deep, or too many aliases", "write it out")


def _line_of(text: str, key: str) -> int:
    found = re.search(rf"^[ \t]+['\"]?{re.escape(key)}['\"]?[ \t]*:", text, re.MULTILINE)
    return text.count("\n", 0, found.start()) + 1 if found else 1


def _networks(networks: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """The networks that are made, and whether each has no way out."""
    for name, of in networks.items():
        asked = of if isinstance(of, Mapping) else {}
        if not asked.get("external"):
            yield str(name), bool(asked.get("internal"))


def _container(name: str, line: int, service: Mapping[str, Any]) -> Container:
    container = Container(f"service {name}", line)
    for key, value in service.items():
        if value is None:
            continue
        if carry := _CARRIED.get(str(key)):
            carry(container, value)
        elif not str(key).startswith("x-"):
            why, instead = _LEFT_OUT.get(str(key), _NO_COUNTERPART)
            container.leave_out(str(key), "", why, instead)
    if not container.image and container.build is None:
        raise NotSaidError("neither image nor build", "name one")
    container.networks = container.networks or ["default"]
    return container


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise NotSaidError(f"{what} is not a mapping", "write its keys below it")


def _text(value: object) -> str:
    """A scalar as text, variables of the environment as templates."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise NotSaidError(f"{type(value).__name__} where text is meant", "write it as text")
    text = str(value)
    filled = _VARIABLE.sub(_template, text)
    has_variable = any(not found[1] for found in _VARIABLE.finditer(text))
    return Template(filled) if has_variable else filled


def _template(found: re.Match[str]) -> str:
    if found[1]:
        return "$"
    default = (found[3] or "").replace("\\", "\\\\").replace("'", "\\'")
    return f"{{{{ env('{found[2] or found[4]}', '{default}') }}}}"


def _words(value: object) -> tuple[str, ...]:
    """A command: a list, or text that is split as a shell splits it."""
    if isinstance(value, list):
        return tuple(map(_text, value))
    try:
        words = shlex.split(str(value) if isinstance(value, str) else _text(value))
    except ValueError as exc:
        raise NotSaidError(f"quotes that do not end: {exc}", "close them") from exc
    return tuple(map(_text, words))


def _pairs(value: object) -> Iterator[tuple[str, str | None]]:
    """Variables: a mapping, or a list of NAME=VALUE."""
    if isinstance(value, Mapping):
        for key, of in value.items():
            yield str(key), None if of is None else _text(of)
    elif isinstance(value, list):
        for item in value:
            name, has_value, _ = str(item).partition("=")
            text = _text(item)
            yield name, type(text)(text[len(name) + 1 :]) if has_value else None
    else:
        raise NotSaidError("environment is neither a mapping nor a list", "write NAME: VALUE")


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _environment(container: Container, value: object) -> None:
    for name, text in _pairs(value):
        container.set_variable(name, text)


def _env_file(container: Container, value: object) -> None:
    for item in _list(value):
        container.env_files.append(_text(item.get("path", "") if isinstance(item, dict) else item))


def _volumes(container: Container, value: object) -> None:
    for item in _list(value):
        if not isinstance(item, dict):
            source, _, rest = _text(item).partition(":")
            target, _, options = rest.partition(":")
            is_read_only = "ro" in options.split(",")
        else:
            source, target = _text(item.get("source", "")), _text(item.get("target", ""))
            is_read_only = item.get("read_only") is True
        container.mount(source, target, read_only=is_read_only, flag="volumes")


def _build(container: Container, value: object) -> None:
    asked = value if isinstance(value, dict) else {"context": value}
    args = asked.get("args")
    build: dict[str, Any] = {"context": _text(asked.get("context", "."))}
    if "dockerfile" in asked:
        build["dockerfile"] = _text(asked["dockerfile"])
    if args:
        build["args"] = {name: text or "" for name, text in _pairs(args)}
    container.build = build
    for key in asked.keys() - {"context", "dockerfile", "args"}:
        container.leave_out(f"build.{key}", "", *_NO_COUNTERPART)


def _networks_of(container: Container, value: object) -> None:
    names = value if isinstance(value, Mapping) else _list(value)
    container.networks += map(str, names)


def _network_mode(container: Container, value: object) -> None:
    why = "each node has an address of its own; ranks meet at node 0's name"
    container.mend("network_mode", _text(value), why, "network")


def _deploy(container: Container, value: object) -> None:
    deploy = _mapping(value, "deploy")
    if "replicas" in deploy:
        _replicas(container, deploy["replicas"])
    resources = _mapping(deploy.get("resources") or {}, "deploy.resources")
    for key, limit in _mapping(resources.get("limits") or {}, "limits").items():
        if key in {"cpus", "memory", "pids"}:
            container.limit(str(key), _text(limit))
    reserved = _mapping(resources.get("reservations") or {}, "reservations")
    for device in _list(reserved.get("devices") or []):
        _gpu_device(container, _mapping(device, "a device"))
    for key in deploy.keys() - {"replicas", "resources"}:
        container.leave_out(f"deploy.{key}", "", *_NO_COUNTERPART)


def _gpu_device(container: Container, device: Mapping[str, Any]) -> None:
    ids = device.get("device_ids")
    count = device.get("count", "all")
    if ids:
        container.gpus = ",".join(map(_text, _list(ids)))
    else:
        container.gpus = "all" if count == "all" else f"count={_text(count)}"


def _gpus(container: Container, value: object) -> None:
    if isinstance(value, list):
        for device in value:
            _gpu_device(container, _mapping(device, "gpus"))
    else:
        container.gpus = _text(value)


def _replicas(container: Container, value: object) -> None:
    if not isinstance(value, int) or not 1 <= value <= 10_000:
        raise NotSaidError("replicas is not a number of nodes", "write 1 or more")
    container.num_replicas = value


def _runtime(container: Container, value: object) -> None:
    if value == "nvidia":
        container.gpus = container.gpus or "all"


def _user(container: Container, value: object) -> None:
    text = _text(value)
    container.user = int(text) if text.isdecimal() and len(text) < 12 else text


def _pull(container: Container, value: object) -> None:
    container.pull = str(value) if value in ("always", "never") else ""


def _set(attribute: str, read: Callable[[object], Any]) -> Callable[[Container, object], None]:
    return lambda container, value: setattr(container, attribute, read(value))


def _limit(what: str) -> Callable[[Container, object], None]:
    return lambda container, value: container.limit(what, _text(value))


_CARRIED: dict[str, Callable[[Container, Any], None]] = {
    "build": _build,
    "command": _set("command", _words),
    "cpus": _limit("cpus"),
    "deploy": _deploy,
    "entrypoint": _set("entrypoint", _words),
    "env_file": _env_file,
    "environment": _environment,
    "gpus": _gpus,
    "image": _set("image", _text),
    "mem_limit": _limit("memory"),
    "network_mode": _network_mode,
    "networks": _networks_of,
    "pids_limit": _limit("pids"),
    "pull_policy": _pull,
    "runtime": _runtime,
    "scale": _replicas,
    "shm_size": _limit("shm_size"),
    "user": _user,
    "volumes": _volumes,
    "working_dir": _set("workdir", _text),
}
