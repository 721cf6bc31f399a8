"""Each run that failed, replayed from what it left: the right rank and cause, word for word."""

from __future__ import annotations

import pytest

from orchestrator.verify.signatures import read_text
from tests.diagnosis.answers import answer, as_json, diagnosed, read_answers
from tests.diagnosis.capture import CAPTURES, read_capture
from tests.diagnosis.cases import CASES, PROJECT, Case

NAMES = [case.name for case in CASES]


def test_every_case_has_a_capture_and_every_capture_a_case() -> None:
    assert sorted(path.stem for path in CAPTURES.glob("*.jsonl")) == sorted(NAMES)
    assert sorted(read_answers()) == sorted(NAMES)


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_capture_is_diagnosed_rightly(case: Case) -> None:
    capture = read_capture(CAPTURES / f"{case.name}.jsonl")
    assert capture.playbook == case.playbook(PROJECT)
    assert capture.command == f"python -m tests.diagnosis capture {case.name}"
    found = diagnosed(capture)
    assert found is not None
    assert found.cause in case.causes
    assert found.rank in case.ranks
    assert as_json(answer(capture)) == read_answers()[case.name]


def test_the_evidence_of_a_capture_stands_in_its_log() -> None:
    """What is quoted of a log is there, at that time: nothing is made up."""
    capture = read_capture(CAPTURES / "raises_at_step.jsonl")
    found = diagnosed(capture)
    assert found is not None
    quoted = [line for line in found.evidence if read_text(line.text)]
    logged = {(line.node_rank, line.at_s): line.text.decode() for line in capture.lines}
    assert quoted
    for line in quoted:
        assert line.text.rpartition(": ")[2] in logged[(line.node_rank, line.at_s)]
