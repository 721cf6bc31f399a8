"""Whether the engine is a local socket is decided as the docker command decides it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from orchestrator.engines.docker.cli import DockerCli
from orchestrator.engines.docker.command_changer import CliChanger
from orchestrator.engines.docker.command_reader import CliReader
from orchestrator.engines.docker.endpoint import (
    endpoint,
    make_ways,
    sees_this_machine,
    socket_path,
)
from orchestrator.engines.docker.socket_changer import SocketChanger
from orchestrator.engines.docker.socket_reader import SocketReader

from .stand_in_engine import stand_in_engine

DEFAULT = Path("/var/run/docker.sock")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, DEFAULT),
        ({"DOCKER_HOST": ""}, DEFAULT),
        ({"DOCKER_HOST": "unix:///run/x.sock"}, Path("/run/x.sock")),
        ({"DOCKER_HOST": "unix:///run/x.sock", "DOCKER_CONTEXT": "far"}, Path("/run/x.sock")),
        ({"DOCKER_HOST": "unix://x.sock"}, None),
        ({"DOCKER_HOST": "tcp://127.0.0.1:2375"}, None),
        ({"DOCKER_HOST": "ssh://far"}, None),
        ({"DOCKER_HOST": "/run/x.sock"}, None),
        ({"DOCKER_CONTEXT": ""}, DEFAULT),
        ({"DOCKER_CONTEXT": "default"}, DEFAULT),
        ({"DOCKER_CONTEXT": "far"}, None),
    ],
)
def test_what_the_environment_says(
    tmp_path: Path, environ: dict[str, str], expected: Path | None
) -> None:
    assert socket_path({"DOCKER_CONFIG": str(tmp_path)} | environ) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("{}", DEFAULT),
        ('{"auths": {}}', DEFAULT),
        ('{"currentContext": ""}', DEFAULT),
        ('{"currentContext": "default"}', DEFAULT),
        ('{"currentContext": "far"}', None),
        ('{"currentContext": 7}', None),
        ("[]", None),
        ("{", None),
        ("\0", None),
    ],
)
def test_what_the_configuration_says(tmp_path: Path, config: str, expected: Path | None) -> None:
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker" / "config.json").write_text(config)
    assert socket_path({"HOME": str(tmp_path)}) == expected
    # What is named in the environment goes before it.
    assert socket_path({"HOME": str(tmp_path), "DOCKER_CONTEXT": "default"}) == DEFAULT


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ""),
        ({"DOCKER_HOST": "unix:///var/run/docker.sock"}, ""),
        ({"DOCKER_CONTEXT": "default"}, ""),
        ({"DOCKER_HOST": "unix:///run/other/../rootless.sock"}, "/run/rootless.sock"),
        ({"DOCKER_HOST": "tcp://far:2376"}, "tcp://far:2376"),
        ({"DOCKER_CONTEXT": "far"}, "context far"),
    ],
)
def test_each_engine_has_a_lock_of_its_own(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    assert endpoint({"HOME": str(tmp_path)} | environ) == expected


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, True),
        ({"DOCKER_HOST": "unix:///run/x.sock"}, True),
        ({"DOCKER_HOST": "tcp://127.0.0.1:2375"}, False),
        ({"DOCKER_HOST": "ssh://far", "DOCKER_CONTEXT": "default"}, False),
        ({"DOCKER_CONTEXT": "default"}, True),
        ({"DOCKER_CONTEXT": "desktop-linux"}, True),
        ({"DOCKER_CONTEXT": "far"}, False),
        ({"DOCKER_CONTEXT": "damaged"}, False),
        ({"DOCKER_CONTEXT": "not-there"}, False),
    ],
)
def test_whether_the_engine_mounts_folders_of_this_machine(
    tmp_path: Path, environ: dict[str, str], expected: bool
) -> None:
    contexts = {
        "desktop-linux": '{"Endpoints": {"docker": {"Host": "unix:///home/x/docker.sock"}}}',
        "far": '{"Endpoints": {"docker": {"Host": "ssh://far"}}}',
        "damaged": '{"Endpoints": []}',
    }
    for name, text in contexts.items():
        folder = tmp_path / "contexts" / "meta" / hashlib.sha256(name.encode()).hexdigest()
        folder.mkdir(parents=True)
        (folder / "meta.json").write_text(text)
    assert sees_this_machine({"DOCKER_CONFIG": str(tmp_path)} | environ) == expected


BY_SOCKET = (SocketReader, SocketChanger)
BY_COMMAND = (CliReader, CliChanger)


def ways_of(command: str) -> tuple[type, type]:
    ways = make_ways(DockerCli((command,)))
    return type(ways.reader), type(ways.changer)


def test_a_socket_that_accepts_is_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    with stand_in_engine({}) as engine:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{engine.path}")
        assert ways_of("sh") == BY_SOCKET
        # Without a command nothing could be changed: let it say so at once.
        assert ways_of("no-such-docker") == BY_COMMAND
        monkeypatch.setenv("DOCKER_HOST", "tcp://127.0.0.1:1")
        assert ways_of("sh") == BY_COMMAND


def test_a_socket_without_a_listener_is_left_to_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    assert ways_of("sh") == BY_COMMAND
