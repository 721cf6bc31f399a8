"""Where the `docker` command would find its engine, as far as it is a local socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from orchestrator.engines.docker.changing import Changer
from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.reading import Reader

DEFAULT_SOCKET = Path("/var/run/docker.sock")

_UNIX = "unix://"
_CONNECT_DEADLINE_S = 1.0


class Ways(Struct, frozen=True):
    """How an engine is asked and told; either both over its socket or both by the command."""

    reader: Reader
    changer: Changer


def by_socket(path: Path, deadlines: Deadlines) -> Ways:
    """Over the engine's own socket."""
    # One of the two ways is used in a run, and each is imported by who goes it.
    from orchestrator.engines.docker.socket_changer import SocketChanger
    from orchestrator.engines.docker.socket_reader import SocketReader

    platform = os.environ.get("DOCKER_DEFAULT_PLATFORM", "")
    changer = SocketChanger(path, deadlines=deadlines, platform=platform)
    return Ways(SocketReader(path, deadlines=deadlines), changer)


def by_command(cli: DockerCli) -> Ways:
    """Through the `docker` command."""
    from orchestrator.engines.docker.command_changer import CliChanger
    from orchestrator.engines.docker.command_reader import CliReader

    return Ways(CliReader(cli), CliChanger(cli))


def make_ways(cli: DockerCli) -> Ways:
    """The quick ways where they lead to the engine, else docker's own.

    Without a `docker` command no node can be made, so it is the command's way then too,
    which says so. The same goes for a socket that nothing listens on.
    """
    path = socket_path(os.environ)
    if path and shutil.which(cli.prefix[0]) and _accepts(path):
        return by_socket(path, cli.deadlines)
    return by_command(cli)


def socket_path(environ: Mapping[str, str]) -> Path | None:
    """The socket that `docker` would use; None where it goes another way (ssh, tcp, a context).

    The order is the command's own: DOCKER_HOST, DOCKER_CONTEXT, the context of its
    configuration, the default [docker/cli, cli/command/cli.go, resolveContextName].
    """
    if host := environ.get("DOCKER_HOST"):
        path = host.removeprefix(_UNIX)
        return Path(path) if host.startswith(_UNIX) and path.startswith("/") else None
    context = environ.get("DOCKER_CONTEXT") or _configured_context(environ)
    return DEFAULT_SOCKET if context in {"", "default"} else None


def endpoint(environ: Mapping[str, str]) -> str:
    """Tells one engine from another in a lock's name; empty for the usual one.

    Two names of one engine are two endpoints, but for paths that lead to the same socket.
    """
    path = socket_path(environ)
    if path is not None:
        found = os.path.realpath(path)
        return "" if found == os.path.realpath(DEFAULT_SOCKET) else found
    context = environ.get("DOCKER_CONTEXT") or _configured_context(environ)
    return environ.get("DOCKER_HOST") or f"context {context}"


def sees_this_machine(environ: Mapping[str, str]) -> bool:
    """True where the engine is reached by a local socket, so that it mounts this machine's folders.

    Docker Desktop and its kin, whose engine is in a virtual machine that shares them, count too.
    """
    if host := environ.get("DOCKER_HOST"):
        return host.startswith(_UNIX)
    context = environ.get("DOCKER_CONTEXT") or _configured_context(environ)
    if context in {"", "default"}:
        return True
    return context is not None and _host_of_context(context, environ).startswith(_UNIX)


def _host_of_context(context: str, environ: Mapping[str, str]) -> str:
    """Where a context leads; empty where that cannot be told."""
    import hashlib  # loads OpenSSL, which few have a use for

    digest = hashlib.sha256(context.encode(errors="replace")).hexdigest()
    path = _config_folder(environ) / "contexts" / "meta" / digest / "meta.json"
    try:
        return str(json.loads(path.read_bytes())["Endpoints"]["docker"]["Host"])
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return ""


def _config_folder(environ: Mapping[str, str]) -> Path:
    folder = environ.get("DOCKER_CONFIG")
    return Path(folder) if folder else Path(environ.get("HOME", "/")) / ".docker"


def _configured_context(environ: Mapping[str, str]) -> str | None:
    """The current context of docker's configuration; None where that cannot be told."""
    try:
        found = json.loads((_config_folder(environ) / "config.json").read_bytes())
    except FileNotFoundError:
        return ""
    except (OSError, ValueError, RecursionError):
        return None
    context = found.get("currentContext", "") if isinstance(found, dict) else None
    return context if isinstance(context, str) else None


def _accepts(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(_CONNECT_DEADLINE_S)
        try:
            client.connect(str(path))
        except OSError:
            return False
    return True
