"""Records: what ranks report, one JSON object a line, and how a line becomes one. Pure."""

from orchestrator.records.kinds import (
    MAX_COUNT,
    CheckpointSaved,
    Environment,
    InterpreterStarted,
    MasterReached,
    NameResolved,
    Parameters,
    ProbeFault,
    ProcessEnded,
    ProcessGroupJoined,
    RankFailed,
    Record,
    RendezvousStarted,
    Stacks,
    Step,
    StoreJoined,
    TorchImported,
    TrainingFinished,
)
from orchestrator.records.parsing import MAX_RECORD_BYTES, parse_record
from orchestrator.records.reading import Reading, RecordReader

__all__ = [
    "MAX_COUNT",
    "MAX_RECORD_BYTES",
    "CheckpointSaved",
    "Environment",
    "InterpreterStarted",
    "MasterReached",
    "NameResolved",
    "Parameters",
    "ProbeFault",
    "ProcessEnded",
    "ProcessGroupJoined",
    "RankFailed",
    "Reading",
    "Record",
    "RecordReader",
    "RendezvousStarted",
    "Stacks",
    "Step",
    "StoreJoined",
    "TorchImported",
    "TrainingFinished",
    "parse_record",
]
