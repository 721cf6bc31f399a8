"""Variables from outside of the playbook: `--vars-file FILE` and `-e`, as Ansible has them."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.include import Reading
from orchestrator.playbook.scalars import resolve
from orchestrator.playbook.source import Source, read
from orchestrator.playbook.template import has_template, is_name
from orchestrator.playbook.tree import Complaint, Entry, Loc, Mapping, Mark, Node, Scalar, printable
from orchestrator.playbook.variables import Variable
from orchestrator.playbook.yaml import KEY_TEMPLATE, refuse_characters

EXTRA = "-e"
_NAME_FIX = "use letters, digits and _, the first one no digit, and none of Jinja's own words"
_EXTRA_FIX = "write -e name=value, -e '{name: value}' or -e @file.yaml"
_SPACES_FIX = "quote a value that holds spaces twice: -e 'name=\"a b\"'"


class Given(Struct, frozen=True):
    """What a command line says of variables, as typed.

    Attributes:
        vars_files: files of variables; later ones win.
        extra: arguments of `-e`; later ones win, and all of them over the files.
    """

    vars_files: tuple[Path, ...] = ()
    extra: tuple[str, ...] = ()


NOTHING = Given()


class Chosen(Struct, frozen=True):
    """The playbook of a command line, and the variables that are given to it."""

    path: Path
    given: Given


class GivenVariables(Struct, frozen=True):
    """What was read: variables by name, and which of them `-e` named on the command line."""

    variables: dict[str, Variable]
    named: dict[str, Mark]


def read_given(given: Given, reading: Reading) -> GivenVariables:
    """Read all variables that are given from outside, complaining in `reading`."""
    found = GivenVariables({}, {})
    for path in given.vars_files:
        found.variables.update(_file(path, str(path), reading))
    for argument in given.extra:
        if argument.startswith("@"):
            found.variables.update(_file(Path(argument[1:]), argument[1:] or argument, reading))
            continue
        variables = dict(_argument(argument, reading))
        found.variables.update(variables)
        found.named.update({name: of.node.mark for name, of in variables.items()})
    return found


def _file(path: Path, name: str, reading: Reading) -> dict[str, Variable]:
    try:
        source = Source.of(read(path, name), name, path.parent)
    except InvalidPlaybook as exc:
        reading.faults += exc.faults
        return {}
    root = reading.tree(source)
    return dict(variables_in(root, (), reading)) if root is not None else {}


def variables_in(
    node: Node, loc: Loc, reading: Reading, *, is_data: bool = False
) -> Iterator[tuple[str, Variable]]:
    """List the variables of a mapping, complaining about what is none.

    Args:
        node: the mapping.
        loc: its path, `("vars",)` in a playbook.
        reading: where complaints are kept.
        is_data: whether templates in it are text.
    """
    if not isinstance(node, Mapping):
        # A file of variables may have none; a section of a playbook is left out then.
        if loc or not (isinstance(node, Scalar) and node.value is None):
            what = "expected a mapping of variables"
            complaint = Complaint(loc, what, "write each as name: value", mark=node.mark)
            reading.complaints.append(complaint)
        return
    for key, entry in node.entries.items():
        at = (*loc, key)
        if isinstance(key, str) and is_name(key):
            yield key, Variable(entry.node, at, is_data)
            continue
        is_template = isinstance(key, str) and has_template(key)
        words = (f"{printable(str(key))} is not the name of a variable", _NAME_FIX)
        what, fix = KEY_TEMPLATE if is_template else words
        reading.complaints.append(Complaint(at, what, fix, at="key", mark=entry.mark))


def _argument(argument: str, reading: Reading) -> Iterator[tuple[str, Variable]]:
    """Read one argument of -e: a mapping in braces, or words `name=value`."""
    try:
        source = Source.of(argument.encode("utf-8", "surrogateescape"), EXTRA, Path())
    except InvalidPlaybook as exc:
        reading.faults += exc.faults
        return
    if argument.lstrip()[:1] in ("{", "["):
        root = reading.tree(source)
        if root is not None:
            yield from variables_in(root, (), reading, is_data=True)
        return
    reading.sources.append(source)
    mark = Mark(1, 1, len(reading.sources) - 1, width=len(argument) or 1)
    try:
        words = shlex.split(argument)
    except ValueError as exc:
        what = f"quotes that do not end: {str(exc).rstrip('.').lower()}"
        reading.complaints.append(Complaint((), what, "quote it for the shell once", mark=mark))
        return
    if not words:
        reading.complaints.append(Complaint((), "empty", _EXTRA_FIX, mark=mark))
    entries: dict[str | int, Entry] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if equals:
            entries[name] = Entry(mark, _typed(text, mark))
        else:
            what = f"{printable(word)} is not name=value"
            fix = _SPACES_FIX if entries else _EXTRA_FIX
            reading.complaints.append(Complaint((), what, fix, mark=mark))
    yield from variables_in(Mapping(entries, mark), (), reading, is_data=True)


def _typed(text: str, mark: Mark) -> Scalar:
    """Read a value the way unquoted YAML is read; what that refuses is text: 0755, .inf."""
    try:
        refuse_characters(text)
        return Scalar(resolve(text) if text else "", text, False, mark)
    except ValueError:
        return Scalar(text, text, False, mark)
