"""What libyaml would read otherwise than YAML 1.2: refused where it stands, and only there."""

from __future__ import annotations

import pytest

from orchestrator.playbook.tree import Mark, plain
from orchestrator.playbook.yaml import compose
from tests.reliability.record import RecordCase, record_inputs

REFUSED: dict[str, list[tuple[int, int, str]]] = {
    "a: {?b: c}": [(1, 6, "? right before text")],
    "a: [?b]": [(1, 6, "? right before text")],
    "a: {?'b': c}": [(1, 6, "? right before text")],
    "a: &b:c d\ne: *b": [(1, 4, ": right behind the name '&b'")],
    "a: &b d\ne: [*b:c]": [
        (2, 5, ": right behind the name '*b'"),
        (2, 5, "a key that is not plain text"),
    ],
    'a: "b"# c': [(1, 7, "# right behind something is no comment")],
    "a: [b,# c\n  d]": [(1, 7, "# right behind something is no comment")],
    "é: [b, c]#d\ne: {f: 1}# g\n": [
        (1, 10, "# right behind something is no comment"),
        (2, 10, "# right behind something is no comment"),
    ],
    "a: >-# b\n  c": [(1, 6, "# right behind something is no comment")],
    "'a': 'b'\r\n'c': 'd'#\r\n": [(2, 9, "# right behind something is no comment")],
}

READ: dict[str, object] = {
    "a: b#c": {"a": "b#c"},
    "#a#b\na: b # c#d#e": {"a": "b"},
    "a: 'b#c'  # d": {"a": "b#c"},
    "a: |\n  b#c\n  '#'#\n# d#e": {"a": "b#c\n'#'#\n"},
    "a: [b#c, 'd', \"#\"] # e": {"a": ("b#c", "d", "#")},
    "a:\t# b\n  c": {"a": "c"},
    "? a\n: ?b": {"a": "?b"},
    "a: [b?, c?d]": {"a": ("b?", "c?d")},
    "a: &b c\nd: [*b , {e: *b}]": {"a": "c", "d": ("c", {"e": "c"})},
    "a: &b [c]\nd: [*b]": {"a": ("c",), "d": (("c",),)},
    # The last line break, which a text may lack, ends the line like any other.
    "a: |\n  b": {"a": "b\n"},
    "a: |+\n  b\n   ": {"a": "b\n \n"},
    "a: |-\n  b": {"a": "b"},
    "a: >\n  b": {"a": "b\n"},
}


@pytest.mark.parametrize(("text", "places"), REFUSED.items())
def test_what_would_be_misread_is_refused(
    text: str, places: list[tuple[int, int, str]], record_case: RecordCase
) -> None:
    found = [
        (said.mark.line, said.mark.column, said.what)
        for said in compose(text).complaints
        if said.mark is not None
    ]

    assert found == places
    record_inputs(record_case, "YAML that libyaml would misread", refused=1)


@pytest.mark.parametrize(("text", "value"), READ.items())
def test_what_only_looks_like_it_is_read(text: str, value: object) -> None:
    document = compose(text)

    assert document.root is not None
    assert (plain(document.root), document.complaints) == (value, ())


def test_a_text_that_ends_too_early_has_its_fault_on_a_line_that_is_there() -> None:
    texts = ("a: [", "a: [\n", 'a:\n - "b')

    marks = [compose(text).complaints[-1].mark for text in texts]

    assert marks == [Mark(1, 5), Mark(2, 1), Mark(2, 6)]
