"""Checks a tree: by the models, then by the rules, and goes on after each fault."""

from __future__ import annotations

from collections.abc import Iterator, Set

from msgspec.structs import replace
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.playbook.language import AS_WRITTEN
from orchestrator.playbook.mend import Mended, has_stand_in, mend
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.render import as_text
from orchestrator.playbook.rules import RULES, Site
from orchestrator.playbook.tree import (
    Complaint,
    Loc,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    place_of,
    plain,
    unusable_locs,
)

MAX_FAULTS = 500
# A fault left out can leave at most its parent faulty, and so on up to a section.
_MAX_ROUNDS = 8


def check(
    root: Node, site: Site, complaints: list[Complaint], templated: Set[Loc] = frozenset()
) -> Playbook | None:
    """Check a tree.

    Args:
        root: the document, its templates filled.
        site: the machine.
        complaints: what is wrong is added here.
        templated: the places that templates filled.

    Returns:
        The playbook; where there were complaints one that is good for nothing, or None.
    """
    data = plain(root)
    unusable = frozenset(unusable_locs(root))
    playbook, errors = _validate(data)
    if texts := _texts_wanted(errors, root, templated):
        root = as_text(root, texts)
        data = plain(root)
        playbook, errors = _validate(data)
    errors = [
        error
        for error in errors
        if not (_is_below(error["loc"], unusable) or _is_long_enough(error, root))
    ]
    complaints += _worded(_first(errors, root), root)
    mended = Mended(data)
    if playbook is None and isinstance(root, Mapping):
        playbook, mended = _go_on(data, {*unusable, *map(_cut, errors)})
    if playbook is not None:
        gone = unusable.union(error["loc"] for error in errors)
        complaints += _broken_rules(playbook, site, mended, gone)
    return playbook


def _validate(data: object) -> tuple[Playbook | None, list[ErrorDetails]]:
    try:
        playbook = Playbook.model_validate(data, by_alias=True, by_name=False, context=AS_WRITTEN)
    except ValidationError as exc:
        return None, exc.errors(include_url=False)
    return playbook, []


def _texts_wanted(errors: list[ErrorDetails], root: Node, templated: Set[Loc]) -> frozenset[Loc]:
    """Find where a template gave a number and the language asks for text."""
    locs = (error["loc"] for error in errors if error["type"] == "string_type")
    return frozenset(
        loc for loc in locs if _is_below(loc, templated) and _is_number(place_of(root, loc).node)
    )


def _is_long_enough(error: ErrorDetails, root: Node) -> bool:
    """True for a list that is too short only without its faulty items, as pydantic counts."""
    if error["type"] != "too_short":
        return False
    node = place_of(root, error["loc"]).node
    return isinstance(node, Sequence) and len(node.items) >= error["ctx"]["min_length"]


def _is_number(node: Node | None) -> bool:
    return isinstance(node, Scalar) and isinstance(node.value, int | float)


def _is_below(loc: Loc, tops: Set[Loc]) -> bool:
    return any(loc[:depth] in tops for depth in range(len(loc) + 1))


def _first(errors: list[ErrorDetails], root: Node) -> list[ErrorDetails]:
    # Wording a fault costs time, and a hostile file has a hundred thousand of them.
    return sorted(errors, key=lambda error: place_of(root, error["loc"]).value)[: MAX_FAULTS + 1]


def _go_on(data: object, faulty: set[Loc]) -> tuple[Playbook | None, Mended]:
    """Leave out what is faulty until the rest is a playbook."""
    mended = Mended()
    for _ in range(_MAX_ROUNDS):
        mended = mend(data, faulty)
        playbook, errors = _validate(mended.data)
        if playbook is not None:
            return playbook, mended
        faulty |= {mended.original(_cut(error)) for error in errors}
    return None, mended


def _worded(errors: list[ErrorDetails], root: Node) -> list[Complaint]:
    if not errors:
        return []
    from orchestrator.playbook.wording import complaint_of  # only faults need words

    return [complaint_of(error, root) for error in errors]


def _cut(error: ErrorDetails) -> Loc:
    loc = error["loc"]
    if loc[-1:] == ("[key]",):
        return loc[:-1]
    if error["type"] == "missing" and not has_stand_in(loc[:-1]):
        return loc[:-1]
    return loc


def _broken_rules(
    playbook: Playbook, site: Site, mended: Mended, gone: Set[Loc]
) -> Iterator[Complaint]:
    for rule in RULES:
        if any(_is_below(loc, gone) for loc in rule.reads):
            continue
        for complaint in rule.check(playbook, site):
            loc = mended.original(complaint.loc)
            # Of a stand-in only the key is the user's.
            if complaint.at == "key" or not _is_below(loc, gone):
                also = tuple(
                    replace(each, place=_original(each.place, mended)) for each in complaint.also
                )
                yield replace(complaint, loc=loc, also=also)


def _original(place: Mark | Loc, mended: Mended) -> Mark | Loc:
    return place if isinstance(place, Mark) else mended.original(place)
