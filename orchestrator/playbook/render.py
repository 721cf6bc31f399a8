"""Puts values where templates are: tree in, tree out, every fault at its template."""

from __future__ import annotations

from collections.abc import Set

from msgspec import Struct, field
from msgspec.structs import replace

from orchestrator.playbook.source import Source
from orchestrator.playbook.template import TemplateError, has_template
from orchestrator.playbook.tree import (
    UNUSABLE,
    Complaint,
    Entry,
    Key,
    Loc,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
)
from orchestrator.playbook.values import node_of
from orchestrator.playbook.variables import Scope
from orchestrator.playbook.yaml import KEY_TEMPLATE

_MAX_LINES = 200  # of a block of text that are searched for the template


class Renderer(Struct):
    """Works through a tree, and keeps what it finds.

    Attributes:
        scope: the variables.
        sources: the files, for the place of a template inside of a text.
        complaints: what is wrong.
        templated: the places of values that templates gave.
        secret: those that hold a secret of the environment.
    """

    scope: Scope
    sources: list[Source]
    complaints: list[Complaint] = field(default_factory=list)
    templated: set[Loc] = field(default_factory=set)
    secret: set[Loc] = field(default_factory=set)

    def render(self, node: Node, loc: Loc = ()) -> Node:
        """Replace the templates of a tree; one that has no value leaves a value that is none."""
        match node:
            case Scalar(value=str() as text) if has_template(text):
                return self._rendered(node, text, loc)
            case Scalar():
                return node
            case Sequence(items=items):
                below = tuple(self.render(item, (*loc, at)) for at, item in enumerate(items))
                return Sequence(below, node.mark)
            case Mapping():
                return Mapping(self._entries(node, loc), node.mark)

    def check_variables(self) -> None:
        """Complain about templates that are none, in variables that nobody may have asked for."""
        for variable in self.scope.variables.values():
            if not variable.is_data:
                self._check(variable.node, variable.loc)

    def _entries(self, node: Mapping, loc: Loc) -> dict[Key, Entry]:
        entries: dict[Key, Entry] = {}
        for key, entry in node.entries.items():
            if isinstance(key, str) and has_template(key):
                complaint = Complaint((*loc, key), *KEY_TEMPLATE, at="key", mark=entry.mark)
                self.complaints.append(complaint)
            else:
                entries[key] = Entry(entry.mark, self.render(entry.node, (*loc, key)))
        return entries

    def _rendered(self, node: Scalar, text: str, loc: Loc) -> Node:
        try:
            rendered = self.scope.render(text)
            made = node_of(rendered.value, node.mark, text)
        except TemplateError as exc:
            self._complain(exc, node, loc)
            return Scalar(UNUSABLE, text, True, node.mark)
        self.templated.add(loc)
        if rendered.secret:
            self.secret.add(loc)
        return made

    def _check(self, node: Node, loc: Loc) -> None:
        match node:
            case Scalar(value=str() as text) if has_template(text):
                try:
                    self.scope.check(text)
                except TemplateError as exc:
                    self._complain(exc, node, loc)
            case Sequence(items=items):
                for item in items:
                    self._check(item, loc)
            case Mapping(entries=entries):
                for entry in entries.values():
                    self._check(entry.node, loc)
            case _:
                pass

    def _complain(self, error: TemplateError, node: Scalar, loc: Loc) -> None:
        if not error.what:
            return
        mark = error.mark or node.mark
        place = self.place(mark, error.template)
        at = error.loc if error.mark else loc
        self.complaints.append(Complaint(at, error.what, error.fix, mark=place))

    def place(self, mark: Mark, template: str) -> Mark:
        """Find a template in the text that begins at a mark; that mark where it is written else."""
        lines = self.sources[mark.file].lines[mark.line - 1 : mark.line - 1 + _MAX_LINES]
        for number, line in enumerate(lines if template else ()):
            start = line.find(template, mark.column - 1 if number == 0 else 0)
            if start >= 0:
                width = len(template)
                return replace(mark, line=mark.line + number, column=start + 1, width=width)
        return mark


def as_text(node: Node, locs: Set[Loc], loc: Loc = ()) -> Node:
    """Make text of the numbers and booleans at some places, as they were written."""
    match node:
        case Scalar():
            return replace(node, value=node.text, quoted=True) if loc in locs else node
        case Sequence(items=items):
            below = tuple(as_text(item, locs, (*loc, at)) for at, item in enumerate(items))
            return Sequence(below, node.mark)
        case Mapping(entries=entries):
            kept = {
                key: Entry(of.mark, as_text(of.node, locs, (*loc, key)))
                for key, of in entries.items()
            }
            return Mapping(kept, node.mark)
