"""Knocks at nodes' ports from this machine, for the checks `http` and `tcp`. Decides nothing."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from orchestrator.verify.answers import OPEN, Answer, Question

ASK_EVERY_S = 0.5
"""How long to wait between two rounds of asking."""

ANSWER_S = 2.0
"""How long a node may take for one answer."""

PARALLEL = 16

Clock = Callable[[], float]
OnAnswer = Callable[[Answer], None]


def ask_until_answered(
    asked: Sequence[Question], on_answer: OnAnswer, stop: Event, clock: Clock
) -> None:
    """Ask each question again and again until it is answered as wanted, or `stop` is set."""
    left = list(asked)
    while left and not stop.is_set():
        answers = ask_once(left, clock)
        for answer in answers:
            on_answer(answer)
        pairs = zip(left, answers, strict=True)
        left = [question for question, answer in pairs if answer.said != question.wanted]
        stop.wait(ASK_EVERY_S)


def ask_once(asked: Iterable[Question], clock: Clock) -> tuple[Answer, ...]:
    """One answer for each question, in their order."""

    def ask(question: Question) -> Answer:
        said = _http_status(question) if question.kind == "http" else _is_open(question)
        return Answer(question.kind, question.node_rank, clock(), said)

    with ThreadPoolExecutor(PARALLEL) as pool:
        return tuple(pool.map(ask, asked))


def _is_open(question: Question) -> str:
    try:
        with socket.create_connection((question.address, question.port), timeout=ANSWER_S):
            return OPEN
    except OSError as exc:
        return _reason(exc)


def _http_status(question: Question) -> str:
    """The status of a GET; its body is not read, and a redirect is not followed."""
    connection = http.client.HTTPConnection(question.address, question.port, timeout=ANSWER_S)
    try:
        connection.request("GET", question.path, headers={"Connection": "close"})
        return str(connection.getresponse().status)
    except http.client.HTTPException:
        return "no HTTP response"
    except OSError as exc:
        return _reason(exc)
    finally:
        connection.close()


def _reason(exc: OSError) -> str:
    if isinstance(exc, TimeoutError):
        return f"no answer within {ANSWER_S:g} s"
    return (exc.strerror or str(exc)).lower()
