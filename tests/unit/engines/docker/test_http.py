"""Answers come out as they went in, however they are cut; what is no HTTP is called so."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker.http_codec import HEAD_BYTES, Answer, NotHttp, request

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=8)


def fed(answer: Answer, sent: bytes, cuts: list[int]) -> bytes:
    edges = [0, *sorted(cut % (len(sent) + 1) for cut in cuts), len(sent)]
    pieces = [sent[a:b] for a, b in pairwise(edges)]
    return b"".join(answer.feed(piece) for piece in pieces)


def in_chunks(pieces: list[bytes]) -> bytes:
    return CHUNKED + b"".join(b"%X\r\n%b\r\n" % (len(p), p) for p in pieces)


@given(bodies, st.lists(st.integers(0, 10_000), max_size=12))
def test_chunks_come_out_as_one_body(pieces: list[bytes], cuts: list[int]) -> None:
    answer = Answer()
    body = fed(answer, in_chunks(pieces) + b"0\r\n\r\n", cuts)
    assert (answer.status, answer.is_whole, body) == (200, True, b"".join(pieces))


@given(bodies, st.integers(0, 10_000))
def test_chunks_that_are_cut_short_are_never_whole(pieces: list[bytes], cut: int) -> None:
    sent = in_chunks(pieces) + b"0\r\n\r\n"
    answer = Answer()
    body = answer.feed(sent[: cut % len(sent)])
    answer.end()
    assert not answer.is_whole
    assert b"".join(pieces).startswith(body)


@given(st.binary(max_size=60), st.lists(st.integers(0, 10_000), max_size=6))
def test_a_body_of_a_declared_length(sent: bytes, cuts: list[int]) -> None:
    answer = Answer()
    text = b"HTTP/1.1 404 Not Found\r\nCONTENT-length:  %d\r\n\r\n%b" % (len(sent), sent)
    assert (fed(answer, text, cuts), answer.status, answer.is_whole) == (sent, 404, True)


def test_a_declared_length_that_is_not_reached_is_not_whole() -> None:
    answer = Answer()
    assert answer.feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nfour") == b"four"
    answer.end()
    assert not answer.is_whole


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    answer = Answer()
    assert answer.feed(b"HTTP/1.0 200 OK\r\nServer: x\r\n\r\nab") == b"ab"
    assert answer.feed(b"c") == b"c"
    assert not answer.is_whole
    answer.end()
    assert answer.is_whole


def test_no_answer_at_all_is_not_whole() -> None:
    answer = Answer()
    answer.end()
    assert (answer.status, answer.is_whole) == (0, False)


def test_an_extension_and_a_trailer_are_passed_over() -> None:
    answer = Answer()
    body = answer.feed(CHUNKED + b"3;name=value\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n")
    assert (body, answer.is_whole) == (b"abc", True)


@pytest.mark.parametrize(
    "sent",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"\x15\x03\x01\x00\x02\x02\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"x" * (HEAD_BYTES + 1),
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1x\r\n\r\n",
        CHUNKED + b"g" * 5000,
        CHUNKED + b"1\r\nab\r\n" + b"x" * 5000,
        CHUNKED + b"fffffffff\r\n" + b"x" * 5000,
    ],
)
def test_what_is_no_http_is_called_so(sent: bytes) -> None:
    with pytest.raises(NotHttp):
        Answer().feed(sent)


@given(st.binary(max_size=200), st.booleans())
def test_nothing_but_the_one_error_comes_of_garbage(sent: bytes, after_head: bool) -> None:
    try:
        body = Answer().feed((CHUNKED if after_head else b"") + sent)
    except NotHttp:
        return
    assert len(body) <= len(sent)


def test_what_is_asked() -> None:
    assert request("GET", "/x?y=1") == b"GET /x?y=1 HTTP/1.1\r\nHost: docker\r\n\r\n"
    assert request("POST", "/x") == (
        b"POST /x HTTP/1.1\r\nHost: docker\r\nContent-Length: 0\r\n\r\n"
    )
