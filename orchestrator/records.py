"""One line of a node's log in, one typed record out, or None. Nothing a node prints can hurt.

The line is written by the training script, or by whatever else runs in the node: it is
bounded before it is parsed, and what it says of its own identity is never believed
without the container it was read from (see `verify.facts`).
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

MAX_COUNT = 2**63 - 1
MAX_RECORD_BYTES = 16 * 1024
"""Docker splits log lines at this length; no record of ours comes near it."""

Rank = Annotated[int, Field(ge=0, lt=10_000_000)]
Text = Annotated[str, Field(max_length=4096)]


class _Event(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True)

    rank: Rank
    run_id: Text | None = None


class ProcessGroupJoined(_Event):
    """A rank came out of a collective over the whole group.

    `rank_sum` is what an all_reduce (sum) of the ranks gave: W(W-1)/2 if all took part once.
    `gpu` is the UUID of the GPU that the rank uses, if it says so.
    """

    event: Literal["process_group_joined"]
    world_size: Rank
    backend: Text
    master_addr: Text
    rank_sum: Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)]
    hostname: Text = ""
    gpu: Text | None = None


class Step(_Event):
    """A rank has done optimizer step `step`, counted from 1. The loss is a mean over all ranks."""

    event: Literal["step"]
    step: Annotated[int, Field(ge=0, le=MAX_COUNT)]
    loss: float | None = None
    tokens_per_s: float | None = None
    step_time_s: float | None = None


class RankFailed(_Event):
    """A rank ends with an exception."""

    event: Literal["rank_failed"]
    reason: str
    error_type: Text = ""


class TrainingFinished(_Event):
    """A rank has done all it was asked to do."""

    event: Literal["training_finished"]


Record = ProcessGroupJoined | Step | RankFailed | TrainingFinished

_RECORDS: TypeAdapter[Record] = TypeAdapter(Annotated[Record, Field(discriminator="event")])


class _NotARecord(Exception):
    """The line is JSON of a kind that no honest writer of records produces."""


def parse_record(line: bytes) -> Record | None:
    """Read one line. Whatever is not exactly a record gives None."""
    if not line.lstrip(b" \t").startswith(b"{") or len(line) > MAX_RECORD_BYTES:
        return None
    try:
        # Decoded here: json.loads would take UTF-16 and lone surrogates as well.
        fields = json.loads(line.decode("utf-8"), parse_constant=_refuse, object_pairs_hook=_unique)
        return _RECORDS.validate_python(fields)
    except (ValueError, RecursionError, ValidationError, _NotARecord):
        # ValueError: no JSON, no UTF-8, or an integer of thousands of digits.
        return None


def _refuse(constant: str) -> None:
    raise _NotARecord(constant)


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise _NotARecord("a key is given twice")
    return fields
