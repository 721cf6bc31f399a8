"""What nodes wrote, on its way to a terminal."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.printable import log_text, printable

ESCAPED: dict[str, tuple[str, str]] = {
    "clear the screen": ("\x1b[2J", "\\x1b[2J"),
    "colour": ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
    "title (OSC)": ("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"),
    "link (OSC 8)": ("\x1b]8;;http://x\x1b\\", "\\x1b]8;;http://x\\x1b\\"),
    "C1 control sequence": ("\x9b2J", "\\x9b2J"),
    "carriage return": ("safe\rrm -rf", "safe\\rrm -rf"),
    "line feed": ("a\nb", "a\\nb"),
    "vertical tab and form feed": ("a\x0b\x0cb", "a\\x0b\\x0cb"),
    "backspace": ("abc\b\b\b", "abc\\x08\\x08\\x08"),
    "delete": ("a\x7f", "a\\x7f"),
    "NUL": ("a\x00b", "a\\x00b"),
    "right-to-left override": ("a\u202egpj", "a\\u202egpj"),
    "bidi isolates": ("\u2066x\u2069", "\\u2066x\\u2069"),
    "zero width": ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),
    "line separators": ("a\u2028b\u2029", "a\\u2028b\\u2029"),
    "lone surrogate": ("a\ud800b", "a\\ud800b"),
    "tag characters": ("\U000e0041", "\\U000e0041"),
}
KEPT = ["", "plain", "a\tb", "ünïcödé", "漢字", "🙂", "a\u00a0b", "back\\slash \\x1b"]


@pytest.mark.parametrize("name", ESCAPED)
def test_what_steers_a_terminal_is_shown_instead(name: str) -> None:
    text, shown = ESCAPED[name]
    assert printable(text) == shown


@pytest.mark.parametrize("text", KEPT)
def test_what_is_visible_is_kept(text: str) -> None:
    assert printable(text) == text


def harmless(text: str) -> bool:
    """True when every character is visible, a tab, or a space of some width."""
    return all(char.isprintable() or char == "\t" or char.isspace() for char in text) and not (
        set(text) & set("\n\r\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029")
    )


@given(st.text(alphabet=st.characters()))
@example("".join(map(chr, range(0x300))))
def test_the_result_is_always_harmless(text: str) -> None:
    assert harmless(printable(text))


@given(st.binary())
@example(bytes(range(256)))
@example(b'{"event": "\\u001b[2J", "\\u202e": "\\ud800"}')
def test_a_log_line_is_always_harmless(line: bytes) -> None:
    assert harmless(log_text(line))
    assert harmless(log_text(line, raw=True))


RECORD = {
    "event": "step",
    "level": "info",
    "timestamp": "2026-01-01T00:00:00Z",
    "rank": 1,
    "world_size": 2,
    "run_id": "r1",
    "step": 3,
    "loss": 2.34567891,
    "note": "two words",
    "file": "a.txt",
    "empty": "",
    "ok": True,
    "none": None,
    "list": [1, 2],
}


def test_a_record_is_told_in_words() -> None:
    assert log_text(json.dumps(RECORD).encode()) == (
        'step step=3 loss=2.3457 note="two words" file=a.txt empty="" ok=true none=null list=[1, 2]'
    )


def test_a_record_is_shown_as_it_is_when_asked_for() -> None:
    line = json.dumps(RECORD).encode()
    assert log_text(line, raw=True) == line.decode()


AS_IT_IS: dict[str, tuple[bytes, str]] = {
    "text": (b"loss 2.5", "loss 2.5"),
    "Windows line end": (b"loss 2.5\r", "loss 2.5"),
    "no JSON": (b"{loss: 2.5}", "{loss: 2.5}"),
    "no event": (b'{"loss": 2.5}', '{"loss": 2.5}'),
    "an event that is no text": (b'{"event": 1}', '{"event": 1}'),
    "an empty event": (b'{"event": ""}', '{"event": ""}'),
    "a list": (b'[{"event": "step"}]', '[{"event": "step"}]'),
    "not UTF-8": (b"a\xffb", "a\ufffdb"),
    "an integer of 5,000 digits": (b'{"event": ' + b"9" * 5000, '{"event": ' + "9" * 5000),
}


@pytest.mark.parametrize("name", AS_IT_IS)
def test_anything_else_is_shown_as_it_is(name: str) -> None:
    line, shown = AS_IT_IS[name]
    assert log_text(line) == shown


@pytest.mark.parametrize("depth", range(930, 1010))
def test_nesting_near_the_limit_of_json_is_shown(depth: int) -> None:
    line = b'{"event": "x", "a": ' + b"[" * depth + b"]" * depth + b"}"
    assert log_text(line) in (line.decode(), f"x a={'[' * depth}{']' * depth}")
