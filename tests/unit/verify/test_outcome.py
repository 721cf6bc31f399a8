"""How a node's end is told: its exit code, and the best reason that is known."""

from __future__ import annotations

import pytest

from orchestrator.verify.outcome import how_it_ended
from tests.unit.verify.story import Story

TRACEBACK = ("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'x'", "  ")


@pytest.mark.parametrize(
    ("code", "lines", "expected"),
    [
        (1, (), "exited with code 1"),
        (
            1,
            TRACEBACK,
            "exited with code 1: last line `ModuleNotFoundError: No module named 'x'`",
        ),
        (1, ("root cause: disk", "======"), "exited with code 1: last line `root cause: disk`"),
        (
            127,
            ("exec train failed",),
            "exited with code 127: its command does not exist: last line `exec train failed`",
        ),
        (137, ("step 3",), "was killed by signal 9 (exit code 137)"),
        (0, ("done",), "exited with code 0"),
        (1, ("x" * 900,), f"exited with code 1: last line `{'x' * 200}`"),
    ],
)
def test_a_node_without_a_record_of_its_failure(
    code: int, lines: tuple[str, ...], expected: str
) -> None:
    story = Story()
    for line in lines:
        story.say(0, 1.0, line)
    story.end(0, code)
    assert how_it_ended(story.nodes[0], story.facts) == expected


def test_the_reason_that_the_rank_gave_comes_first() -> None:
    story = Story()
    story.fail(0, 1.0, "no such corpus", "DataError")
    story.say(0, 1.1, "something later")
    story.end(0, 1)
    assert how_it_ended(story.nodes[0], story.facts) == (
        "exited with code 1: DataError: no such corpus"
    )


def test_out_of_memory_needs_no_last_line() -> None:
    story = Story()
    story.say(0, 1.0, "step 3")
    story.end(0, 1)
    story.stand(0, oom_killed=True)
    assert how_it_ended(story.nodes[0], story.facts) == "ran out of memory (exit code 1)"
