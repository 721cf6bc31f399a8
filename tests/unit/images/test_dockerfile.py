"""Base images of a Dockerfile."""

from __future__ import annotations

import pytest

from orchestrator.images.dockerfile import base_images, with_bases

TWO_STAGES = """\
# FROM comment:1
ARG BASE_IMAGE=python:3.11-slim
FROM ${BASE_IMAGE} AS deps
ARG BASE_IMAGE=late
RUN echo FROM nothing
FROM --platform=linux/amd64 $BASE_IMAGE as final
FROM deps
FROM scratch
"""


@pytest.mark.parametrize(
    ("text", "args", "expected"),
    [
        (TWO_STAGES, {}, ("python:3.11-slim",)),
        (TWO_STAGES, {"BASE_IMAGE": "torch:1"}, ("torch:1",)),
        ("from debian:12\n", {}, ("debian:12",)),
        ('ARG A="x:1" B=y:2\nFROM $A\nFROM ${B}\n', {}, ("x:1", "y:2")),
        ("FROM ${MISSING:-fallback:3}\n", {}, ("fallback:3",)),
        ("ARG T\nFROM a:${T}\n", {"T": "9"}, ("a:9",)),
        ("", {}, ()),
    ],
)
def test_base_images(text: str, args: dict[str, str], expected: tuple[str, ...]) -> None:
    assert base_images(text, args) == expected


def test_with_bases_changes_the_from_lines_alone() -> None:
    assert (
        with_bases(TWO_STAGES, {}, {"python:3.11-slim": "base:1", "deps": "never"})
        == """\
# FROM comment:1
ARG BASE_IMAGE=python:3.11-slim
FROM base:1 AS deps
ARG BASE_IMAGE=late
RUN echo FROM nothing
FROM --platform=linux/amd64 base:1 as final
FROM deps
FROM scratch
"""
    )
