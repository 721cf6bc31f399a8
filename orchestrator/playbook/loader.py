"""File -> Playbook, or every fault of the file with its line and column."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Set
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.errors import Fault, InvalidPlaybook
from orchestrator.playbook.language import AS_WRITTEN
from orchestrator.playbook.mend import Mended, has_stand_in, mend
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.rules import RULES, Site
from orchestrator.playbook.rules.text import templates_in
from orchestrator.playbook.source import decode, read, refused, shown
from orchestrator.playbook.tree import (
    Complaint,
    Loc,
    Mapping,
    Mark,
    Node,
    path_of,
    place_of,
    plain,
    unusable_locs,
)
from orchestrator.playbook.wording import complaint_of
from orchestrator.playbook.yaml import compose

MAX_FAULTS = 500
# A fault left out can leave at most its parent faulty, and so on up to a section.
_MAX_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class LoadedPlaybook:
    """A playbook that holds, and where it came from.

    Attributes:
        playbook: the models.
        path: the file, absolute; its folder without links.
        digest: `sha256:` and the hexadecimal digest of the file's bytes.
        folder: what relative paths in the playbook are relative to; absolute, without links.
    """

    playbook: Playbook
    path: Path
    digest: str
    folder: Path


def load(path: Path) -> LoadedPlaybook:
    """Load a playbook and check it against this machine.

    Args:
        path: the file, absolute or relative to the working folder. Faults name it as given.

    Raises:
        InvalidPlaybook: with every fault of the file.
    """
    return load_text(read(path, str(path)), name=str(path), folder=path.parent)


def load_text(text: bytes, *, name: str, folder: Path) -> LoadedPlaybook:
    """Load a playbook from memory and check it against this machine.

    Args:
        text: the bytes of the file.
        name: what faults call it; its last part names the file in `folder`.
        folder: what relative paths in the playbook are relative to.

    Raises:
        InvalidPlaybook: with every fault of the text.
    """
    home = _without_links(folder, name)
    document = compose(decode(text, name))
    complaints = list(document.complaints)
    playbook = None
    if document.root is not None:
        playbook = _check(document.root, Site.here(home), complaints)
    if complaints or playbook is None:
        raise InvalidPlaybook(_faults(complaints, document.root, shown(name)))
    digest = f"sha256:{hashlib.sha256(text).hexdigest()}"
    return LoadedPlaybook(playbook, home / Path(name).name, digest, home)


def _without_links(folder: Path, name: str) -> Path:
    try:
        return Path(os.path.realpath(folder))
    except (OSError, ValueError) as exc:  # the working folder is gone; a NUL in the path
        raise refused(name, "its folder cannot be found", "use an absolute path") from exc


def _check(root: Node, site: Site, complaints: list[Complaint]) -> Playbook | None:
    """Check the tree, adding to `complaints`; None where there is nothing to go on with."""
    data = plain(root)
    unusable = frozenset(unusable_locs(root))
    playbook, errors = _validate(data)
    errors = [error for error in errors if not _is_below(error["loc"], unusable)]
    complaints += [complaint_of(error, root) for error in _first(errors, root)]
    complaints += templates_in(root)
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
                yield replace(complaint, loc=loc)


def _faults(complaints: list[Complaint], root: Node | None, name: str) -> list[Fault]:
    """Name and place the complaints, in file order, the first `MAX_FAULTS` of them."""
    ordered = sorted(complaints, key=lambda complaint: _mark(complaint, root))
    faults = sorted({_fault(complaint, root, name) for complaint in ordered[: MAX_FAULTS + 1]})
    if len(faults) <= MAX_FAULTS:
        return faults
    last = faults[MAX_FAULTS]
    more = replace(last, path="", what="there are more faults from here on", fix="mend these first")
    return [*faults[:MAX_FAULTS], more]


def _mark(complaint: Complaint, root: Node | None) -> Mark:
    if complaint.mark or root is None:
        return complaint.mark or Mark(1, 1)
    place = place_of(root, complaint.loc)
    return place.key if complaint.at == "key" else place.value


def _fault(complaint: Complaint, root: Node | None, name: str) -> Fault:
    mark = _mark(complaint, root)
    path = place_of(root, complaint.loc).path if root is not None else path_of(complaint.loc)
    return Fault(name, mark.line, mark.column, path, complaint.what, complaint.fix)
