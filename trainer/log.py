"""Records: structlog, one JSON object a line on the standard output that the process began with."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping

import structlog
from structlog.typing import EventDict, FilteringBoundLogger

from trainer.errors import TrainerError

MAX_REASON_CHARS = 2_000
MAX_TRACEBACK_CHARS = 6_000  # with the reason well below the 16 KiB at which Docker splits lines


def open_log(environ: Mapping[str, str]) -> FilteringBoundLogger:
    """A logger whose lines carry event, level, timestamp and who writes them.

    rank and world_size are what the environment says before a process group exists: 0 of 1 with
    neither variable set, null where one is missing or not a number. run_id and restart_count
    tell one attempt from another.
    """
    # WriteLogger flushes after each line, so a line is one write() to the pipe that torchrun's
    # ranks share, and stays whole there up to PIPE_BUF, 4 KiB.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    logger: FilteringBoundLogger = structlog.wrap_logger(
        structlog.WriteLogger(out),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%dT%H:%M:%S.%fZ", utc=True),
            _envelope_first,
            # NaN and Infinity are not JSON: a line that would hold one is an error instead.
            structlog.processors.JSONRenderer(serializer=json.dumps, allow_nan=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info"),
    )
    return logger.bind(
        **_identity(environ),
        run_id=environ.get("ORCHESTRATE_RUN_ID"),
        restart_count=_restart_count(environ),
    )


def divert_stdout() -> None:
    """Send whatever else writes to standard output, C++ too, to standard error from now on."""
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def reason_of(exc: BaseException) -> str:
    """What an exception says, cut to what fits into a record."""
    return (str(exc) or type(exc).__name__)[:MAX_REASON_CHARS]


def log_failure(log: FilteringBoundLogger, exc: BaseException) -> None:
    """Write `rank_failed` with the type, the reason and the end of the traceback."""
    trace = "".join(traceback.format_exception(exc, limit=-4))
    log.error(
        "rank_failed",
        error_type=type(exc).__name__,
        reason=reason_of(exc),
        fix=exc.fix if isinstance(exc, TrainerError) else "",
        traceback=trace[-MAX_TRACEBACK_CHARS:],
    )


def _restart_count(environ: Mapping[str, str]) -> int:
    """Attempts before this one: by orchestrate, which restarts whole gangs, or by torchrun."""
    names = ("ORCHESTRATE_RESTART_COUNT", "TORCHELASTIC_RESTART_COUNT")
    text = next((environ[name] for name in names if environ.get(name)), "0")
    return int(text) if text.isdecimal() else 0


def _envelope_first(_logger: object, _method: str, record: EventDict) -> EventDict:
    """So that a human who reads the raw line sees first what happened."""
    first = {key: record.pop(key) for key in ("event", "level", "timestamp")}
    return {**first, **record}


def _identity(environ: Mapping[str, str]) -> dict[str, int | None]:
    if "RANK" not in environ and "WORLD_SIZE" not in environ:
        return {"rank": 0, "world_size": 1}
    names = {"rank": "RANK", "world_size": "WORLD_SIZE"}
    texts = {key: environ.get(name, "") for key, name in names.items()}
    return {key: int(text) if text.isdecimal() else None for key, text in texts.items()}
