from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.playbook.units import (
    MAX_SIZE_BYTES,
    format_duration,
    format_size,
    parse_duration_s,
    parse_size_bytes,
)

DURATIONS = {
    "60s": 60.0,
    "5m": 300.0,
    "1h": 3600.0,
    "500ms": 0.5,
    "1m30s": 90.0,
    "1h1m1s1ms": 3661.001,
    "1.5h": 5400.0,
    "0s": 0.0,
    "720h": 2_592_000.0,
}
NOT_DURATIONS = [
    "", "s", "60", "60 s", "60S", "5min", "5 m", "-5s", "+5s", "30s1m", "1s1s", "1d", "1e3s", ".5s",
    "5.s", "inf", "\u0663s", "60s\n", "721h", "9" * 40 + "s",
]  # fmt: skip

SIZES = {
    "2GiB": 2 * 1024**3,
    "512MiB": 512 * 1024**2,
    "1.5GiB": 1_610_612_736,
    "64KiB": 65_536,
    "1GB": 1_000_000_000,
    "5MB": 5_000_000,
    "7KB": 7000,
    "9B": 9,
    "1000000": 1_000_000,
    "2 GiB": 2 * 1024**3,
    "0.5B": 0,
}
NOT_SIZES = [
    "", "GiB", "2G", "2g", "2gib", "2Gi", "2Gb", "-2GiB", "+2GiB", "1_000", "2  GiB", "1e9", "0x10",
    "2TiB", "2GiB\n", "\u0662GiB", "9" * 20, "99999999GiB", "2,5GiB",
]  # fmt: skip


def test_durations_are_read_as_seconds() -> None:
    assert {text: parse_duration_s(text) for text in DURATIONS} == DURATIONS


@pytest.mark.parametrize("text", NOT_DURATIONS)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a duration|longer than 30 days"):
        parse_duration_s(text)


def test_sizes_are_read_as_bytes() -> None:
    assert {text: parse_size_bytes(text) for text in SIZES} == SIZES


@pytest.mark.parametrize("text", NOT_SIZES)
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a size|above 1024 TiB"):
        parse_size_bytes(text)


@given(st.integers(0, MAX_SIZE_BYTES))
def test_a_size_survives_being_written_and_read(size_bytes: int) -> None:
    assert parse_size_bytes(format_size(size_bytes)) == size_bytes


@given(st.integers(0, 30 * 24 * 3600 * 2))
def test_a_duration_survives_being_written_and_read(half_seconds: int) -> None:
    assert parse_duration_s(format_duration(half_seconds / 2)) == half_seconds / 2
