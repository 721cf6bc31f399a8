"""One setting scales how long the engine is waited for."""

from __future__ import annotations

import pytest

from orchestrator.engines.docker.deadlines import Deadlines, deadlines_from
from orchestrator.errors import UnusableSetting


@pytest.mark.parametrize(
    ("text", "answer_s"), [("", 30.0), (" ", 30.0), ("2", 2.0), (" 0.5 ", 0.5), ("3600", 3600.0)]
)
def test_the_setting(text: str, answer_s: float) -> None:
    assert deadlines_from({"ORCHESTRATE_DEADLINE_S": text}) == Deadlines(answer_s)


def test_without_the_setting() -> None:
    found = deadlines_from({})
    assert (found.answer_s, found.change_s, found.bulk_s) == (30.0, 60.0, 300.0)


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "3601", "soon", "1s", "1e999"])
def test_a_setting_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UnusableSetting, match="ORCHESTRATE_DEADLINE_S is '") as caught:
        deadlines_from({"ORCHESTRATE_DEADLINE_S": text})
    assert caught.value.exit_code == 64
