"""Which value an unquoted scalar is: the core schema of YAML 1.2 (section 10.3.2). Pure.

PyYAML's own resolver is YAML 1.1, where `no` is False, `0755` is 493 and `22:22` is 1342. Here
they are text, or refused where the two versions read different numbers or a date.
"""

from __future__ import annotations

import math
import re

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOL = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_DECIMAL = re.compile(r"[-+]?[0-9]+", re.ASCII)
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+", re.ASCII)
_OCTAL = re.compile(r"0o[0-7]+", re.ASCII)
_HEXADECIMAL = re.compile(r"0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
# https://yaml.org/type/timestamp.html
_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(\.[0-9]*)?"
    r"([ \t]*(Z|[-+][0-9]{1,2}(:[0-9]{2})?))?",
    re.ASCII,
)
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", re.ASCII)

# int() and float() of longer texts cost time or fail, and no value of a playbook is as long.
_LONGEST_NUMBER = 40


def resolve(text: str) -> str | int | float | bool | None:
    """Give an unquoted scalar its value.

    Raises:
        ValueError: the text is no safe value; its message says why.
    """
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError("not a finite number")
    if text[0] not in "+-.0123456789":
        return text
    return _number(text)


def _number(text: str) -> str | int | float:
    if _DATE.fullmatch(text):
        raise ValueError("a date, and a playbook has none")
    if not (whole := _integer_base(text)) and not _FLOAT.fullmatch(text):
        return text
    if len(text) > _LONGEST_NUMBER:
        raise ValueError("a number of too many digits")
    if _LEADING_ZERO.fullmatch(text):
        raise ValueError("a number with a leading zero, which YAML 1.1 reads as octal")
    if whole:
        return int(text, whole)
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def _integer_base(text: str) -> int:
    for base, pattern in ((10, _DECIMAL), (8, _OCTAL), (16, _HEXADECIMAL)):
        if pattern.fullmatch(text):
            return base
    return 0
