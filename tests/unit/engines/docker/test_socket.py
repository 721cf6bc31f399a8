"""SocketReader against stand-in engines that hang, lie, or answer rubbish."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engines.base import Query
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.endpoint import by_socket
from orchestrator.engines.docker.engine import DockerEngine
from orchestrator.engines.docker.socket_reader import SocketReader
from orchestrator.engines.docker.wire import Errand, Wire
from orchestrator.errors import EngineFailed, EngineUnavailable, ImageUnavailable, OrchestrateError
from tests.waiting import wait_until

from .stand_in_engine import (
    Script,
    chunked,
    drip,
    hang_after,
    head,
    in_turn,
    raw,
    stand_in_engine,
    whole,
)

LIST = "GET /containers/json"


def test_containers_are_listed_and_inspected_over_one_connection() -> None:
    answers: dict[str, Script] = {
        LIST: in_turn(whole([{"Id": "a"}, {"Id": "b"}]), whole([{"Id": "b"}, {"Id": "c"}])),
        "GET /containers/a/": whole({"Id": "a", "Name": "/a"}),
        "GET /containers/c/": chunked(b'{"Id": "c"', b', "Name": "/c"}'),
    }
    with stand_in_engine(answers) as engine:
        found = SocketReader(engine.path).containers([("label", "l=v"), ("name", "^/?n-[0-9]+$")])
        # b has vanished since it was listed.
        assert found == [{"Id": "a", "Name": "/a"}, {"Id": "c", "Name": "/c"}]
        listing = "GET /containers/json?all=1&filters=%7B%22"
        assert engine.asked == [
            f"{listing}label%22%3A%7B%22l%3Dv%22%3Atrue%7D%7D",
            f"{listing}name%22%3A%7B%22%5E/%3Fn-%5B0-9%5D%2B%24%22%3Atrue%7D%7D",
            *(f"GET /containers/{name}/json" for name in "abc"),
        ]
        assert engine.num_connections == 1


def test_networks_that_bear_a_label_or_the_very_name() -> None:
    listed: list[dict[str, Any]] = [
        {"Id": "1", "Name": "mine", "Labels": {"project": "p"}},
        {"Id": "2", "Name": "other", "Labels": {"project": "q"}},
        {"Id": "3", "Name": "net", "Labels": None},
        {"Id": "4", "Name": "network", "Labels": {}},
        {"Id": "5", "Name": "odd", "Labels": ["project"]},
    ]
    with stand_in_engine({"GET /networks": whole(listed)}) as engine:
        reader = SocketReader(engine.path)
        ids = [
            [each["Id"] for each in reader.networks(label, name)]
            for label, name in (("project=p", "net"), ("project", None), ("project=", "mine"))
        ]
    assert ids == [["1", "3"], ["1", "2"], ["1"]]


def test_an_image_by_its_tag() -> None:
    answers = {"GET /images/repo/name%3F:1@sha256:00/json": whole({"Id": "sha256:1"})}
    with stand_in_engine(answers) as engine:
        reader = SocketReader(engine.path)
        assert reader.image("repo/name?:1@sha256:00") == {"Id": "sha256:1"}
        assert reader.image("other") is None


@pytest.mark.parametrize(
    ("server", "version", "asked"),
    [
        ("Docker/20.10.24+dfsg1 (linux)", "20.10.24+dfsg1", ["GET /_ping"]),
        ("Libpod/5.4.2 (linux)", "5.4.2", ["GET /_ping", "GET /version"]),
        ("Docker/", "5.4.2", ["GET /_ping", "GET /version"]),
        ("", "5.4.2", ["GET /_ping", "GET /version"]),
    ],
)
def test_docker_says_its_version_with_every_answer(
    server: str, version: str, asked: list[str]
) -> None:
    ping = raw(head(200, f"Server: {server}", "Content-Length: 2") + b"OK", stay=True)
    answers: dict[str, Script] = {
        "GET /_ping": ping,
        "GET /version": whole({"Version": "5.4.2"}),
    }
    with stand_in_engine(answers) as engine:
        assert SocketReader(engine.path).version() == version
        assert engine.asked == asked


def test_a_refusal_is_typed() -> None:
    refused = whole({"message": "invalid reference format"}, 400)
    with (
        stand_in_engine({"GET /images": refused}) as engine,
        pytest.raises(ImageUnavailable) as caught,
    ):
        SocketReader(engine.path).image("A")
    assert caught.value.what == "looking at the image: invalid reference format"


JSON_HEAD = head(200, "Content-Length: 2")
BAD: dict[str, tuple[Script, type[OrchestrateError], str]] = {
    "nothing": (raw(), EngineUnavailable, "docker closed the connection"),
    "half a head": (raw(b"HTTP/1.1 200 O"), EngineUnavailable, "docker closed the connection"),
    "half a body": (raw(JSON_HEAD + b"["), EngineUnavailable, "docker closed the connection"),
    "half a chunk": (chunked(b"[]", last=b"9\r\n["), EngineUnavailable, "docker closed"),
    "no last chunk": (chunked(b"[]", last=b""), EngineUnavailable, "docker closed"),
    "no http": (raw(b"SSH-2.0\r\n\r\n"), EngineFailed, "is no Docker engine"),
    "no json": (raw(JSON_HEAD + b"<p"), EngineFailed, "something that is not JSON"),
    "no utf-8": (raw(JSON_HEAD + b"\xff\xfe"), EngineFailed, "something that is not JSON"),
    "half json": (raw(head(200) + b"[{"), EngineFailed, "something that is not JSON"),
    "another shape": (whole({"Id": "a"}), EngineFailed, "JSON of an unknown shape"),
    "a 500": (whole({"message": "all is lost"}, 500), EngineFailed, "all is lost"),
    "a 500 in text": (raw(head(500) + b"oh \xff no"), EngineFailed, "oh \ufffd no"),
    "a redirect": (raw(head(301)), EngineFailed, "HTTP status 301"),
    "a hang": (hang_after(), EngineUnavailable, "within 0.4 s"),
    "a hang in the head": (hang_after(b"HTTP/1.1"), EngineUnavailable, "within 0.4 s"),
    "a hang in the body": (hang_after(JSON_HEAD + b"["), EngineUnavailable, "within 0.4 s"),
    "drops of a body": (drip(head(200), b" ", 0.05), EngineUnavailable, "within 0.4 s"),
    "drops of chunks": (
        drip(head(200, "Transfer-Encoding: chunked"), b"1\r\n \r\n", 0.05),
        EngineUnavailable,
        "within 0.4 s",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_engine_ends_in_a_typed_error_and_in_time(name: str) -> None:
    script, error, why = BAD[name]
    num_files = len(os.listdir("/proc/self/fd"))
    with stand_in_engine({"GET ": script}) as engine:
        began_s = time.monotonic()
        with pytest.raises(error) as caught:
            SocketReader(engine.path, deadlines=Deadlines(0.4)).containers([("label", "x")])
        assert time.monotonic() - began_s < 2.0
    assert caught.value.what.startswith("looking at nodes: ")
    assert why in f"{caught.value.what}"
    assert "\n" not in str(caught.value)
    _wait_for_files(num_files)


def _wait_for_files(num_files: int) -> None:
    """No descriptor is left open; the stand-in's own threads may need a moment."""
    wait_until(lambda: len(os.listdir("/proc/self/fd")) <= num_files)


