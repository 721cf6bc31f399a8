"""Cutting a stream into bounded lines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines import lines
from orchestrator.engines.lines import LineCutter


def cut(chunks: Sequence[bytes]) -> list[tuple[bytes, bool]]:
    cutter = LineCutter()
    pieces = [piece for chunk in chunks for piece in cutter.feed(chunk)]
    return [*pieces, *cutter.finish()]


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        ([], []),
        ([b"a\nb"], [(b"a", False), (b"b", False)]),
        ([b"\n", b"\n"], [(b"", False), (b"", False)]),
        ([b"a", b"b", b"\nc\r\n"], [(b"ab", False), (b"c\r", False)]),
        ([b"12345678\n"], [(b"12345678", False)]),
        ([b"123456789\nx\n"], [(b"12345678", False), (b"9", True), (b"x", False)]),
        ([b"12345678", b"9", b"\nx"], [(b"12345678", False), (b"9", True), (b"x", False)]),
        ([b"1234567812345678", b"\n"], [(b"12345678", False), (b"12345678", True)]),
    ],
)
def test_lines_and_pieces(
    monkeypatch: pytest.MonkeyPatch, chunks: list[bytes], expected: list[tuple[bytes, bool]]
) -> None:
    monkeypatch.setattr(lines, "LINE_BYTES", 8)
    assert cut(chunks) == expected


@given(st.lists(st.text("ab\n", max_size=200).map(str.encode), max_size=20))
def test_pieces_do_not_depend_on_how_the_stream_was_chunked(chunks: list[bytes]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "LINE_BYTES", 8)
        found = cut(chunks)
        assert found == cut([b"".join(chunks)])
    joined = b"".join(text if continued else b"\n" + text for text, continued in found)
    assert (joined[1:] + b"\n" if found else b"") in {
        b"".join(chunks),
        b"".join(chunks) + b"\n",  # the last line had no end
    }
    assert all(len(text) <= 8 for text, _ in found)
