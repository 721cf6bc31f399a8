"""Complaints -> faults: named, placed, with the lines that they are about. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence, Set
from dataclasses import replace

from msgspec import Struct

from orchestrator.errors import Fault, Snippet
from orchestrator.playbook.checking import MAX_FAULTS
from orchestrator.playbook.source import Source
from orchestrator.playbook.tree import Also, Complaint, Loc, Mark, Node, path_of, place_of

_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
REDACTED = "***"


class Papers(Struct, frozen=True):
    """What faults are placed with.

    Attributes:
        root: the tree that complaints speak of, None where there is none.
        sources: the files, by the numbers that marks carry.
        secret: the places that hold a secret; faults do not quote what stands there.
    """

    root: Node | None
    sources: Sequence[Source]
    secret: Set[Loc] = frozenset()


def placed(complaints: Iterable[Complaint], papers: Papers) -> list[Fault]:
    """Name and place complaints, in file order, the first `MAX_FAULTS` of them."""
    ordered = sorted(complaints, key=lambda complaint: _mark(complaint, papers.root))
    faults = sorted({_fault(complaint, papers) for complaint in ordered[: MAX_FAULTS + 1]})
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


def _fault(complaint: Complaint, papers: Papers) -> Fault:
    root, mark = papers.root, _mark(complaint, papers.root)
    path = place_of(root, complaint.loc).path if root is not None else path_of(complaint.loc)
    source = papers.sources[mark.file]
    what, fix = complaint.what, complaint.fix
    if any(complaint.loc[:depth] in papers.secret for depth in range(len(complaint.loc) + 1)):
        what, fix = (_QUOTED.sub(f"'{REDACTED}'", text) for text in (what, fix))
    snippets = (source.snippet(mark), *(_also(also, papers) for also in complaint.also))
    return Fault(source.name, mark.line, mark.column, path, what, fix, snippets)


def _also(also: Also, papers: Papers) -> Snippet:
    mark = also.place
    if not isinstance(mark, Mark):
        mark = place_of(papers.root, mark).value if papers.root is not None else Mark(1, 1)
    return papers.sources[mark.file].snippet(mark, also.note)
