"""Lines of many nodes -> one stream in time order, as they come. Pure.

Engines hand lines over node by node, a moment late and not all equally late. Each line is held
back for that moment, so that one of another node that was written before it comes before it.
What is later still is not waited for.
"""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct, field

HOLD_S = 0.2
"""How late a line may come and still stand where it belongs."""

Item = TypeVar("Item")


class Merger(Struct, Generic[Item]):
    """Puts what is added into the order of its times; of equal times, that in which it came."""

    hold_s: float = HOLD_S
    _held: list[tuple[float, int, float, Item]] = field(default_factory=list)
    _num_added: int = 0

    @property
    def num_held(self) -> int:
        """How many are held back."""
        return len(self._held)

    def add(self, at_s: float, item: Item, now_s: float) -> None:
        """Hold one item back.

        Args:
            at_s: its time.
            item: what is merged.
            now_s: when it came, by any clock that `take` goes by too.
        """
        self._held.append((at_s, self._num_added, now_s, item))
        self._num_added += 1

    def take(self, now_s: float) -> list[Item]:
        """Give what was held back long enough, and what belongs before that."""
        due = [at_s for at_s, _, came_s, _ in self._held if now_s - came_s >= self.hold_s]
        if not due:
            return []
        until_s = max(due)
        taken = sorted((each for each in self._held if each[0] <= until_s), key=_order)
        self._held = [each for each in self._held if each[0] > until_s]
        return [item for *_, item in taken]

    def take_all(self) -> list[Item]:
        """Give all there is, because it is over or something else is about to be said."""
        taken = [item for *_, item in sorted(self._held, key=_order)]
        self._held = []
        return taken


def _order(held: tuple[float, int, float, object]) -> tuple[float, int]:
    return held[:2]
