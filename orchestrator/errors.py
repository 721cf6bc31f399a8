"""One root error: what happened, where, how to mend it, and the exit code of its kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import IntEnum

from msgspec import Struct


class ExitCode(IntEnum):
    """What the process returns; the table in docs/exit-codes.md says the same."""

    CONVERGED = 0
    NOT_CONVERGED = 1  # a health check did not hold, or a node failed
    CHANGES_PENDING = 2  # only with `plan --exit-code`
    INVALID_PLAYBOOK = 3
    ENGINE_UNAVAILABLE = 4
    IMAGE_UNAVAILABLE = 5
    NAME_TAKEN = 6
    NODE_NOT_STARTED = 7
    LOCKED = 8
    NO_SUCH_PROJECT = 9  # nothing to act on, or more than one project and none named
    OUT_OF_SPACE = 10
    ADDRESS_UNAVAILABLE = 11  # a port, subnet or address that cannot be had
    ENGINE_FAILED = 12  # the engine answered, but not with what was asked
    FOLDER_UNUSABLE = 13  # a folder of this program's own cannot be written
    GPU_UNAVAILABLE = 14  # no driver, no GPU, too few, or not the ones that were named
    NOT_OWNER = 15  # the project is another owner's
    PLAN_REFUSED = 16  # a plan file that is out of date, damaged or of another version
    STILL_DIFFERENT = 17  # something differs right after it was applied
    RUN_UNREADABLE = 18  # what was kept of a run is damaged, or too little
    USAGE = 64
    INTERNAL = 70
    INTERRUPTED = 130


class OrchestrateError(Exception):
    """Root of everything this program raises on purpose.

    Args:
        what: what is wrong, one sentence without a full stop.
        fix: what the reader can do about it, one sentence, or empty.
        about: name of the one object of a batch that this is about, or empty.
    """

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, what: str, *, fix: str = "", about: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix
        self.about = about

    def __str__(self) -> str:
        return f"{self.what}; {self.fix}" if self.fix else self.what


class Interrupted(BaseException):
    """Ctrl-C, SIGTERM or SIGHUP. Not KeyboardInterrupt, which click turns into an Abort.

    `left` says what was left in place, once that is known.
    """

    left: str = ""


class Snippet(Struct, frozen=True):
    """A line of a file, for showing a fault where it stands.

    Attributes:
        file: the name of the file.
        line: the number of the line, from 1.
        column: where the fault begins, from 1, in characters; at most one behind the line.
        text: the line without its end, as it stands in the file.
        width: how many characters the fault spans, at least 1.
        note: what a second place has to do with the fault, else empty.
    """

    file: str
    line: int
    column: int
    text: str
    width: int = 1
    note: str = ""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing wrong with a playbook. Lines and columns count from 1.

    `snippets` are for showing only: two faults that differ in nothing else are the same one.
    """

    file: str
    line: int
    column: int
    path: str  # dotted path into the playbook, e.g. `ranks.env.RANK`; empty for the document
    what: str
    fix: str = ""
    snippets: tuple[Snippet, ...] = field(default=(), compare=False, repr=False)

    def document(self) -> dict[str, str | int]:
        """The fault as data, for `--json`."""
        return {
            "file": self.file,
            "line": self.line,
            "column": self.column,
            "path": self.path,
            "what": self.what,
            "fix": self.fix,
        }

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: "
        path = f"{self.path}: " if self.path else ""
        fix = f"; {self.fix}" if self.fix else ""
        return f"{where}{path}{self.what}{fix}"


class InvalidPlaybook(OrchestrateError):
    """The playbook cannot be used; carries every fault of the file, in file order."""

    exit_code = ExitCode.INVALID_PLAYBOOK

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(faults))
        super().__init__("\n".join(str(fault) for fault in self.faults))


class EngineUnavailable(OrchestrateError):
    """The engine does not answer, or not within the deadline of the call."""

    exit_code = ExitCode.ENGINE_UNAVAILABLE


class EngineFailed(OrchestrateError):
    """The engine answered with an error that no other class names."""

    exit_code = ExitCode.ENGINE_FAILED


class LogGone(EngineFailed):
    """A node was removed by somebody else before its log was read: there is none to read."""


class ImageUnavailable(OrchestrateError):
    """The image is not here and could not be built or pulled."""

    exit_code = ExitCode.IMAGE_UNAVAILABLE


class NameTaken(OrchestrateError):
    """An object that is not ours bears a name that the playbook needs."""

    exit_code = ExitCode.NAME_TAKEN


class NotOwner(OrchestrateError):
    """The project is another owner's: nothing of it may be changed."""

    exit_code = ExitCode.NOT_OWNER


class NodeNotStarted(OrchestrateError):
    """The engine refused to start a node: its command, mounts or limits."""

    exit_code = ExitCode.NODE_NOT_STARTED


class SidecarNotStarted(NodeNotStarted):
    """What nodes need beside them did not start, or was not ready in time; none was started."""


class PlanRefused(OrchestrateError):
    """A plan file that is out of date, damaged, or of a version not known here."""

    exit_code = ExitCode.PLAN_REFUSED


class RunUnreadable(OrchestrateError):
    """What was kept of a run is damaged, or not enough to judge it by."""

    exit_code = ExitCode.RUN_UNREADABLE


class StillDifferent(OrchestrateError):
    """What was applied is not what is there right afterwards; names object and field."""

    exit_code = ExitCode.STILL_DIFFERENT


class Locked(OrchestrateError):
    """Another apply or destroy of the same project is under way."""

    exit_code = ExitCode.LOCKED


class NoSuchProject(OrchestrateError):
    """No project of that name, or several and none was named."""

    exit_code = ExitCode.NO_SUCH_PROJECT


class OutOfSpace(OrchestrateError):
    """The disk that the engine or the run folder is on is full."""

    exit_code = ExitCode.OUT_OF_SPACE


class AddressUnavailable(OrchestrateError):
    """A port, subnet or address that is taken or cannot be used."""

    exit_code = ExitCode.ADDRESS_UNAVAILABLE


class UnusableSetting(OrchestrateError):
    """A setting means nothing, or asks for something that is not installed."""

    exit_code = ExitCode.USAGE


class FolderUnusable(OrchestrateError):
    """A folder for logs or locks cannot be written."""

    exit_code = ExitCode.FOLDER_UNUSABLE


class GpuUnavailable(OrchestrateError):
    """No driver, no GPU, too few of them, or one that is named and cannot be had."""

    exit_code = ExitCode.GPU_UNAVAILABLE
