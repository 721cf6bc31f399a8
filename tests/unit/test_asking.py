"""Knocking at real ports of this machine."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from orchestrator import asking
from orchestrator.asking import ask_once, ask_until_answered
from orchestrator.verify.answers import Answer, Question

HERE = "127.0.0.1"


class Pages(BaseHTTPRequestHandler):
    """`/up` is there, `/moved` is elsewhere, `/late` is there from the second time on."""

    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(self.path)
        late = 200 if self.asked.count("/late") > 1 else 503
        self.send_response({"/up?x=1": 200, "/moved": 302, "/late": late}.get(self.path, 404))
        self.send_header("Location", "/up")
        self.end_headers()

    def log_request(self, code: object = "-", size: object = "-") -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """A server of pages."""
    pages = type("PagesOfATest", (Pages,), {"asked": []})
    with ThreadingHTTPServer((HERE, 0), pages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@contextmanager
def listening(*says: bytes) -> Iterator[int]:
    """A port that takes connections and says the same to each, or nothing."""
    with socket.create_server((HERE, 0)) as server:

        def serve() -> None:
            for words in says:
                peer, _ = server.accept()
                with peer:
                    peer.recv(65536)
                    peer.sendall(words)

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        thread.join()


def nobody() -> int:
    """A port at which nobody listens."""
    with socket.create_server((HERE, 0)) as server:
        port: int = server.getsockname()[1]
    return port


def http(port: int, path: str = "/") -> Question:
    return Question("http", 0, HERE, port, path, "200")


def tcp(port: int) -> Question:
    return Question("tcp", 0, HERE, port, "", "open")


def said(question: Question) -> str:
    (answer,) = ask_once([question], lambda: 7.0)
    assert answer == Answer(question.kind, 0, 7.0, answer.said)
    return answer.said


@pytest.mark.parametrize(
    ("path", "status"), [("/up?x=1", "200"), ("/moved", "302"), ("/nowhere", "404")]
)
def test_the_status_of_a_page(port: int, path: str, status: str) -> None:
    assert said(http(port, path)) == status


def test_a_port_that_is_open_and_one_that_is_not(port: int) -> None:
    assert said(tcp(port)) == "open"
    assert [said(tcp(nobody())), said(http(nobody()))] == ["connection refused"] * 2


@pytest.mark.parametrize(
    "words",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"",
        b"HTTP/1.1 twohundred OK\r\n\r\n",
        b"HTTP/1.1 " + b"9" * 99999,
    ],
)
def test_what_is_no_http(words: bytes) -> None:
    with listening(words) as port:
        assert said(http(port)) == "no HTTP response"


def test_a_server_that_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "ANSWER_S", 0.05)
    with socket.create_server((HERE, 0)) as server:
        assert said(http(server.getsockname()[1])) == "no answer within 0.05 s"


def test_answers_come_in_the_order_of_the_questions(port: int) -> None:
    asked = [http(port, "/up?x=1"), tcp(nobody()), tcp(port)]
    answers = ask_once(asked, lambda: 7.0)
    assert [answer.said for answer in answers] == ["200", "connection refused", "open"]


def test_it_is_asked_until_the_answer_is_as_wanted(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "ASK_EVERY_S", 0.001)
    answers: list[Answer] = []
    asked = [http(port, "/late"), tcp(port)]
    ask_until_answered(asked, answers.append, threading.Event(), lambda: 7.0)
    assert [(each.kind, each.said) for each in answers] == [
        ("http", "503"),
        ("tcp", "open"),
        ("http", "200"),
    ]


def test_it_is_asked_until_nobody_wants_to_know_any_more() -> None:
    stop = threading.Event()
    answers: list[Answer] = []

    def take(answer: Answer) -> None:
        answers.append(answer)
        stop.set()

    ask_until_answered([tcp(nobody())], take, stop, lambda: 7.0)
    assert [each.said for each in answers] == ["connection refused"]
