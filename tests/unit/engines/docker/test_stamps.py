"""Docker's times come out of its logs, wherever it puts them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker import stamps
from orchestrator.engines.docker.stamps import RECORD_BYTES, StampedLines
from orchestrator.loglines import LogLine

STAMP = b"2026-11-22T10:57:46.500000000Z "
AT_S = 1795345066.5


def stamped(lines: list[bytes], record_bytes: int) -> bytes:
    """What Docker 20.10 prints for these lines."""
    return b"".join(b"".join(records(line, record_bytes)) + b"\n" for line in lines)


def records(line: bytes, record_bytes: int) -> Iterator[bytes]:
    while len(line) >= record_bytes:
        yield STAMP + line[:record_bytes]
        line = line[record_bytes:]
    yield STAMP + line


def parsed(printed: bytes, chunk_bytes: int = 65536) -> list[LogLine]:
    stamps = StampedLines(3)
    chunks = [printed[at : at + chunk_bytes] for at in range(0, len(printed), chunk_bytes)]
    lines = [line for chunk in chunks for line in stamps.feed(chunk)]
    return [*lines, *stamps.finish()]


@given(
    st.lists(st.binary(max_size=60).map(lambda b: b.replace(b"\n", b"/")), max_size=12),
    st.integers(1, 200),
)
def test_lines_come_out_as_they_went_in(lines: list[bytes], chunk_bytes: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stamps, "RECORD_BYTES", 16)
        found = parsed(stamped(lines, 16), chunk_bytes)
    assert found == [LogLine(3, AT_S, line) for line in lines]


def test_a_line_of_many_records_comes_in_bounded_pieces() -> None:
    line = bytes(range(32, 127)) * 1000
    first, second = parsed(stamped([line], RECORD_BYTES))
    assert (first, second) == (
        LogLine(3, AT_S, line[:65536]),
        LogLine(3, AT_S, line[65536:], continued=True),
    )


def test_an_unterminated_last_line_is_kept() -> None:
    assert parsed(STAMP + b"one\n" + STAMP + b"two") == [
        LogLine(3, AT_S, b"one"),
        LogLine(3, AT_S, b"two"),
    ]


def test_a_long_line_without_inner_times_is_kept_as_it_is() -> None:
    line = b"x" * (RECORD_BYTES + 5)
    assert parsed(STAMP + line) == [LogLine(3, AT_S, line)]
    assert parsed(STAMP + line + b"\n") == [LogLine(3, AT_S, line)]


@pytest.mark.parametrize(
    "complaint",
    [
        b"Error: No such container: node-0\n",
        b"error from daemon in stream: " + b"x" * 50 + b"\n",
        b"short\n",
        b"2026 is not a time\n",
        b"cut off",
    ],
)
def test_what_docker_itself_says_is_left_out(complaint: bytes) -> None:
    expected = [LogLine(3, AT_S, b"one")]
    assert parsed(STAMP + b"one\n" + complaint) == expected
    if complaint.endswith(b"\n"):
        assert parsed(complaint + STAMP + b"one\n") == expected
