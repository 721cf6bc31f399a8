"""Records of the probe among a script's lines: found, told apart, and never in a script's way."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.display.console import Console
from orchestrator.engines.lines import LineCutter
from orchestrator.loglines import LINE_BYTES, LogLine
from orchestrator.records import MAX_RECORD_BYTES, Reading, RecordReader, Step

STEP = Step(event="step", rank=1, step=3, source="probe")
STEP_JSON = b'{"event": "step", "rank": 1, "step": 3, "source": "probe"}'
FRAMED = b"\x1e" + STEP_JSON
OWN_JSON = b'{"event": "step", "rank": 1, "step": 4}'
OWN_STEP = Step(event="step", rank=1, step=4)
TORCH = b'\x1e{"event": "torch_imported", "torch": "2.13.0", "source": "probe"}'

LINES = {
    "the script's alone": (b"epoch 1", Reading(b"epoch 1")),
    "nothing": (b"", Reading(b"")),
    "a record of the script": (OWN_JSON, Reading(OWN_JSON, (OWN_STEP,))),
    "a record of the probe": (FRAMED, Reading(b"", (STEP,))),
    "after a partial line": (b"50%|### " + FRAMED, Reading(b"50%|### ", (STEP,))),
    "after a partial line with an escape": (b"\x1b[2K\r" + FRAMED, Reading(b"\x1b[2K\r", (STEP,))),
    "after a record without its line end": (OWN_JSON + FRAMED, Reading(OWN_JSON, (OWN_STEP, STEP))),
    "after one that was torn": (b'\x1e{"event": ' + FRAMED, Reading(b'\x1e{"event": ', (STEP,))),
    "the last of two": (TORCH + FRAMED, Reading(TORCH, (STEP,))),
    "text behind it": (FRAMED + b" 51%", Reading(FRAMED + b" 51%")),
    "RS alone": (b"\x1e", Reading(b"\x1e")),
    "RS at the end": (FRAMED + b"\x1e", Reading(FRAMED + b"\x1e")),
    "RS and text": (b"\x1eabc", Reading(b"\x1eabc")),
    "a record after RS of a script": (b"\x1e" + OWN_JSON, Reading(b"", (OWN_STEP,))),
}


@pytest.mark.parametrize("name", LINES)
def test_a_line_is_read(name: str) -> None:
    text, reading = LINES[name]
    assert RecordReader().read(text) == reading


def test_what_is_no_json_after_rs_is_the_scripts() -> None:
    assert RecordReader().read(b"\x1e{}") == Reading(b"\x1e{}")


FULL = b"x" * LINE_BYTES


def test_a_line_that_goes_on_is_no_record_of_a_script() -> None:
    reader = RecordReader()
    reader.read(FULL, is_full=True)
    assert reader.read(OWN_JSON, continued=True) == Reading(OWN_JSON)


def test_a_record_after_a_line_too_long_for_one_piece() -> None:
    reader = RecordReader()
    reader.read(FULL, is_full=True)
    assert reader.read(b"xx" + FRAMED, continued=True) == Reading(b"xx", (STEP,))


def pieces_of(line: bytes) -> list[Reading]:
    """What is read of a line and the one after it, cut as the engines cut them."""
    reader = RecordReader()
    return [
        reader.read(text, continued=continued, is_full=len(text) == LINE_BYTES)
        for text, continued in LineCutter().feed(line + b"\nend\n")
    ]


@given(st.integers(0, len(FRAMED)))
def test_a_record_is_found_wherever_its_line_is_cut(num_bytes: int) -> None:
    """The cut falls at each byte of the record, and beside it."""
    readings = pieces_of(b"x" * (LINE_BYTES - num_bytes) + FRAMED)
    assert [each.records for each in readings if each.records] == [(STEP,)]


def test_a_record_before_the_cut_that_does_not_end_its_line_is_none() -> None:
    readings = pieces_of(b"x" * (LINE_BYTES - len(FRAMED)) + FRAMED + STEP_JSON)
    assert [each.records for each in readings] == [(), (), ()]


def test_a_record_that_ends_the_log_at_a_cut_is_found() -> None:
    reader = RecordReader()
    reader.read(FULL[: -len(FRAMED)] + FRAMED, is_full=True)
    assert (reader.finish(), reader.finish()) == ((STEP,), ())


def test_what_was_begun_is_forgotten_with_its_line() -> None:
    reader = RecordReader()
    reader.read(FRAMED[:20], is_full=True)
    assert reader.read(FRAMED[20:]) == Reading(FRAMED[20:])
    assert reader.read(FRAMED[20:], continued=True) == Reading(FRAMED[20:])


def test_what_is_begun_does_not_grow() -> None:
    reader = RecordReader()
    reader.read(b'\x1e{"event": "', is_full=True)
    for _ in range(3):
        reader.read(b"x" * MAX_RECORD_BYTES, continued=True, is_full=True)
    assert reader.read(b'"}', continued=True) == Reading(b'"}')


@given(st.lists(st.tuples(st.binary(max_size=60), st.booleans(), st.booleans()), max_size=6))
def test_no_bytes_raise_or_make_a_record(pieces: list[tuple[bytes, bool, bool]]) -> None:
    reader = RecordReader()
    for text, continued, is_full in pieces:
        assert reader.read(text, continued=continued, is_full=is_full).records == ()


# -- what a person sees of them --------------------------------------------------


def shown(text: bytes, *, records: bool = False, raw: bool = False) -> list[str]:
    screen = io.StringIO()
    console = Console(screen)
    console.shows_records = records
    console.show_log(LogLine(1, 1.0, text), raw=raw)
    return screen.getvalue().splitlines()


SHOWN = {
    "the script's": (b"epoch 1", ["epoch 1"], ["epoch 1"]),
    "an empty line": (b"", [""], [""]),
    "the probe's": (FRAMED, [], ["step step=3"]),
    "both": (b"50% " + FRAMED, ["50% "], ["50% ", "step step=3"]),
    "a record of the script": (OWN_JSON, ["step step=4"], ["step step=4"]),
    "only looks like it": (
        b"\x1e" + OWN_JSON,
        ["\\x1e" + OWN_JSON.decode()],
        ["\\x1e" + OWN_JSON.decode()],
    ),
    "RS and text": (b"a\x1eb", ["a\\x1eb"], ["a\\x1eb"]),
    "RS and a bomb": (b"\x1e{" + b"[" * 9999, ["\\x1e{" + "[" * 9999], ["\\x1e{" + "[" * 9999]),
}


@pytest.mark.parametrize("name", SHOWN)
def test_records_of_the_probe_are_shown_when_asked_for(name: str) -> None:
    text, without, with_records = SHOWN[name]
    assert shown(text) == [f"rank 1 | {line}" for line in without]
    assert shown(text, records=True) == [f"rank 1 | {line}" for line in with_records]


def test_a_raw_record_is_the_json_that_it_is() -> None:
    assert shown(FRAMED, raw=True, records=True) == [f"rank 1 | {STEP_JSON.decode()}"]
    assert shown(FRAMED, raw=True) == []


STACKS = (
    b'\x1e{"event": "stacks", "source": "probe", "rank": 1, "waited_s": 5.0, "call": "all_reduce",'
    b' "threads": {"MainThread": ["train.py:9 main", "x\\u001b[2J.py:1 f"], "odd": 7}}'
)


def test_stacks_are_shown_thread_by_thread() -> None:
    assert shown(STACKS, records=True) == [
        "rank 1 | stacks waited_s=5 call=all_reduce threads=(2)",
        "rank 1 |     MainThread:",
        "rank 1 |         train.py:9 main",
        "rank 1 |         x\\x1b[2J.py:1 f",
        "rank 1 |     odd:",
    ]
    assert shown(STACKS) == []
    assert len(shown(STACKS, records=True, raw=True)) == 1


def test_what_the_probe_lists_by_the_dozen_is_counted() -> None:
    many = b'\x1e{"event": "step", "source": "probe", "step": 9, "times_us": [%s], "few": [0.5]}'
    assert shown(many % b", ".join([b"25"] * 9), records=True) == [
        "rank 1 | step step=9 times_us=(9) few=[0.5]"
    ]
