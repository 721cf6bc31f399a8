"""What libyaml reads although YAML 1.2 forbids it, where a person meant something else. Pure.

It takes `?x` in brackets for an empty key's mark and x, `&a:b` for an anchor and `:b`, and a
`#` that nothing separates from what stands before it for a comment: text that would be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice, pairwise

from yaml.events import Event, ScalarEvent

from orchestrator.playbook.tree import Complaint, Loc, Mark, mark_after, printable

# More of one kind are a file that is no YAML at all.
_MOST = 20

_BLANK = " \t\r\n"
_AFTER_ANCHOR = frozenset(_BLANK + ",[]{}")
_COMMENT = re.compile(r"#[^\r\n]*")
_BLOCK_HEADER = re.compile(r"[|>][-+0-9]*#")

_QUOTE = "quote the text, or put a space where one is missing"


def span_of(event: Event) -> tuple[int, int]:
    """Give the beginning and the end of an event's text, as indices into the file."""
    start, end = event.start_mark, event.end_mark
    return (start.index, end.index) if start and end else (0, 0)


def lapses_at(event: Event, loc: Loc, mark: Mark, text: str) -> Iterator[Complaint]:
    """Find what is wrong with how one node is written.

    Args:
        event: the start of the node.
        loc: where the node is in the document.
        mark: where it is in the file.
        text: the whole file.
    """
    begin, _ = span_of(event)
    anchor = getattr(event, "anchor", None)
    if anchor and text[begin] in "&*":
        end = begin + 1 + len(anchor)
        after = text[end : end + 1]
        if after and after not in _AFTER_ANCHOR:
            name = printable(text[begin] + anchor)
            what = f"{after} right behind the name {name}"
            yield Complaint(loc, what, "use letters, digits, _ and - in such names", mark=mark)
    if isinstance(event, ScalarEvent) and begin and text[begin - 1] == "?":
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
