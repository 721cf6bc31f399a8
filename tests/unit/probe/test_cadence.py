"""How often steps are told, as training grows older."""

from __future__ import annotations

import pytest

from orchestrator.probe.site.orchestrate_probe.cadence import pause_s


@pytest.mark.parametrize(
    ("hang_s", "expected"),
    [
        (0.0, [0.1, 0.1, 0.1, 0.2, 0.4, 0.5, 0.5]),
        (600.0, [0.1, 0.1, 0.1, 0.2, 0.4, 0.5, 0.5]),
        (5.0, [0.1, 0.1, 0.1, 0.2, 0.4, 0.5, 0.5]),
        (3.0, [0.1, 0.1, 0.1, 0.2, 0.3, 0.3, 0.3]),
        (1.0, [0.1] * 7),
        (0.2, [0.1] * 7),
    ],
)
def test_steps_are_told_seldom_once_training_is_old_but_often_enough_to_see_a_hang(
    hang_s: float, expected: list[float]
) -> None:
    ages_s = (0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 1e6)
    assert [round(pause_s(age_s, hang_s), 9) for age_s in ages_s] == expected
