"""Moments as users write them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from orchestrator.commands.moments import moment

NOW_S = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "ago_s"),
    [("90s", 90), ("5m", 300), ("1h30m", 5400), ("2d", 172_800), ("1d2h3m4s", 93_784), ("0s", 0)],
)
def test_so_long_ago(text: str, ago_s: int) -> None:
    assert moment(text, NOW_S) == NOW_S - ago_s


@pytest.mark.parametrize(
    "text",
    ["2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00", "20260102T030405Z", f"{NOW_S:.0f}"],
)
def test_a_moment(text: str) -> None:
    assert moment(text, 0.0) == NOW_S


def test_without_an_offset_it_is_this_machines_time() -> None:
    local = datetime.fromtimestamp(NOW_S).isoformat()  # noqa: DTZ006
    assert moment(local, 0.0) == NOW_S


@pytest.mark.parametrize("text", ["", "soon", "5 m", "-5m", "5w", "m", "2026-13-01", "1e9"])
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError, match=r"Invalid isoformat|must be in"):
        moment(text, NOW_S)
