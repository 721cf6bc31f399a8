"""What pydantic found, in words: what is wrong and how to mend it. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias, get_args

from msgspec import Struct
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from orchestrator.playbook.fields import nearest, section_at, yaml_fields
from orchestrator.playbook.flow import flow
from orchestrator.playbook.health import CHECK_KINDS
from orchestrator.playbook.hints import hint
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.preamble import Preamble
from orchestrator.playbook.tree import (
    Complaint,
    Loc,
    Mapping,
    Node,
    Scalar,
    Sequence,
    place_of,
    printable,
)
from orchestrator.playbook.units import format_size

Words: TypeAlias = tuple[str, str]

# What the language will have and this release has not: told apart from what is a mistake.
_PLANNED_KEYS = frozenset((("faults",),))
_GRAMMARS: dict[Loc, Words] = {
    ("name",): (
        "a name",
        "use lower-case letters, digits and -, at most 40, the first one not -",
    ),
    ("image", "tag"): ("the name of an image", "write it like qwen-fsdp:local"),
    ("gpu", "daemon_image"): ("the name of an image", "write it like ubuntu:24.04"),
    ("ranks", "secrets", "name"): (
        "the name of a secret",
        "use letters, digits, _ . and -, at most 63, the first one not . or -",
    ),
    ("ranks", "secrets", "env"): (
        "the name of a variable",
        "use letters, digits and _, the first one no digit",
    ),
    ("network", "name"): (
        "the name of a network",
        "use letters, digits, _ . and -, at most 63, the first one a letter or a digit",
    ),
    ("health_checks", "consistent", "except"): (
        "the name of a variable or a pattern of them",
        "use letters, digits, _ * and ?, the first one no digit",
    ),
    ("health_checks", "http", "path"): (
        "the path of a page",
        "begin with / and use no spaces, such as /health",
    ),
}
_FORMS = {
    "duration": ("a duration", "write it like 60s, 5m, 1h, 500ms or 1m30s"),
    "size": ("a size", "write it like 2GiB, 512MiB, 1.5GiB or a number of bytes"),
    "gpu": (
        "a GPU",
        "write its index or its UUID, such as 0 or GPU-8932f937-…; `nvidia-smi -L` lists both",
    ),
    "secret": ("a secret", "write its name, or {name: …, file: …}"),
    "user": ("a user", "write a uid, uid:gid, or a name that the image knows"),
    "version": ("a version that this release reads", "write 1"),
}
_EXPECTED = {
    "string_type": ("text", "write text"),
    "int_type": ("a whole number", "write digits only"),
    "float_type": ("a number", "write a number such as 0.5"),
    "bool_type": ("true or false", "write true or false"),
    "model_type": ("a mapping", "write keys and values, each key on a line of its own"),
    "dict_type": ("a mapping", "write keys and values, each key on a line of its own"),
    "tuple_type": ("a list", "write [first, second], or one item a line after a dash"),
}
_ABOUT_KEYS = ("extra_forbidden", "invalid_key")


class Finding(Struct, frozen=True):
    """One error of pydantic's, with the part of the document that it is about.

    Attributes:
        kind: pydantic's name of the error.
        loc: the place.
        node: what stands there, None where it is missing.
        context: the error's own values, by pydantic's names.
        message: pydantic's words.
    """

    kind: str
    loc: Loc
    node: Node | None
    context: dict[str, Any]
    message: str


def complaint_of(error: ErrorDetails, root: Node) -> Complaint:
    """Put one error of pydantic's into words and find its place.

    Args:
        error: as in `ValidationError.errors()`.
        root: the document that was validated.
    """
    loc = error["loc"]
    kind = error["type"]
    if loc and loc[-1] == "[key]":
        return _key_complaint(loc[:-1])
    finding = Finding(kind, loc, place_of(root, loc).node, error.get("ctx", {}), error["msg"])
    what, fix = _WORDS.get(kind, _in_general)(finding)
    return Complaint(loc, what, fix, at="key" if kind in _ABOUT_KEYS else "value")


def _key_complaint(loc: Loc) -> Complaint:
    # Pydantic gives the key as it is; that of a node rank is a number, all others are text.
    if isinstance(loc[-1], int):
        what, fix = f"the key {loc[-1]} is a number, not text", f'quote it: "{loc[-1]}"'
    else:
        what, fix = f"the key {printable(loc[-1])} is not a node rank", "write a number, unquoted"
    return Complaint(loc, what, fix, at="key")


def found(node: Node | None) -> str:
    """Say what stands at a place: `the text 'yes'`, `the number 3.10`, `a list`, `nothing`."""
    match node:
        case Mapping():
            return "a mapping"
        case Sequence():
            return "a list"
        case Scalar(value=bool()):
            return node.text
        case Scalar(value=int() | float()):
            return f"the number {node.text}"
        case Scalar(value=str()):
            return f"the text {printable(node.text)}"
        case _:
            return "nothing"


def _expected(finding: Finding) -> Words:
    expected, fix = _EXPECTED[finding.kind]
    fix = hint(finding.kind, finding.loc, finding.node) or fix
    return f"expected {expected}, found {found(finding.node)}", fix


def _unknown_key(finding: Finding) -> Words:
    if tuple(part for part in finding.loc if isinstance(part, str)) in _PLANNED_KEYS:
        return "planned, not in this release", "remove it"
    section = section_at(finding.loc[:-1]) or Playbook
    known = sorted([*yaml_fields(section), *(yaml_fields(Preamble) if section is Playbook else ())])
    guess = nearest(str(finding.loc[-1]), known)
    return "unknown key", f"did you mean {guess}?" if guess else f"known: {', '.join(known)}"


def _missing(finding: Finding) -> Words:
    examples = _field(finding.loc).examples or ["…"]
    return "missing", f"add {finding.loc[-1]}: {flow(examples[0])}"


def _field(loc: Loc) -> FieldInfo:
    return yaml_fields(section_at(loc[:-1]) or Playbook)[str(loc[-1])]


def _choice(finding: Finding) -> Words:
    choices = [str(choice) for choice in get_args(_field(finding.loc).annotation)]
    text = finding.node.text if isinstance(finding.node, Scalar) else ""
    guess = nearest(text, choices)
    fix = f"did you mean {guess}?" if guess else f"write {' or '.join(choices)}"
    return f"expected {' or '.join(choices)}, found {found(finding.node)}", fix


def _grammar(finding: Finding) -> Words:
    noun, fix = _GRAMMARS[tuple(part for part in finding.loc if isinstance(part, str))]
    return f"{found(finding.node)} is not {noun}", fix


def _form(finding: Finding) -> Words:
    noun, fix = _FORMS[finding.kind]
    context = finding.context
    if context.get("number") and isinstance(finding.node, Scalar):
        number = finding.node.text
        return f"the number {number} has no unit", f"write {number}s if seconds are meant"
    reason = context.get("reason", "")
    if reason and not reason.startswith("not a "):
        return f"{found(finding.node)} is {reason}", fix
    return f"{found(finding.node)} is not {noun}", fix


def _limit(finding: Finding) -> Words:
    context = finding.context
    name, words = next((n, w) for n, w in _LIMITS.items() if n in context)
    bound = context[name]
    if finding.loc == ("rendezvous", "port") and name == "ge":
        what = f"{found(finding.node)} is below {bound}, where ports belong to the system"
        return what, "use 1024 to 65535"
    shown = (
        format_size(bound)
        if finding.loc[-1] in ("memory", "shm_size", "tmp_size", "pinned_memory")
        else f"{bound:g}"
    )
    return f"{found(finding.node)} is {words[0]} {shown}", f"use {words[1]} {shown}"


_LIMITS = {
    "ge": ("below", "at least"),
    "le": ("above", "at most"),
    "gt": ("not above", "more than"),
}


def _length(finding: Finding) -> Words:
    context = finding.context
    if "min_length" in context:
        return "empty", f"write at least {context['min_length']}"
    unit = "characters" if isinstance(finding.node, Scalar) else "items"
    return f"longer than {context['max_length']} {unit}", "shorten it"


def _unknown_check(finding: Finding) -> Words:
    tag = str(finding.context["tag"])
    guess = nearest(tag, list(CHECK_KINDS))
    fix = f"did you mean {guess}?" if guess else f"known: {', '.join(CHECK_KINDS)}"
    return f"{printable(tag)} is no health check", fix


def _not_one_check(finding: Finding) -> Words:
    what = f"expected one health check, found {found(finding.node)}"
    if isinstance(finding.node, Mapping):
        what = f"expected one health check, found a mapping of {len(finding.node.entries)} keys"
    return what, "write one an item, such as `- joined` or `- joined: {within: 60s}`"


def _in_general(finding: Finding) -> Words:
    return finding.message[:1].lower() + finding.message[1:], ""


_WORDS: dict[str, Callable[[Finding], Words]] = {
    **dict.fromkeys(_EXPECTED, _expected),
    **dict.fromkeys(_FORMS, _form),
    **dict.fromkeys(_ABOUT_KEYS, _unknown_key),
    "missing": _missing,
    "literal_error": _choice,
    "string_pattern_mismatch": _grammar,
    "greater_than": _limit,
    "greater_than_equal": _limit,
    "less_than_equal": _limit,
    "too_short": _length,
    "too_long": _length,
    "string_too_short": _length,
    "string_too_long": _length,
    "union_tag_invalid": _unknown_check,
    "union_tag_not_found": _not_one_check,
}
