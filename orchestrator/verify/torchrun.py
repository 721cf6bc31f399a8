"""What torchrun says of the ranks of its node when one has failed. Pure.

A rank that is killed says nothing itself; torchrun, which started it, ends with a summary
in which every rank that failed has a block:

      rank      : 3 (local_rank: 1)
      exitcode  : -9 (pid: 40)  (SIGKILL)

It may name a rank in a message, and decides nothing: a node that lies here changes no check.
"""

from __future__ import annotations

import re
import signal

from msgspec import Struct, field

_RANK = re.compile(r"\s*rank\s*: (\d{1,7}) \(local_rank: (\d{1,7})\)")
_EXITCODE = re.compile(r"\s*exitcode\s*: (-?\d{1,5}) \(pid: \d+\)")


class RankEnd(Struct, frozen=True):
    """How one rank of a node ended; `code` is -n after signal n."""

    rank: int
    local_rank: int
    code: int

    @property
    def was_killed(self) -> bool:
        """True for a signal that was not torchrun's own SIGTERM to the siblings."""
        return self.code < 0 and self.code != -signal.SIGTERM

    def __str__(self) -> str:
        who = f"rank {self.rank} (local rank {self.local_rank})"
        if self.code < 0:
            return f"{who} was killed by signal {-self.code}"
        return f"{who} exited with code {self.code}"


class Summary(Struct):
    """Folds the lines of a node that runs torchrun."""

    ends: dict[int, RankEnd] = field(default_factory=dict)
    _named: tuple[int, int] | None = None

    def add(self, line: str, ranks: range) -> None:
        """Fold one line in; a rank that is not of `ranks` is none of this node's."""
        if match := _RANK.match(line):
            rank, local_rank = int(match[1]), int(match[2])
            self._named = (rank, local_rank) if rank in ranks else None
        elif self._named and (match := _EXITCODE.match(line)):
            self.ends[self._named[0]] = RankEnd(*self._named, int(match[1]))
            self._named = None

    @property
    def killed(self) -> RankEnd | None:
        """The first rank that something outside of the script killed."""
        return next((end for _, end in sorted(self.ends.items()) if end.was_killed), None)
