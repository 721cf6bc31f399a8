"""The table of texts that say why a rank failed: `signatures.yaml`, read once, when first needed.

A node writes the lines that are searched, so a line is cut before it is searched, and the
patterns repeat nothing without a bound.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

TABLE = Path(__file__).with_name("signatures.yaml")

_HINT = re.compile(
    r"error|exception|fail|fault|interrupt|exit|time[d ]*out|cannot|can't|unable|no |not |without"
    r"|kill|mismatch|expected|driver|duplicate|same gpu|busy|refused|closed|reset|broken|got 0"
    r"|shared memory|appears|exhausted|terminated"
)
"""What every line that a signature knows has one of, in lower case. Far cheaper than the table,
which a run that prints none of it does not even read."""

_Text = Annotated[str, Field(max_length=500)]


class _Entry(BaseModel):
    """One entry of the file, word for word."""

    # Built when the table is first needed: a run that goes well does not pay for it.
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, defer_build=True)

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{1,40}$")]
    pattern: Annotated[str, Field(min_length=5, max_length=500)]
    role: Literal["primary", "secondary"]
    what: Annotated[_Text, Field(min_length=3)]
    cause: _Text
    mend: Annotated[_Text, Field(min_length=3)]
    source: Annotated[_Text, Field(min_length=3)]
    example: _Text = ""


class Signature(Struct, frozen=True):
    """One kind of text, and what it means of the rank that wrote it.

    `example` is a line as its source writes it, where no run of this project's tests can.
    """

    id: str
    pattern: re.Pattern[str]
    is_primary: bool
    what: str
    cause: str
    mend: str
    source: str
    example: str = ""


class Reading(Struct, frozen=True):
    """A text that a signature knows, with what its groups found."""

    signature: Signature
    found: dict[str, str]

    @property
    def what(self) -> str:
        """What happened to the rank."""
        return self._filled(self.signature.what)

    @property
    def why(self) -> str:
        """Why that happens; empty where there is no more to say."""
        return self._filled(self.signature.cause)

    @property
    def mend(self) -> str:
        """What to do."""
        return self._filled(self.signature.mend)

    def _filled(self, text: str) -> str:
        # One pass: what a node wrote is put in, and never read as a place to put something in.
        return re.sub(r"\{(\w+)\}", lambda place: self.found.get(place[1], ""), text).strip(" :")


@cache
def signatures() -> tuple[Signature, ...]:
    """The table, in its order."""
    import yaml  # a run that goes well never comes here

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    entries = TypeAdapter(list[_Entry]).validate_python(
        yaml.load(TABLE.read_text(), Loader=loader)  # noqa: S506  (a safe loader, whichever it is)
    )
    return tuple(
        Signature(
            entry.id,
            re.compile(entry.pattern),
            entry.role == "primary",
            entry.what,
            entry.cause,
            entry.mend,
            entry.source,
            entry.example,
        )
        for entry in entries
    )


def read_text(text: str) -> Reading | None:
    """What the first signature that knows a text makes of it; None where none does."""
    if not _HINT.search(text.lower()):
        return None
    for signature in signatures():
        if match := signature.pattern.search(text):
            return Reading(signature, _groups(match))
    return None


def _groups(match: re.Match[str]) -> dict[str, str]:
    """What the groups found; `host2` is `host` in another alternative of one pattern."""
    found: dict[str, str] = {}
    for name, value in match.groupdict().items():
        if value is not None:
            found.setdefault(name.rstrip("0123456789"), value)
    return found
