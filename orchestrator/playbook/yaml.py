"""YAML text -> tree with places: bounded, YAML 1.2 core schema, all faults at once.

Works on the parser's events, never on its composer: libyaml's composer overruns the stack at
100,000 brackets, PyYAML's raises RecursionError at 1,000, and neither sees a duplicate key.
"""

from __future__ import annotations

from collections.abc import Iterator

import yaml
from msgspec import Struct
from msgspec.structs import replace
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from orchestrator.playbook.bare import (
    begins_with_braces,
    braces_end,
    line_of,
    quoting,
    start_of,
)
from orchestrator.playbook.lapses import glued_comments, lapses_at, span_of
from orchestrator.playbook.scalars import resolve
from orchestrator.playbook.syntax import syntax_complaint
from orchestrator.playbook.tree import (
    UNUSABLE,
    Also,
    Complaint,
    Entry,
    Key,
    Loc,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    Value,
    mark_after,
    printable,
)

MAX_DEPTH = 50
MAX_ALIASED = 10_000

KEY_TEMPLATE = ("a key cannot be a template", "write the key itself; templates belong in values")
_TO_THE_END = 1_000_000

# The C parser is about ten times quicker; wheels of PyYAML have it, other builds may not.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Document(Struct, frozen=True):
    """What a text holds: a tree, or None where it cannot be read to its end; and its faults."""

    root: Node | None
    complaints: tuple[Complaint, ...]


class _UnreadableError(Exception):
    """The text cannot be read any further."""

    def __init__(self, complaint: Complaint) -> None:
        super().__init__(complaint.what)
        self.complaint = complaint


def compose(text: str, file: int = 0) -> Document:
    """Read one YAML document.

    Args:
        text: it holds none of the characters that YAML forbids.
        file: the number that its marks carry.
    """
    # Without its last line break libyaml drops the one at the end of a block scalar.
    whole = text if text.endswith(("\n", "\r")) else f"{text}\n"
    composer = _Composer(whole, replace(mark_after(text), file=file))
    try:
        root = composer.document()
    except _UnreadableError as exc:
        last = exc.complaint
        # Where the text ends too early, libyaml may point at a line that is not there.
        last = replace(last, mark=min(last.mark or composer.end, composer.end))
        return Document(None, (*composer.complaints, last))
    return Document(root, tuple(composer.complaints))


