"""The table of signatures: each known from a real log or from its source's words, and harmless."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from orchestrator.verify import signatures as table
from orchestrator.verify.facts import TAIL_CHARS
from orchestrator.verify.signatures import Reading, Signature, read_text, signatures
from orchestrator.verify.words import Words
from tests.diagnosis.page import captured_ids

parser: Any = importlib.import_module("re._parser")
IDS = [signature.id for signature in signatures()]


@pytest.fixture(scope="module")
def captured() -> frozenset[str]:
    return captured_ids()


def test_ids_are_unique() -> None:
    assert len(set(IDS)) == len(IDS)


@pytest.mark.parametrize("signature", signatures(), ids=IDS)
def test_a_signature_is_known_from_a_capture_or_quotes_its_source(
    signature: Signature, captured: frozenset[str]
) -> None:
    assert signature.id in captured or signature.example
    if signature.example:
        reading = read_text(signature.example)
        assert reading is not None
        assert reading.signature == signature


@pytest.mark.parametrize("signature", signatures(), ids=IDS)
def test_a_signature_uses_only_what_its_pattern_finds(signature: Signature) -> None:
    groups = {name.rstrip("0123456789") for name in signature.pattern.groupindex}
    texts = (signature.what, signature.cause, signature.mend)
    used = {part.partition("}")[0] for text in texts for part in text.split("{")[1:]}
    assert used <= groups


@pytest.mark.parametrize("signature", signatures(), ids=IDS)
def test_no_line_can_slow_a_signature_down(signature: Signature) -> None:
    """No repeat is unbounded, and none that stands in another one may be long."""
    assert longest_repeats(parser.parse(signature.pattern.pattern)) <= 60_000


def longest_repeats(parsed: Any) -> int:
    """The most characters that nested repeats may try, multiplied as backtracking does."""
    longest = 1
    for operation, argument in parsed:
        name = str(operation)
        if name in {"MAX_REPEAT", "MIN_REPEAT"}:
            _, most, inner = argument
            longest = max(longest, int(most) * longest_repeats(inner))
        elif name == "SUBPATTERN":
            longest = max(longest, longest_repeats(argument[-1]))
        elif name == "BRANCH":
            longest = max(longest, *(longest_repeats(branch) for branch in argument[1]))
    return longest


def test_an_unbounded_repeat_would_be_seen() -> None:
    assert longest_repeats(parser.parse(r"a(b+c)*")) > 60_000


def test_what_a_node_writes_is_put_in_and_not_filled_in_again() -> None:
    reading = read_text("ModuleNotFoundError: No module named '{module}{what}\x1b[2J'")
    assert reading is not None
    assert reading.what == "cannot import {module}{what}\x1b[2J"


@pytest.mark.parametrize(
    "entry",
    [
        "- {id: a-b, pattern: abcde, role: primary, what: abc, cause: '', mend: abc}",
        "- {id: A b, pattern: abcde, role: primary, what: abc, cause: '', mend: abc, source: abc}",
        "- {id: a-b, pattern: abcde, role: third, what: abc, cause: '', mend: abc, source: abc}",
        "- {id: a-b, pattern: abcde, role: primary, what: abc, cause: 1, mend: abc, source: abc}",
        "- {id: a-b, pattern: abcde, role: primary, what: abc, cause: '', mend: abc, source: abc,"
        " more: 1}",
    ],
)
def test_an_entry_that_is_not_as_it_should_be_is_refused(
    entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "signatures.yaml"
    path.write_text(entry)
    monkeypatch.setattr(table, "TABLE", path)
    signatures.cache_clear()
    try:
        with pytest.raises(ValidationError):
            signatures()
    finally:
        signatures.cache_clear()


def test_a_run_that_goes_well_does_not_read_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> tuple[Signature, ...]:
        raise AssertionError("the table was read")

    monkeypatch.setattr(table, "signatures", never)
    for line in ("rank 0: step 1 loss 0.6015", "a batch of (4, 1024, 1024)", "", "x" * TAIL_CHARS):
        assert read_text(line) is None


def test_of_each_signature_the_first_and_the_last_lines_are_kept() -> None:
    words = Words()
    for number in range(1000):
        words.add(float(number), f"ValueError: {number}")
        words.add(float(number), f"Broken pipe {number}")
    kept = [(heard.at_s, heard.text) for heard in words]
    assert kept == [
        (float(number), text)
        for number in (0, 1, 998, 999)
        for text in (f"ValueError: {number}", f"Broken pipe {number}")
    ]


def test_one_line_counts_for_the_first_signature_that_knows_it() -> None:
    reading = read_text("[rank1]: RuntimeError: CUDA error: all CUDA-capable devices are busy")
    assert isinstance(reading, Reading)
    assert reading.signature.id == "exception"
