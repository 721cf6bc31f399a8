"""What apply and verify leave for machines: the `--json` document and the `--junit` file."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from msgspec import Struct, convert, field, to_builtins
from msgspec.structs import replace

from orchestrator.display.console import Console, print_json
from orchestrator.display.recap import object_of, recap
from orchestrator.engines.base import Engine
from orchestrator.errors import ExitCode, FolderUnusable, Interrupted, OrchestrateError
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    AttemptBegan,
    CheckChanged,
    Event,
    MachineWarned,
    Sink,
)
from orchestrator.plans.document import plan_document
from orchestrator.run import Outcome

if TYPE_CHECKING:
    from orchestrator.report.junit import Suite
    from orchestrator.report.result import (
        ApplyResult,
        CheckEntry,
        DiagnosisDocument,
        Performed,
        PlanEntries,
        VerifyResult,
        WayIntoTheGroup,
    )
    from orchestrator.verify.results import CheckResult
    from orchestrator.watch import Judgement

T = TypeVar("T")


class Tally(Struct):
    """Notes what was performed, and hands every event on. Its `tell` is a `Sink`.

    `settled_s` is when each check got the status it has, in seconds since the attempt began.
    """

    sink: Sink
    began_at_s: float = field(default_factory=time.time)
    performed: list[ActionDone | ActionFailed] = field(default_factory=list)
    warnings: list[MachineWarned] = field(default_factory=list)
    settled_s: dict[str, float] = field(default_factory=dict)
    _followed_since_s: float = 0.0

    def tell(self, event: Event) -> None:
        """Take one event."""
        self.sink(event)
        match event:
            case ActionDone() | ActionFailed():
                self.performed.append(event)
            case MachineWarned():
                self.warnings.append(event)
            case AttemptBegan():
                self.settled_s, self._followed_since_s = {}, time.monotonic()
            case CheckChanged(result):
                self.settled_s[result.name] = time.monotonic() - self._followed_since_s


def apply_result(outcome: Outcome, engine: Engine, console: Console, tally: Tally) -> ApplyResult:
    """What `apply --json` prints."""
    from orchestrator.report.result import ApplyResult, RecapCounts, RestartEntry, Warned

    judgement = outcome.judgement
    results = judgement.results if judgement else ()
    counts = recap(outcome.plan, results, done=console.done, failed=console.failed)
    return ApplyResult(
        project=outcome.plan.project,
        engine=engine.traits.name,
        run_id=outcome.run_id,
        run_dir=outcome.run_dir,
        plan=cast("PlanEntries", plan_document(outcome.plan, engine.traits.name)),
        warnings=as_told(tally.warnings, tuple[Warned, ...]),
        actions=tuple(map(_performed, tally.performed)),
        checks=check_entries(results),
        join=join_of(judgement),
        restarts=as_told(outcome.restarts, tuple[RestartEntry, ...]),
        cause=cause_of(judgement),
        diagnosis=diagnosis_of(judgement),
        recap=as_told(counts, RecapCounts),
        began_at_s=round(tally.began_at_s, 3),
        took_s=round(outcome.took_s, 3),
        exit_code=int(outcome.exit_code),
    )


def as_told(value: object, kind: type[T]) -> T:
    """A value of ours as the type that its document has for it."""
    return convert(to_builtins(value), kind)


def check_entries(results: Sequence[CheckResult]) -> tuple[CheckEntry, ...]:
    """The checks, for machines."""
    from orchestrator.report.result import CheckEntry

    return as_told(results, tuple[CheckEntry, ...])


def _performed(event: ActionDone | ActionFailed) -> Performed:
    from orchestrator.report.result import Performed

    kind, _, name = object_of(event.action).partition(" ")
    if isinstance(event, ActionFailed):
        return Performed(kind, name, "failed", None, event.reason)
    return Performed(kind, name, "done", round(event.took_s, 3))


def cause_of(judgement: Judgement | None) -> str:
    """What failed, in brief; empty when nothing did."""
    diagnosis = judgement.diagnosis if judgement else None
    return diagnosis.brief if diagnosis else ""


def diagnosis_of(judgement: Judgement | None) -> DiagnosisDocument | None:
    """Why it failed, for machines; None when nothing did."""
    diagnosis = judgement.diagnosis if judgement else None
    return cast("DiagnosisDocument", diagnosis.document()) if diagnosis else None


def join_of(judgement: Judgement | None) -> tuple[WayIntoTheGroup, ...]:
    """When each rank reached each phase of its way into the group."""
    if judgement is None:
        return ()
    from orchestrator.verify.phases import ways

    return tuple(cast("WayIntoTheGroup", way.document()) for way in ways(judgement.run))


class Judged(Struct, frozen=True):
    """What a JUnit file says of a run beside its checks."""

    judgement: Judgement | None
    versions: dict[str, str]
    began_at_s: float
    settled_s: Mapping[str, float] = field(default_factory=dict)


def report(
    result: ApplyResult | VerifyResult, judged: Judged, junit: Path | None, *, as_json: bool
) -> None:
    """Leave a result where it is asked for: in a JUnit file, on the screen as JSON."""
    if junit is not None:
        from orchestrator.report.junit import write_junit

        write_junit(junit, _suite_of(result, judged))
    if as_json:
        print_json(asdict(result))


def _suite_of(result: ApplyResult | VerifyResult, judged: Judged) -> Suite:
    """What the `--junit` file of a result says."""
    from orchestrator.report.junit import Suite
    from orchestrator.report.result import VerifyResult

    properties = {
        "project": result.project,
        "engine": result.engine,
        "run_id": result.run_id,
        "run_dir": result.run_dir,
        "image_id": _image_ids(judged.judgement),
        **{f"version.{what}": version for what, version in judged.versions.items()},
    }
    if isinstance(result, VerifyResult):
        properties["judged_by"] = result.source
    return Suite(
        result.project,
        judged.began_at_s,
        result.took_s,
        judged.judgement.results if judged.judgement else (),
        properties,
        result.diagnosis["headline"] if result.diagnosis else "",
        times_s=judged.settled_s,
    )


def _image_ids(judgement: Judgement | None) -> str:
    """The images that the nodes of a run were made from; one, unless somebody changed one."""
    nodes = judgement.run.nodes if judgement else ()
    return " ".join(sorted({node.image_id for node in nodes if node.image_id}))


@contextmanager
def reporting_errors(path: Path | None, name: str, verb: str = "apply") -> Iterator[None]:
    """Have a command that ends in an error leave a JUnit file too, with that error in it."""
    began_at_s = time.time()
    try:
        yield
    except (OrchestrateError, Interrupted) as exc:
        if path is not None:
            from orchestrator.report.junit import Suite

            took_s = time.time() - began_at_s
            _write_error(path, Suite(name, began_at_s, took_s, verb=verb), exc)
        raise


def _write_error(path: Path, suite: Suite, exc: OrchestrateError | Interrupted) -> None:
    from orchestrator.report.junit import write_junit

    kind = exc.exit_code if isinstance(exc, OrchestrateError) else ExitCode.INTERRUPTED
    words = str(exc) if isinstance(exc, OrchestrateError) else f"interrupted; {exc.left}"
    try:
        write_junit(path, replace(suite, error=words, error_kind=kind.name.lower()))
    except FolderUnusable as unusable:  # the first error is the one that is told
        Console().say_error(f"orchestrate: {unusable}")
