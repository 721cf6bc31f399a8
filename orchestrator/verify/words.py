"""The lines of one node that a signature knows, the first few of each. Pure, and bounded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from orchestrator.verify.signatures import Reading, read_text

MAX_OF_EACH = 3
"""Lines kept of one signature: the first ones tell why, the rest that it went on."""


@dataclass(frozen=True, slots=True)
class Heard:
    """A line that says something, when it was written, and what it says."""

    at_s: float
    text: str
    reading: Reading


@dataclass
class Words:
    """What a node has said of trouble: bounded by the table, however much it says."""

    _heard: dict[str, list[Heard]] = field(default_factory=dict)

    def add(self, at_s: float, text: str) -> None:
        """Note a line, if it says something."""
        reading = read_text(text)
        if reading is None:
            return
        said = self._heard.setdefault(reading.signature.id, [])
        if len(said) < MAX_OF_EACH:
            said.append(Heard(at_s, text.strip(), reading))

    def __iter__(self) -> Iterator[Heard]:
        """All that is kept, the earliest first."""
        kept = (heard for said in self._heard.values() for heard in said)
        return iter(sorted(kept, key=lambda heard: heard.at_s))
