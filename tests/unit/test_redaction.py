"""What was learned is hidden, in every spelling, and nothing else is."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import redaction
from orchestrator.redaction import learn, redacted, redacted_chunks, redacted_document


def test_a_value_is_hidden_wherever_it_stands() -> None:
    learn([b"canary-5711\n"])
    assert redacted("a canary-5711, and canary-5711") == "a ***, and ***"


@pytest.mark.parametrize("value", [b"", b"abc", b"abc\n", b"\n\n"])
def test_a_short_value_is_left_alone(value: bytes) -> None:
    learn([value])
    assert redacted("abcabc\n\n") == "abcabc\n\n"


def test_each_line_of_a_long_value_is_hidden() -> None:
    learn([b"-----BEGIN-----\nMIIE1234\nshort\nab\n"])
    assert redacted("MIIE1234 ab short") == "*** ab ***"


@pytest.mark.parametrize("value", ['quo"te\\d', "täglich", "tab\there", "bell\x07s"])
def test_a_value_is_hidden_in_json_and_when_escaped(value: str) -> None:
    learn([value.encode()])
    escaped = value.encode("unicode_escape").decode()
    texts = (value, json.dumps(value), json.dumps(value, ensure_ascii=False), escaped)
    assert [redacted(text).replace('"', "") for text in texts] == ["***"] * 4


def test_the_longer_of_two_values_goes_first() -> None:
    learn([b"canary", b"canary-5711"])
    assert redacted("canary-5711") == "***"


def test_a_value_that_is_not_text_is_hidden_as_it_would_be_shown() -> None:
    learn([b"\xffcanary"])
    assert redacted(b"\xffcanary".decode("utf-8", "replace")) == "***"


def test_a_document_stays_one() -> None:
    learn([b"true", b"1234"])
    document = {"true": True, "n": 1234, "texts": ["is true", ("1234",), None]}
    assert redacted_document(document) == {
        "true": True,
        "n": 1234,
        "texts": ["is ***", ["***"], None],
    }


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
@pytest.mark.parametrize("after", [b"", b"!", b"!!", b"!!!"])
@pytest.mark.parametrize("before", [b"", b"?", b"??", b"???"])
def test_in_base64_no_more_is_left_than_the_ends(encode, before: bytes, after: bytes) -> None:  # type: ignore[no-untyped-def]
    value = "canary-\xff\xfe\xfb?>-5711"
    learn([value.encode()])
    coded = encode(before + value.encode() + after).decode()
    left = redacted(coded)
    assert left.count("***") == 1
    assert sum(map(len, left.split("***"))) <= len(before) * 2 + len(after) * 2 + 6


def test_a_value_of_a_few_letters_is_no_word_of_base64() -> None:
    learn([b"true"])
    assert redacted(base64.b64encode(b"true").decode()) == "dHJ1ZQ=="


def test_bytes_that_are_no_text_are_hidden_in_a_stream() -> None:
    learn([b"\xff\xfecanary\x80"])
    assert b"".join(redacted_chunks([b"a \xff\xfeca", b"nary\x80 b"])) == b"a *** b"


@given(
    st.lists(st.sampled_from([b"canary-5711", b"canary", b"can", b"ary-57", b"x" * 9, b"\n"])),
    st.integers(1, 30),
)
def test_how_a_stream_is_cut_makes_no_difference(words: list[bytes], size: int) -> None:
    redaction._known.clear()
    learn([b"canary-5711", b"canary", b"57112"])
    text = b"".join(words)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert b"".join(redacted_chunks(chunks)) == redacted(text.decode()).encode()


def test_a_stream_without_secrets_is_handed_on_as_it_is() -> None:
    assert list(redacted_chunks([b"a", b"", b"b"])) == [b"a", b"", b"b"]
