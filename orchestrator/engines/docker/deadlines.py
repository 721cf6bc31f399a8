"""How long a Docker engine may take, by the kind of what it is asked. One setting scales all."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import Struct

from orchestrator.errors import UnusableSetting

ENV_DEADLINE = "ORCHESTRATE_DEADLINE_S"

LONGEST_S = 3600.0


class Deadlines(Struct, frozen=True):
    """Seconds until an engine that does not answer is given up.

    Following logs has none: silence is no fault there, and whoever follows asks for the
    nodes all the while.
    """

    answer_s: float = 30.0
    """For a question."""

    @property
    def change_s(self) -> float:
        """For making, starting or ending one object."""
        return 2 * self.answer_s

    @property
    def bulk_s(self) -> float:
        """For what grows with the number of nodes or the length of a log."""
        return 10 * self.answer_s


def deadlines_from(environ: Mapping[str, str]) -> Deadlines:
    """The user's deadlines.

    Raises:
        UnusableSetting: ENV_DEADLINE holds something that means nothing.
    """
    text = environ.get(ENV_DEADLINE, "").strip()
    if not text:
        return Deadlines()
    try:
        answer_s = float(text)
    except ValueError:
        answer_s = math.nan
    if not 0 < answer_s <= LONGEST_S:
        raise UnusableSetting(
            f"{ENV_DEADLINE} is {text!r}",
            fix=f"give seconds, more than 0 and at most {LONGEST_S:g}, or unset it",
        )
    return Deadlines(answer_s)
