"""How often steps are told. Pure: the times are given.

Telling steps delays the one that does it by a third of a millisecond: a record is written
and sent, its reader wakes, and what the step itself needs is no longer in the cache. Ten of
them a second are felt where steps take less than a millisecond, two are not. But what waits
for the first steps (the check `training`, whoever looks on) wants them soon. So they are
told no later than a twentieth of the time that training has gone on for, within bounds.
"""

from __future__ import annotations

LEAST_S = 0.1
MOST_S = 0.5
SHARE_OF_AGE = 0.05
SHARE_OF_HANG = 0.1


def pause_s(age_s: float, hang_s: float) -> float:
    """How long after the latest step that was told one is told again.

    Args:
        age_s: time from the first step to that one.
        hang_s: how long a rank may be without a step (`progress`); 0 if nobody minds. It is
            judged by when records come, so they come ten times as often as it takes.
    """
    most_s = min(MOST_S, hang_s * SHARE_OF_HANG) if hang_s else MOST_S
    return max(LEAST_S, min(most_s, age_s * SHARE_OF_AGE))
