"""The `FROM` lines of a Dockerfile: which base images it stands on. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

_ARG = re.compile(r"\s*ARG\s+(?P<rest>.+)", re.IGNORECASE)
_FROM = re.compile(
    r"(?P<head>\s*FROM\s+(?:--\S+\s+)*)(?P<image>\S+)(?P<tail>(?:\s+AS\s+(?P<stage>\S+))?\s*)",
    re.IGNORECASE,
)
_VARIABLE = re.compile(r"\$(?:\{(?P<braced>\w+)(?::-(?P<fallback>[^}]*))?\}|(?P<plain>\w+))")


class From(Struct, frozen=True):
    """One `FROM` line: where it stands, and the image it names once variables are filled in."""

    line: int  # counts from 0
    head: str
    image: str
    tail: str
    is_stage: bool  # names an earlier stage of the same file, or `scratch`


def base_images(text: str, args: Mapping[str, str]) -> tuple[str, ...]:
    """List the images that the Dockerfile needs from outside, each once, in order."""
    return tuple(dict.fromkeys(f.image for f in _froms(text, args) if not f.is_stage))


def with_bases(text: str, args: Mapping[str, str], instead: Mapping[str, str]) -> str:
    """Put other images into the `FROM` lines; everything else stays byte for byte.

    Args:
        text: the Dockerfile.
        args: build arguments, which win over the defaults of `ARG` lines.
        instead: image named by the Dockerfile -> image to use.
    """
    lines = text.split("\n")
    for found in _froms(text, args):
        if found.image in instead and not found.is_stage:
            lines[found.line] = f"{found.head}{instead[found.image]}{found.tail}"
    return "\n".join(lines)


def _froms(text: str, args: Mapping[str, str]) -> Iterable[From]:
    variables: dict[str, str] = {}
    stages = {"scratch"}
    any_from = False
    for number, line in enumerate(text.split("\n")):
        arg = _ARG.fullmatch(line)
        # only an ARG before the first FROM counts in a FROM
        if arg is not None and not any_from:
            variables |= _defaults(arg["rest"], args)
        match = _FROM.fullmatch(line)
        if match is None:
            continue
        any_from = True
        image = _fill_in(match["image"], variables)
        yield From(number, match["head"], image, match["tail"], image.lower() in stages)
        if match["stage"]:
            stages.add(match["stage"].lower())


def _defaults(rest: str, args: Mapping[str, str]) -> dict[str, str]:
    """Read `NAME`, `NAME=value` or `NAME="value"`; a given build argument wins."""
    found = {}
    for word in rest.split():
        name, _, default = word.partition("=")
        found[name] = args.get(name, default.strip("\"'"))
    return found


def _fill_in(image: str, variables: Mapping[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match["braced"] or match["plain"]
        return variables.get(name) or match["fallback"] or ""

    return _VARIABLE.sub(value, image)
