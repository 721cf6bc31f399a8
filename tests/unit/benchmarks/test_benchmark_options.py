"""What `python -m benchmarks` takes, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.figures import Operation
from benchmarks.options import Options, parse_options


def test_without_options_everything_is_measured() -> None:
    assert parse_options([]) == Options((2, 16, 64), 3, frozenset(Operation), None)


def test_all_options() -> None:
    argv = ["--sizes", "16,2", "--rounds", "5", "--only", "create,join", "--out", "a.md"]

    expected = frozenset({Operation.CREATE, Operation.JOIN})
    assert parse_options(argv) == Options((2, 16), 5, expected, Path("a.md"))


@pytest.mark.parametrize(
    ("argv", "complaint"),
    [
        (["--sizes", "2,0"], "'0' is not a number from 1 up"),
        (["--sizes", "2,"], "'' is not a number from 1 up"),
        (["--rounds", "-1"], "'-1' is not a number from 1 up"),
        (["--only", "create,sleep"], "unknown: sleep; known: create,"),
    ],
)
def test_bad_options_end_it_with_a_reason(
    argv: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse_options(argv)

    assert ended.value.code == 2
    assert complaint in capsys.readouterr().err
