"""What every model of the playbook language has in common: strictness and its own value types."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from orchestrator.playbook.units import (
    DURATION_PATTERN,
    MAX_SIZE_BYTES,
    SIZE_PATTERN,
    format_duration,
    format_size,
    parse_duration_s,
    parse_size_bytes,
)

MAX_UID = 2**32 - 2  # the one above means "no user" to the kernel
# A number or a name, with or without a group.
USER_PATTERN = (
    r"^(\d{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,31})(:(\d{1,10}|[A-Za-z_][A-Za-z0-9_.-]{0,31}))?$"
)

# Passed as pydantic's validation context by the loader, and by nobody else: a number is a
# duration where code builds a model, and an ambiguity where a person wrote it.
AS_WRITTEN = {"as_written": True}


class Section(BaseModel):
    """A mapping of the playbook: frozen, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        # Validators are made when first used: verbs that read no playbook do not pay for them.
        defer_build=True,
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
        regex_engine="rust-regex",
    )


def _duration(value: object, info: ValidationInfo) -> object:
    as_written = bool(info.context)
    if isinstance(value, str):
        try:
            return parse_duration_s(value)
        except ValueError as exc:
            raise PydanticCustomError(
                "duration", "{reason}", {"reason": str(exc), "number": False}
            ) from exc
    if as_written:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        raise PydanticCustomError(
            "duration", "{reason}", {"reason": "not a duration", "number": number}
        )
    return value


def size_bytes(value: object) -> object:
    """A size as it is written, in bytes. Raises PydanticCustomError of type `size`."""
    if isinstance(value, str):
        try:
            return parse_size_bytes(value)
        except ValueError as exc:
            raise PydanticCustomError("size", "{reason}", {"reason": str(exc)}) from exc
    if isinstance(value, bool) or not isinstance(value, int):
        raise PydanticCustomError("size", "{reason}", {"reason": "not a size"})
    if not 0 <= value <= MAX_SIZE_BYTES:
        raise PydanticCustomError("size", "{reason}", {"reason": "not between 0 and 1024 TiB"})
    return value


def _version(value: object) -> object:
    # Literal compares by ==, and True and 1.0 equal 1.
    if isinstance(value, bool) or not isinstance(value, int) or value != 1:
        raise PydanticCustomError("version", "not a version")
    return value


def _switch(value: object) -> object:
    # YAML 1.1 reads `on` and `off` as booleans, and so do those who learned it: both are meant.
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


def _user(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_UID:
        return value
    if isinstance(value, str) and re.fullmatch(USER_PATTERN, value, re.ASCII):
        return value
    raise PydanticCustomError("user", "not a user")


Duration = Annotated[
    float,
    BeforeValidator(_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN, "x-unit": "duration"}),
]
"""Seconds inside; `60s`, `5m`, `1h`, `500ms`, `1m30s` in YAML. At most 30 days."""

# The grammar of image references (distribution/reference), digests limited to sha256. It also
# keeps a tag from being read as an option of the engine's command line.
IMAGE_PATTERN = (
    r"^([a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]+)?/)?"
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*"
    r"(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?(@sha256:[0-9a-f]{64})?$"
)

Size = Annotated[
    int,
    BeforeValidator(size_bytes),
    PlainSerializer(format_size, return_type=str, when_used="json"),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": SIZE_PATTERN},
                {"type": "integer", "minimum": 0, "maximum": MAX_SIZE_BYTES},
            ],
            "x-unit": "size",
        }
    ),
]
"""Bytes inside; `2GiB`, `512MiB`, `1.5GB` or a plain number of bytes in YAML."""


class _LocalPath(Struct, frozen=True):
    """Marks text as a path of this machine."""


LOCAL_PATH = _LocalPath()

LocalPath = Annotated[str, LOCAL_PATH]
"""A path of this machine; a relative one is relative to the file that it is written in."""

Version = Annotated[Literal[1], BeforeValidator(_version)]
"""The version of the language."""

Switch = Annotated[
    Literal["on", "off"],
    BeforeValidator(_switch),
    WithJsonSchema({"enum": ["on", "off", True, False]}),
]
"""`on` or `off`; `true` and `false` say the same."""

User = Annotated[
    int | str,
    BeforeValidator(_user),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 0, "maximum": MAX_UID},
                {"type": "string", "pattern": USER_PATTERN},
            ]
        }
    ),
]
"""A uid, `uid:gid`, or a name that the image knows."""
