"""Text of the docker command line -> error type. The one place of this package that reads it."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable
from enum import Enum, auto
from pathlib import Path

from orchestrator.errors import EngineUnavailable, ImageUnavailable, OrchestrateError, OutOfSpace
from orchestrator.images.command import Outcome

_NO_SPACE = re.compile(r"no space left on device|disk quota exceeded", re.IGNORECASE)
_NO_ENGINE = re.compile(
    r"cannot connect to the docker daemon|is the docker daemon running|error during connect"
    r"|permission denied while trying to connect to the docker",
    re.IGNORECASE,
)
_NO_SUCH_IMAGE = re.compile(
    r"manifest unknown|manifest for .* not found|pull access denied|repository does not exist"
    r"|no matching manifest|invalid reference format|requested access to the resource is denied",
    re.IGNORECASE,
)
_NO_INDEX = re.compile(
    r"Retrying \(Retry\(|NewConnectionError|CERTIFICATE_VERIFY_FAILED|ConnectTimeoutError"
    r"|Temporary failure in name resolution"
)
# Said about every failed build, whatever went wrong.
_BOILERPLATE = re.compile(
    r"The command '.*' returned a non-zero code|did not complete successfully: exit code"
    r"|executor failed running|failed to solve:"
    r"|^-+$|^\s*>+ |^\s*\d+ \||^\S*Dockerfile\S*:\d+$|^DEPRECATED:"
    r"|Install the buildx component|docs\.docker\.com/go/buildx|^WARNING: |^\[?notice\]?"
    r"|BuildKit is currently disabled|^ +environment-variable\.$|^… still at it"
    r"|^Removing intermediate container",
    re.IGNORECASE,
)
_BLAMES = re.compile(r"error|fatal|fail|denied|not found|cannot|unable|unknown|no such|exception")
_BUILDKIT_PREFIX = re.compile(r"^#\d+ (?:\d+\.\d+ )?")
_STEP = re.compile(r"^(?:Step \d+/\d+ : |#\d+ \[[^\]]*\d+/\d+\] )(?P<step>.+)")


class PullRefusal(Enum):
    """Why a pull failed."""

    NO_SUCH_IMAGE = auto()  # a registry answered: the name is wrong, or needs a login
    UNREACHABLE = auto()  # nothing that could be trusted answered in time


def pull_refusal(outcome: Outcome) -> PullRefusal:
    """Tell a wrong image name from a registry that cannot be reached."""
    if not outcome.timed_out and _NO_SUCH_IMAGE.search(outcome.text):
        return PullRefusal.NO_SUCH_IMAGE
    return PullRefusal.UNREACHABLE


def is_index_out_of_reach(outcome: Outcome) -> bool:
    """True when pip, inside the build, could not talk to the package index."""
    return not outcome.ok and _NO_INDEX.search(outcome.text) is not None


def failure(doing: str, outcome: Outcome, log: Path) -> OrchestrateError:
    """Make the error for a program that failed.

    Args:
        doing: what was being done, e.g. `building image qwen-fsdp:local`.
        outcome: how it ended.
        log: the file that holds all of its output.
    """
    line = last_meaningful(outcome.lines)
    see = f"the whole log is {log}"
    if _NO_SPACE.search(outcome.text):
        return OutOfSpace(
            f"{doing} failed: {line}", fix=f"free some space (`docker system df`); {see}"
        )
    if _NO_ENGINE.search(outcome.text):
        return EngineUnavailable(f"{doing} failed: {line}", fix="start the engine: docker/setup.sh")
    if outcome.is_mute:
        return mute(doing)
    if outcome.timed_out:
        return ImageUnavailable(f"{doing} did not end in time; last line: {line}", fix=see)
    step = failed_step(outcome.lines)
    where = f" at `{step}`" if step else ""
    return ImageUnavailable(f"{doing} failed{where}: {line}", fix=see)


def mute(doing: str) -> EngineUnavailable:
    """Make the error for an engine that did not begin to answer."""
    return EngineUnavailable(
        f"{doing}: docker did not say a word in time",
        fix="see whether the engine is overloaded or hangs (`docker info`)",
    )


def io_failure(doing: str, exc: OSError) -> OrchestrateError:
    """Make the error for a file of ours that could not be written or read."""
    if exc.errno in {errno.ENOSPC, errno.EDQUOT}:
        return OutOfSpace(f"{doing} failed: {exc}", fix="free some space")
    return ImageUnavailable(f"{doing} failed: {exc}", fix="see who may use that path")


def last_meaningful(lines: Iterable[str]) -> str:
    """Pick the line that says what went wrong: the last that blames, else the last of substance."""
    substance = [
        _BUILDKIT_PREFIX.sub("", line).strip()
        for line in lines
        if not _BOILERPLATE.search(_BUILDKIT_PREFIX.sub("", line)) and not _STEP.match(line)
    ]
    blaming = [line for line in substance if _BLAMES.search(line.lower())]
    return _cut((blaming or substance or ["it said nothing"])[-1], 300)


def failed_step(lines: Iterable[str]) -> str:
    """Name the Dockerfile instruction that was under way last; empty before the first."""
    steps = [match["step"] for match in map(_STEP.match, lines) if match]
    return _cut(" ".join(steps[-1].split()), 60) if steps else ""


def _cut(text: str, chars: int) -> str:
    return text if len(text) <= chars else text[: chars - 1] + "…"