def _events(text: str, file: int) -> Iterator[Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as exc:
        complaint = syntax_complaint(exc, text, file)
        if (exc.problem or "").startswith("exceeded maximum nesting depth"):
            # Newer libyaml looks ahead, and refuses 1,000 brackets before it tells of the first.
            complaint = _too_deep(complaint.mark)
        raise _UnreadableError(complaint) from exc
    except (yaml.YAMLError, ValueError, OverflowError) as exc:
        # The Python parser lets chr() of an escape such as "\UFFFFFFFF" fail as it likes.
        raise _UnreadableError(Complaint((), "not valid YAML", mark=Mark(1, 1, file))) from exc


def _too_deep(mark: Mark | None) -> Complaint:
    return Complaint((), f"nested deeper than {MAX_DEPTH} levels", "flatten it", mark=mark)


class _Composer:
    """One pass over the events of one document.

    Args:
        text: ends in a line break, which the file's own text may lack.
        end: where the file's own text ends; no mark lies behind it.
    """

    def __init__(self, text: str, end: Mark) -> None:
        self.complaints: list[Complaint] = []
        self.end = end
        self._text = text
        self._file = end.file
        self._events = _events(text, end.file)
        self._scalars: list[tuple[int, int]] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._num_nodes = 0
        self._num_aliased = 0

    def document(self) -> Node | None:
        """Read the stream: its one document, and nothing after it."""
        next(self._events)  # the start of the stream
        start = next(self._events)
        if not isinstance(start, DocumentStartEvent):
            what, mark = "the file is empty", Mark(1, 1, self._file)
            raise _UnreadableError(Complaint((), what, "write a playbook into it", mark=mark))
        if start.tags or start.version not in (None, (1, 2)):
            self._complain((), start, "YAML directives are not supported", "remove the line")
        root = self._node(next(self._events), (), 0)
        next(self._events)  # the end of the document
        extra = next(self._events)
        if isinstance(extra, DocumentStartEvent):
            self._complain((), extra, "a second document begins here", "keep one per file")
        else:
            glued = glued_comments(self._text, self._scalars)
            self.complaints += [replace(each, mark=self._here(each.mark)) for each in glued]
        return root

    def _here(self, mark: Mark | None) -> Mark | None:
        return replace(mark, file=self._file) if mark else None

    def _mark(self, event: Event) -> Mark:
        line, column = start_of(event)
        end = event.end_mark
        width = max(1, end.column - column) if end and end.line == line else _TO_THE_END
        # The value that a last line leaves out begins on the next one, which may not be there.
        return min(Mark(line + 1, column + 1, self._file, width), self.end)

    def _complain(self, loc: Loc, event: Event, what: str, fix: str) -> None:
        self.complaints.append(Complaint(loc, what, fix, mark=self._mark(event)))

    def _node(self, event: Event, loc: Loc, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise _UnreadableError(_too_deep(self._mark(event)))
        self.complaints += lapses_at(event, loc, self._mark(event), self._text)
        if isinstance(event, AliasEvent):
            return self._alias(event, loc)
        # The new anchor hides an older one of its name, also from aliases inside the node.
        anchor = getattr(event, "anchor", None)
        self._anchors.pop(anchor or "", None)
        before = self._num_nodes
        node = self._content(event, loc, depth)
        self._num_nodes += 1
        if anchor:
            self._anchors[anchor] = (node, self._num_nodes - before)
        return node

    def _content(self, event: Event, loc: Loc, depth: int) -> Node:
        tag = getattr(event, "tag", None)
        if tag is not None:
            name = tag.replace("tag:yaml.org,2002:", "!!")
            what = f"YAML tags such as {printable(name)} are not supported"
            self._complain(loc, event, what, "remove the tag; quote a value to make it text")
        match event:
            case SequenceStartEvent():
                return self._sequence(event, loc, depth)
            case MappingStartEvent():
                return self._mapping(event, loc, depth)
            case _:
                return self._scalar(event, loc, tagged=tag is not None)

    def _scalar(self, event: Event, loc: Loc, *, tagged: bool) -> Scalar:
        text: str = getattr(event, "value", "")
        self._scalars.append(span_of(event))
        quoted = bool(getattr(event, "style", None))
        value: Value = text
        try:
            refuse_characters(text)
            value = text if quoted else resolve(text)
        except ValueError as exc:
            self._complain(loc, event, f"{printable(text)} is {exc}", _scalar_fix(text))
            value = UNUSABLE
        return Scalar(UNUSABLE if tagged else value, text, quoted, self._mark(event))

    def _sequence(self, start: SequenceStartEvent, loc: Loc, depth: int) -> Sequence:
        items: list[Node] = []
        while not isinstance(event := next(self._events), CollectionEndEvent):
            items.append(self._node(event, (*loc, len(items)), depth + 1))
        return Sequence(tuple(items), self._mark(start))

    def _mapping(self, start: MappingStartEvent, loc: Loc, depth: int) -> Mapping | Scalar:
        entries: dict[Key, Entry] = {}
        num_complaints, is_template = len(self.complaints), False
        while not isinstance(event := next(self._events), CollectionEndEvent):
            is_template = is_template or begins_with_braces(start, event)
            key = self._key(event, loc, depth)
            mark = self._mark(event)
            child = loc if key is None else (*loc, key)
            node = self._node(next(self._events), child, depth + 1)
            if key is None:
                continue
            if key in entries:
                self._twice(child, event, entries[key].mark)
            else:
                entries[key] = Entry(mark, node)
        if is_template:
            del self.complaints[num_complaints:]
            return self._unquoted(start, loc)
        return Mapping(entries, self._mark(start))

    def _unquoted(self, start: MappingStartEvent, loc: Loc) -> Scalar:
        at, column = start_of(start)
        line = line_of(self._text, at)
        width = braces_end(line, column) - column
        mark = Mark(at + 1, column + 1, self._file, width)
        what = "without quotes {{ begins a YAML mapping, not a template"
        self.complaints.append(Complaint(loc, what, quoting(line, column), mark=mark))
        return Scalar(UNUSABLE, "", False, mark)

    def _twice(self, loc: Loc, event: Event, first: Mark) -> None:
        what = f"the key is given twice, here and at line {first.line}"
        also = (Also(first, "first given here"),)
        fix = "remove one of the two"
        self.complaints.append(Complaint(loc, what, fix, mark=self._mark(event), also=also))

    def _key(self, event: Event, loc: Loc, depth: int) -> Key | None:
        """Read a key; None, with a complaint, where it is none that a playbook can have."""
        num_complaints = len(self.complaints)
        node = self._node(event, loc, depth + 1)
        if isinstance(event, MappingStartEvent) and isinstance(node, Scalar):
            del self.complaints[num_complaints:]  # it is not quotes that are missing here
            self._complain(loc, event, *KEY_TEMPLATE)
            return None
        if not isinstance(event, ScalarEvent) or not isinstance(node, Scalar):
            self._complain(loc, event, "a key that is not plain text", 'quote it: "…"')
            return None
        if node.text == "<<" and not node.quoted:
            self._complain(loc, event, "merge keys are not supported", "write the keys out")
            return None
        if isinstance(node.value, bool) or not isinstance(node.value, str | int):
            if node.value is not UNUSABLE:
                what = f"the key {printable(node.text)} is not text"
                self._complain(loc, event, what, f'quote it: "{_short(node.text)}"')
            return None
        return node.value

    def _alias(self, event: AliasEvent, loc: Loc) -> Node:
        known = self._anchors.get(event.anchor or "")
        if known is None:
            what = f"alias {printable(f'*{event.anchor}')} names nothing above it"
            self._complain(loc, event, what, "define it before, or quote text that begins with *")
            return Scalar(UNUSABLE, "", False, self._mark(event))
        node, size = known
        self._num_nodes += size
        self._num_aliased += size
        if self._num_aliased > MAX_ALIASED:
            what = f"aliases expand to more than {MAX_ALIASED} values"
            raise _UnreadableError(
                Complaint((), what, "write the values out", mark=self._mark(event))
            )
        return node


def refuse_characters(text: str) -> None:
    """Refuse text that no program can be given.

    Raises:
        ValueError: its message says why.
    """
    if "\0" in text:
        raise ValueError("text with a NUL, which no program can be given")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("text with half a character (a lone surrogate)")


def _scalar_fix(text: str) -> str:
    if "\0" in text or not text.isprintable():
        return "remove it"
    return f'quote it if text is meant: "{_short(text)}"'


def _short(text: str) -> str:
    return printable(text)[1:-1]
