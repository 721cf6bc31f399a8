"""What libyaml reads although YAML 1.2 forbids it, where a person meant something else. Pure.

It takes `?x` in brackets for an empty key's mark and x, `&a:b` for an anchor and `:b`, and a
`#` that nothing separates from what stands before it for a comment: text that would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

from yaml.events import Event, ScalarEvent

from orchestrator.playbook.tree import Complaint, Loc, Mark, mark_after

# More of one kind are a file that is no YAML at all.
_MOST = 20

_BLANK = " \t\r\n"
_AFTER_ANCHOR = frozenset(_BLANK + ",[]{}")
_COMMENT = re.compile(r"#[^\r\n]*")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*#")

_QUOTE = "quote the text, or put a space where one is missing"


def lapses_at(event: Event, loc: Loc, text: str) -> Iterator[Complaint]:
    """Find what is wrong with how one node is written.

    Args:
        event: the start of the node; its marks count characters of `text`.
        loc: where the node is in the document.
        text: the whole file.
    """
    start = event.start_mark
    mark = Mark(start.line + 1, start.column + 1)
    anchor = getattr(event, "anchor", None)
    if anchor and text[start.index] in "&*":
        end = start.index + 1 + len(anchor)
        after = text[end : end + 1]
        if after and after not in _AFTER_ANCHOR:
            what = f"{after} right behind the name {text[start.index]}{anchor}"
            yield Complaint(loc, what, "use letters, digits, _ and - in such names", mark=mark)
    if isinstance(event, ScalarEvent) and start.index and text[start.index - 1] == "?":
        yield Complaint(loc, "? right before text", _QUOTE, mark=mark)


def glued_comments(text: str, scalars: Iterable[tuple[int, int]]) -> Iterator[Complaint]:
    """Find comments that no blank separates from what stands before them.

    Args:
        text: the whole file.
        scalars: where the scalars begin and end, as indices into `text`, in file order.
    """
    for index in islice(_glued(text, scalars), _MOST):
        mark = mark_after(text[:index])
        yield Complaint((), "# right behind something is no comment", _QUOTE, mark=mark)


def _glued(text: str, scalars: Iterable[tuple[int, int]]) -> Iterator[int]:
    for (begin, end), (following, _) in pairwise(((0, 0), *scalars, (len(text), 0))):
        if header := _BLOCK_HEADER.match(text, begin, end):
            yield header.end() - 1
        for comment in _COMMENT.finditer(text, end, following):
            at = comment.start()
            if at and text[at - 1] not in _BLANK:
                yield at
