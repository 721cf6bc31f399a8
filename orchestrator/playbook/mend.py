"""Go on after a fault, so that one pass shows every fault of a file. Pure.

What is wrong is left out, what is then missing gets a stand-in, and the rest is checked as if
the file were right. Nothing that is made here ever leaves the loader.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from msgspec import Struct, field

from orchestrator.playbook.tree import Key, Loc

_STAND_IN: dict[str, object] = {
    "version": 1,
    "name": "unnamed",
    "image": {"tag": "unnamed"},
    "ranks": {"nodes": 1, "command": ("unnamed",)},
}

# Mappings of names to text.
_NAMES: tuple[Loc, ...] = (("env",), ("args",))

# Places to cut, as a tree; None means "cut here".
_Cuts: TypeAlias = "dict[Key, _Cuts | None]"


class Mended(Struct):
    """Data without its faulty parts.

    Attributes:
        data: what is left, stand-ins included.
        kept: for each list that lost items, by its place in `data`: the old indices.
    """

    data: object = None
    kept: dict[Loc, tuple[int, ...]] = field(default_factory=dict)

    def original(self, loc: Loc) -> Loc:
        """Translate a place in `data` to the place in the file."""
        steps = list(loc)
        for depth, part in enumerate(loc):
            old = self.kept.get(loc[:depth])
            if old is not None and isinstance(part, int):
                steps[depth] = old[part]
        return tuple(steps)


def has_stand_in(loc: Loc) -> bool:
    """True when the required keys of the mapping at `loc` have stand-ins."""
    return loc in ((), ("image",), ("ranks",)) or _is_mount(loc)


def _is_mount(loc: Loc) -> bool:
    return len(loc) > 2 and loc[0] == "ranks" and loc[-2] == "mounts"


def mend(data: object, faulty: Iterable[Loc]) -> Mended:
    """Leave out what is faulty.

    Args:
        data: the file as dictionaries, tuples and scalars; a dictionary at the root.
        faulty: the places to leave out, none of them the root.
    """
    mended = Mended()
    mended.data = _with_stand_ins(_without(data, (), _cuts(faulty), mended), _STAND_IN)
    return mended


def _cuts(faulty: Iterable[Loc]) -> _Cuts:
    root: _Cuts = {}
    # Longer ones first: a cut of the whole replaces the cuts of its parts.
    for loc in sorted(faulty, key=len, reverse=True):
        cuts = root
        for part in loc[:-1]:
            below = cuts.get(part)
            if below is None:
                below = cuts[part] = {}
            cuts = below
        cuts[loc[-1]] = None
    return root


def _without(value: object, at: Loc, cuts: _Cuts, mended: Mended) -> object:
    if isinstance(value, dict):
        rest = _mapping_without(value, at, cuts, mended)
        return {**_mount_stand_in(at), **rest} if _is_mount(at) else rest
    if isinstance(value, tuple):
        kept = tuple(index for index in range(len(value)) if cuts.get(index, {}) is not None)
        if len(kept) < len(value):
            mended.kept[at] = kept
        return tuple(
            _without(value[old], (*at, new), cuts.get(old) or {}, mended)
            for new, old in enumerate(kept)
        )
    return value


def _mount_stand_in(at: Loc) -> dict[Key, object]:
    return {"source": ".", "target": f"/unnamed/{at[-1]}"}


def _mapping_without(
    value: dict[Key, object], at: Loc, cuts: _Cuts, mended: Mended
) -> dict[Key, object]:
    rest: dict[Key, object] = {}
    for key, item in value.items():
        if cuts.get(key, {}) is not None:
            rest[key] = _without(item, (*at, key), cuts.get(key) or {}, mended)
        elif at[-1:] in _NAMES and isinstance(key, str):
            rest[key] = ""  # the name may have a fault of its own
    return rest


def _with_stand_ins(value: object, stand_in: object) -> object:
    if not isinstance(value, dict) or not isinstance(stand_in, dict):
        return value
    below = {key: _with_stand_ins(value.get(key, item), item) for key, item in stand_in.items()}
    return {**value, **below}
