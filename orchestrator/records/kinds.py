"""What a rank may report, one class per kind of record. Sizes are bounded field by field.

Two writers report: a training script that knows of records (`docs/trainer.md`), and the
probe that an engine places in every node (`orchestrator/probe/`), which marks its own with
`"source": "probe"`. Both are code that runs in the node and neither is believed further than
the node it was read from.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

MAX_COUNT = 2**63 - 1

Rank = Annotated[int, Field(ge=0, lt=10_000_000)]
Count = Annotated[int, Field(ge=0, le=MAX_COUNT)]
Text = Annotated[str, Field(max_length=4096)]
ShortText = Annotated[str, Field(max_length=256)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
# Not strict themselves: a JSON array is the one way to write a tuple. What they hold is.
Texts = Annotated[tuple[ShortText, ...], Field(max_length=64, strict=False)]
Microseconds = Annotated[tuple[Count, ...], Field(max_length=1000, strict=False)]
Durations = Annotated[tuple[Seconds, ...], Field(max_length=1000, strict=False)]


class _Event(BaseModel):
    """Who reports.

    `at_s` is the writer's own clock in seconds since the epoch. It orders what one node said
    within one engine time stamp; deadlines are never measured by it.
    """

    # Built when the first record comes: a verb that reads no log does not pay for it.
    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, defer_build=True)

    run_id: Text | None = None
    source: Literal["script", "probe"] = "script"
    pid: Count | None = None
    at_s: float | None = None


class _RankEvent(_Event):
    rank: Rank


class _ProcessEvent(_Event):
    """What a process reports that may not know yet which rank it is."""

    rank: Rank | None = None


class ProcessGroupJoined(_RankEvent):
    """A rank came out of a collective over the whole group.

    `rank_sum` is what an all_reduce (sum) of the ranks gave: W(W-1)/2 if all took part once.
    `gpu` is the UUID of the GPU that the rank uses, if it says so. `peers` is a digest of what
    an all_gather of every rank's (rank, hostname, GPU) gave: the same on all ranks of a group.
    """

    event: Literal["process_group_joined"]
    world_size: Rank
    backend: Text
    master_addr: Text
    rank_sum: Annotated[int, Field(ge=-MAX_COUNT, le=MAX_COUNT)]
    hostname: Text = ""
    gpu: Text | None = None
    peers: ShortText = ""


class GpuUsed(_RankEvent):
    """A rank has made a step on a GPU other than it said as it joined, if it said any.

    `gpu` is its UUID, or that of the MIG slice.
    """

    event: Literal["gpu_used"]
    gpu: Text


class Step(_RankEvent):
    """A rank has done optimizer step `step`, counted from 1. The loss is a mean over all ranks.

    `times_us` are the durations of the steps since the last such record, in microseconds, the
    last one that of `step` itself, where a writer sums several up in one record. `busy_share`
    says how much of that time the thread that stepped was at work or wanted to be, on a
    processor or in line for one. The rest it waited, for its peers above all: steps of a group
    take equally long on all ranks, and only this tells who made them long.

    `times_s` and `busy_s`, in seconds and entry for entry, are what runs have of it that were
    kept by earlier versions.
    """

    event: Literal["step"]
    step: Count
    loss: float | None = None
    tokens_per_s: float | None = None
    step_time_s: float | None = None
    times_us: Microseconds = ()
    busy_share: Share | None = None
    times_s: Durations = ()
    busy_s: Durations = ()

    @property
    def took_s(self) -> tuple[float, ...]:
        """How long each of the latest steps took."""
        return tuple(each / 1e6 for each in self.times_us) or self.times_s

    @property
    def worked_s(self) -> tuple[float, ...]:
        """How much of each the rank was at work; empty where the writer could not tell."""
        took_s = self.took_s
        if self.busy_share is not None:
            return tuple(each * self.busy_share for each in took_s)
        return self.busy_s if len(self.busy_s) == len(took_s) else ()


class CheckpointSaved(_RankEvent):
    """A rank has written a checkpoint, or its part of one."""

    event: Literal["checkpoint_saved"]
    path: Text = ""
    took_s: Seconds | None = None


class RankFailed(_ProcessEvent):
    """A rank ends with an exception. `traceback` holds its last lines, the innermost last.

    `thread` names the thread that ended so where it is not the main one: the rank may live on.
    """

    event: Literal["rank_failed"]
    reason: str
    error_type: Text = ""
    traceback: str = ""
    thread: ShortText = ""


class TrainingFinished(_RankEvent):
    """A rank has done all it was asked to do."""

    event: Literal["training_finished"]


class InterpreterStarted(_ProcessEvent):
    """A Python process began. `python` is its version."""

    event: Literal["interpreter_started"]
    python: ShortText = ""
    hostname: ShortText = ""
    argv: Texts = ()


class TorchImported(_ProcessEvent):
    """`import torch` is done. `cuda` and `nccl` are versions, empty in a CPU build."""

    event: Literal["torch_imported"]
    torch: ShortText = ""
    cuda: ShortText = ""
    nccl: ShortText = ""


class RendezvousStarted(_ProcessEvent):
    """init_process_group was called: what the process thinks the group is."""

    event: Literal["rendezvous_started"]
    master_addr: Text = ""
    master_port: Text = ""
    world_size: Rank | None = None
    backend: ShortText = ""
    init_method: Text = ""


class NameResolved(_ProcessEvent):
    """The master's name has addresses; `error` says why not, of the latest try."""

    event: Literal["name_resolved"]
    addresses: Texts = ()
    error: ShortText = ""


class MasterReached(_ProcessEvent):
    """A TCP connection to the master's port stands."""

    event: Literal["master_reached"]
    address: ShortText = ""


class StoreJoined(_ProcessEvent):
    """The rendezvous gave the process a store: every peer is connected to it."""

    event: Literal["store_joined"]


class Environment(_RankEvent):
    """Digests of a rank's environment variables, for comparing ranks, in one or more parts.

    `digests` maps a name to the first 12 hex digits of sha256(run id, NUL, value): it tells
    whether two values differ, and keeps what they are in the node. `num_variables` counts those
    of all parts, so that a part that is still to come is no variable that is not set.
    """

    event: Literal["environment"]
    digests: Annotated[dict[ShortText, ShortText], Field(max_length=512)]
    num_variables: Count


class Parameters(_RankEvent):
    """A checksum over all parameters that a rank's optimizer has just stepped."""

    event: Literal["parameters"]
    step: Count
    checksum: ShortText
    num_parameters: Count


class Stacks(_ProcessEvent):
    """Where each thread of a process that makes no progress is, the innermost frame first.

    `call` is the collective that the main thread is in, empty where it is in none.
    """

    event: Literal["stacks"]
    waited_s: Seconds = 0.0
    last_step: Count = 0
    call: ShortText = ""
    threads: Annotated[dict[ShortText, Texts], Field(max_length=32)]


class ProcessEnded(_ProcessEvent):
    """A process leaves in an orderly way."""

    event: Literal["process_ended"]
    steps: Count = 0


class ProbeFault(_ProcessEvent):
    """The probe itself failed at something; the script went on without it."""

    event: Literal["probe_fault"]
    where: ShortText = ""
    error: Text = ""


Record = (
    ProcessGroupJoined
    | GpuUsed
    | Step
    | CheckpointSaved
    | RankFailed
    | TrainingFinished
    | InterpreterStarted
    | TorchImported
    | RendezvousStarted
    | NameResolved
    | MasterReached
    | StoreJoined
    | Environment
    | Parameters
    | Stacks
    | ProcessEnded
    | ProbeFault
)
