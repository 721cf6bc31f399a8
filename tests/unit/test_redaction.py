"""What was learned is hidden, in every spelling, and nothing else is."""

from __future__ import annotations

import json

import pytest

from orchestrator.redaction import learn, redacted, redacted_document


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
