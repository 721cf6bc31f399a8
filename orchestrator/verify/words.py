"""The lines of one node that a signature knows, the first few of each. Pure, and bounded."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator

from msgspec import Struct, field

from orchestrator.verify.signatures import Reading, read_text

FIRST_OF_EACH = 2
LAST_OF_EACH = 2
"""Lines kept of one signature: the first ones may tell why, the last ones how it ended."""


class Heard(Struct, frozen=True):
    """A line that says something, when it was written, and what it says."""

    at_s: float
    text: str
    reading: Reading


class _Said(Struct):
    """The first and the last few lines of one signature."""

    first: list[Heard] = field(default_factory=list)
    last: deque[Heard] = field(default_factory=lambda: deque(maxlen=LAST_OF_EACH))

    def add(self, heard: Heard) -> None:
        (self.first if len(self.first) < FIRST_OF_EACH else self.last).append(heard)


class Words(Struct):
    """What a node has said of trouble: bounded by the table, however much it says."""

    _said: dict[str, _Said] = field(default_factory=dict)

    def add(self, at_s: float, text: str) -> None:
        """Note a line, if it says something."""
        reading = read_text(text)
        if reading is not None:
            said = self._said.setdefault(reading.signature.id, _Said())
            said.add(Heard(at_s, text.strip(), reading))

    def __iter__(self) -> Iterator[Heard]:
        """All that is kept, the earliest first."""
        kept = (heard for said in self._said.values() for heard in (*said.first, *said.last))
        return iter(sorted(kept, key=lambda heard: heard.at_s))
