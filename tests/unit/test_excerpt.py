"""A fault where it stands: the line, the caret, and nothing that steers a terminal."""

from __future__ import annotations

import pytest

from orchestrator.display.excerpt import MAX_CELLS, excerpt, summary
from orchestrator.errors import Fault, Snippet


def fault(text: str, column: int, width: int = 1, line: int = 14) -> Fault:
    snippet = Snippet("p.yaml", line, column, text, width)
    return Fault("p.yaml", line, column, "a", "wrong", "", (snippet,))


@pytest.mark.parametrize(
    ("text", "column", "width", "shown"),
    [
        ("  nodse: 2", 3, 5, ["  14 |   nodse: 2", "     |   ^~~~~"]),
        ("", 1, 1, ["  14 |", "     | ^"]),
        ("a", 2, 1, ["  14 | a", "     |  ^"]),
        ("\ta: b", 2, 1, ["  14 |     a: b", "     |     ^"]),
        ("a: \tb", 4, 1, ["  14 | a:     b", "     |    ^~~~"]),
        ("日本: x", 5, 1, ["  14 | 日本: x", "     |       ^"]),
        ("日本: x", 1, 2, ["  14 | 日本: x", "     | ^~~~"]),
        ("e\u0301: x", 5, 1, ["  14 | e\u0301: x", "     |    ^"]),
        ("\x1b[2J: x", 7, 1, ["  14 | \\x1b[2J: x", "     |          ^"]),
        ("\u202ea: x", 2, 1, ["  14 | \\u202ea: x", "     |       ^"]),
    ],
)
def test_the_caret_is_below_its_place(text: str, column: int, width: int, shown: list[str]) -> None:
    assert list(excerpt(fault(text, column, width))) == shown


@pytest.mark.parametrize("column", [1, 50, 500, 990, 1001])
def test_a_long_line_is_cut_around_the_place(column: int) -> None:
    text = "".join(chr(ord("a") + index % 26) for index in range(1000))
    line, caret = excerpt(fault(text, column, 5))
    at = caret.index("^")
    assert len(line) <= MAX_CELLS + 10
    assert line[at : at + 1] == text[column - 1 : column]


def test_a_second_place_is_shown_with_its_note() -> None:
    first = Snippet("p.yaml", 12, 1, "name: y", 4)
    second = Snippet("p.yaml", 2, 1, "name: x", 4, "first given here")
    other = Snippet("base.yaml", 2, 1, "name: x", 4, "first given here")
    both = Fault("p.yaml", 12, 1, "name", "twice", "", (first, second, other))
    assert list(excerpt(both)) == [
        "  12 | name: y",
        "     | ^~~~",
        "   2 | name: x",
        "     | ^~~~ first given here",
        "  base.yaml:",
        "   2 | name: x",
        "     | ^~~~ first given here",
    ]


def test_faults_without_a_line_show_none() -> None:
    assert list(excerpt(Fault("p.yaml", 1, 1, "", "no such file"))) == []


def test_faults_are_counted_by_file() -> None:
    one, two, three = (Fault(name, 1, 1, "", "wrong") for name in ("a", "b", "c"))
    assert summary([one]) == "1 fault in a"
    assert summary([one, one]) == "2 faults in a"
    assert summary([one, two]) == "2 faults in a and b"
    assert summary([one, two, three]) == "3 faults in several files"
