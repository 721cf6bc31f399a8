"""What is said of each capture, kept beside it, so that a change of any word is seen."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.framing import RS
from orchestrator.playbook.loader import load
from orchestrator.verify.checks import Run, evaluate
from orchestrator.verify.diagnose import Diagnosis, diagnose
from tests.diagnosis.capture import Capture, replay

ANSWERS = Path(__file__).with_name("answers.json")


def diagnosed(capture: Capture, *, without: Sequence[bytes] = ()) -> Diagnosis | None:
    """The diagnosis of a run that was kept."""
    with tempfile.TemporaryDirectory() as folder:
        run = replay(capture, Path(folder), without=without)
        checks = load(Path(folder) / "playbook.yaml").playbook.health_checks
    return diagnose(evaluate(checks, run), run)


def replayed(capture: Capture) -> Run:
    """The run as it was when it was judged."""
    with tempfile.TemporaryDirectory() as folder:
        return replay(capture, Path(folder))


def answer(capture: Capture) -> dict[str, object]:
    """All that is said of a capture, and what would be said had there been no probe."""
    found, without = diagnosed(capture), diagnosed(capture, without=(RS,))
    return {
        "diagnosis": found.document() if found else None,
        "without the probe": without.headline if without else None,
    }


def as_json(document: object) -> object:
    """As it is after a round through JSON, in which tuples become lists."""
    return json.loads(json.dumps(document))


def read_answers() -> dict[str, object]:
    """`{case: answer}` as kept."""
    kept: dict[str, object] = json.loads(ANSWERS.read_text())
    return kept


def write_answers(answers: dict[str, object]) -> None:
    """Keep them, in order and for people to read."""
    text = json.dumps(dict(sorted(answers.items())), indent=1, ensure_ascii=False)
    ANSWERS.write_text(text + "\n")