def test_an_answer_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.engines.docker.wire.BODY_BYTES", 100_000)
    flood = raw(head(200), *[b" " * 50_000] * 100)
    with (
        stand_in_engine({LIST: flood}) as engine,
        pytest.raises(EngineFailed, match="docker's answer has no end"),
    ):
        SocketReader(engine.path).containers([("label", "x")])


def test_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(EngineUnavailable) as caught:
        SocketReader(tmp_path / "no.sock").image("x")
    assert "no such file or directory" in caught.value.what
    assert caught.value.fix.startswith("start it")


def test_a_socket_that_may_not_be_used() -> None:
    class Forbidding:
        def settimeout(self, left_s: float) -> None:
            assert 0 < left_s <= 5

        def connect(self, address: str) -> None:
            raise PermissionError(13, "Permission denied", address)

    with pytest.raises(EngineUnavailable) as caught:
        Wire(Forbidding(), Errand(Path("/x.sock"), "looking", 5)).connect()  # type: ignore[arg-type]
    assert caught.value.fix.startswith("add yourself to the docker group")


def test_waiting_for_an_end() -> None:
    ended = whole({"StatusCode": 0})
    answers = {"POST /containers/a/wait": ended, "POST /containers/b/wait": ended}
    with stand_in_engine(answers) as engine:
        # c is gone.
        assert SocketReader(engine.path).have_exited(["a", "b", "c"], within_s=5)
        assert engine.asked == [f"POST /containers/{name}/wait" for name in "abc"]


def test_waiting_in_vain() -> None:
    answers = {"POST /containers/a/wait": hang_after(head(200))}
    with stand_in_engine(answers) as engine:
        began_s = time.monotonic()
        assert not SocketReader(engine.path).have_exited(["a"], within_s=0.3)
        assert 0.3 <= time.monotonic() - began_s < 2.0
        assert not SocketReader(engine.path).have_exited(["a"], within_s=0.0)


def test_waiting_for_an_engine_that_goes_away() -> None:
    with (
        stand_in_engine({"POST /containers/a/wait": raw(head(200)[:-2])}) as engine,
        pytest.raises(EngineUnavailable, match="waiting for nodes to end: docker closed"),
    ):
        SocketReader(engine.path).have_exited(["a"], within_s=5)


def test_waiting_for_what_the_engine_refuses() -> None:
    answers = {"POST /containers/a/wait": whole({"message": "out of order"}, 500)}
    with (
        stand_in_engine(answers) as engine,
        pytest.raises(EngineFailed, match="waiting for nodes to end: out of order"),
    ):
        SocketReader(engine.path).have_exited(["a"], within_s=5)


@pytest.mark.parametrize(
    "described",
    [{}, {"Config": None}, {"Config": {"Labels": {"x": 1}}, "Name": 7}, {"Config": {"Labels": 7}}],
)
def test_an_object_described_in_an_unknown_way(described: dict[str, Any], tmp_path: Path) -> None:
    answers: dict[str, Script] = {
        LIST: whole([{"Id": "a"}]),
        "GET /containers/a/": whole(described),
        "GET /networks": whole([]),
    }
    with stand_in_engine(answers) as engine:
        ways = by_socket(engine.path, Deadlines())
        docker = DockerEngine(cache_dir=tmp_path, private_dir=tmp_path, ways=ways)
        with pytest.raises(EngineFailed, match="described an object in an unknown way"):
            docker.observe(Query("p", node_names=("p-node-0",)))
