"""`docker build …` -> the image that it makes, by a table of docker's own flags. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import Struct, field

from orchestrator.starting.container import Container, NotSaidError, templated
from orchestrator.starting.draft import Template
from orchestrator.starting.flags import FlagTable, read_table
from orchestrator.starting.shell import as_written, is_unknown

TABLE = Path(__file__).with_name("docker_build.yaml")
_ELSEWHERE = re.compile(r"-|[a-z][a-z+]*://.*|git@.*|github\.com/.*")
_DIGEST_OR_TAG = re.compile(r".*(?:@|:[^/]*)")


@cache
def table() -> FlagTable:
    """The flags of `docker build` and of `docker buildx build`."""
    return read_table("docker build", TABLE)


class Built(Struct, eq=False):
    """An image, and what its command says that a playbook cannot: `(flag, value, why)`."""

    context: str
    tags: list[str] = field(default_factory=list)
    file: str = ""
    args: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[str, str, str]] = field(default_factory=list)

    def makes(self, image: str) -> bool:
        """True when a container of this image runs what is built here."""
        return _full(image) in map(_full, self.tags)

    def give(self, container: Container) -> None:
        """Have a container's image built, and say what is not carried over."""
        build: dict[str, Any] = {"context": self.context}
        file = os.path.relpath(self.file, self.context) if self.file else "Dockerfile"
        if file != "Dockerfile":
            build["dockerfile"] = file
        container.build = build | ({"args": dict(self.args)} if self.args else {})
        for flag, value, why in self.left_out:
            container.leave_out(f"docker build {flag}", value, why, "image.build")


def image_of(arguments: Sequence[str]) -> Built:
    """The image that the arguments of `docker build` ask for.

    Raises:
        NotSaidError: a flag is unknown or lacks its value, or the context is no folder.
    """
    rest = list(arguments)
    built = Built("")
    for flag, value in table().taken(rest):
        if flag.name == "tag":
            built.tags.append(value)
        elif flag.name == "file":
            built.file = value
        elif flag.name == "build-arg":
            _take_arg(built, value)
        else:
            built.left_out.append((f"--{flag.name}", value, flag.left_out))
    built.context = rest[0] if rest else ""
    for word in (built.context, built.file):
        if not rest or is_unknown(word) or _ELSEWHERE.fullmatch(word):
            raise NotSaidError(
                f"what it builds from is no folder of this machine: {as_written(word)!r}",
                "get it here, and name its folder",
            )
    return built


def _take_arg(built: Built, value: str) -> None:
    name, has_value, given = value.partition("=")
    text = templated(given) if has_value else Template(f"{{{{ env('{name}', '') }}}}")
    if text is None:
        built.left_out.append(("--build-arg", value, "only a running shell knows what it is"))
    else:
        built.args[name] = text


def _full(image: str) -> str:
    return image if _DIGEST_OR_TAG.fullmatch(image) else f"{image}:latest"
