"""Frames and their times come apart as the engine put them together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker.frames import FRAME_BYTES, Frames, NotFrames, StampedRecords
from orchestrator.loglines import LogLine

from .stand_in_engine import AT_S, STAMP, frame

contents = st.lists(st.tuples(st.sampled_from([1, 2, 3]), st.binary(max_size=40)), max_size=8)


@given(contents, st.integers(1, 50))
def test_frames_come_out_as_they_went_in(sent: list[tuple[int, bytes]], step: int) -> None:
    stream = b"".join(frame(content, source) for source, content in sent)
    frames = Frames()
    found = [
        each for at in range(0, len(stream), step) for each in frames.feed(stream[at : at + step])
    ]
    assert (found, frames.is_between) == (sent, True)


@pytest.mark.parametrize("cut", [1, 7, 8, 9])
def test_a_frame_that_is_cut_is_known(cut: int) -> None:
    frames = Frames()
    assert list(frames.feed(frame(b"one") + frame(b"two")[:cut])) == [(1, b"one")]
    assert not frames.is_between


@pytest.mark.parametrize(
    "header",
    [
        b"\x04\0\0\0\0\0\0\1",
        b"\1\1\0\0\0\0\0\1",
        b"\1\0\0\0" + (FRAME_BYTES + 1).to_bytes(4, "big"),
    ],
)
def test_what_is_no_header_is_called_so(header: bytes) -> None:
    with pytest.raises(NotFrames):
        list(Frames().feed(header))


def lines(*records: bytes) -> list[LogLine]:
    stamped = StampedRecords(3)
    return [*(line for record in records for line in stamped.feed(record)), *stamped.finish()]


def test_records_of_a_long_line_are_one_line() -> None:
    """As Docker 20.10 sends it: a time in front of every 16 KiB, and of the line end."""
    long = b"a" * 16384
    assert lines(STAMP + long, STAMP + b"\n", STAMP + long, STAMP + b"b\n") == [
        LogLine(3, AT_S, long),
        LogLine(3, AT_S, long + b"b"),
    ]


def test_last_words_of_both_outputs_do_not_show_a_time() -> None:
    assert lines(STAMP + b"out", STAMP + b"err") == [LogLine(3, AT_S, b"outerr")]


def test_a_line_that_grows_without_end_comes_in_bounded_pieces() -> None:
    record = STAMP + b"x" * 16384
    found = lines(*[record] * 10)
    assert [(len(line.text), line.continued) for line in found] == [
        (65536, False),
        (65536, True),
        (32768, True),
    ]


@pytest.mark.parametrize("text", [b"no time\n", b"\n", b" \n", b"2026-13-01T00:00:00Z x\n"])
def test_what_has_no_time_is_text_at_the_time_before(text: bytes) -> None:
    assert lines(STAMP + b"one\n", text)[1:] == [LogLine(3, AT_S, text[:-1])]
