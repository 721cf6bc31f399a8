"""Prints events for people: lines, and on a terminal that can show it a live board below them."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, assert_never

from orchestrator.display.colours import RANK_COLOURS
from orchestrator.display.recap import doing
from orchestrator.display.suiting import can_show_board
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    AttemptBegan,
    AttemptJudged,
    CheckChanged,
    Event,
    FailureDiagnosed,
    GangRestarted,
    GangStopped,
    LogEnded,
    MachineWarned,
    NodeEnded,
    NodeSpoke,
    NodesSampled,
    PlanMade,
    ReferenceRan,
    ReferenceStarted,
    RestartDecided,
    StillWaiting,
)
from orchestrator.loglines import LogLine
from orchestrator.plans.document import plan_text
from orchestrator.plans.plan import BuildImage, Plan, PullImage
from orchestrator.printable import QUIET_KEYS, log_lines, log_text, printable, shown_parts
from orchestrator.redaction import redacted, redacted_document

if TYPE_CHECKING:
    from orchestrator.display.board.live import LiveBoard
    from orchestrator.errors import Fault
    from orchestrator.restarts import Restart
    from orchestrator.verify.checks import CheckResult, Finding
    from orchestrator.verify.diagnose import Diagnosis
    from orchestrator.verify.suspects import Evidence
    from orchestrator.watch import Judgement, Look

COLOURS = {"green": 32, "yellow": 33, "red": 31, "cyan": 36, "dim": 2, "bold": 1}
STATUS_COLOUR = {
    "ok": "green",
    "failed": "red",
    "skipped": "cyan",
    "pending": "dim",
    "warning": "yellow",
    "problem": "red",
    "changed": "yellow",
}
SIGN_COLOUR = {"+": "green", "-/+": "yellow", "~": "yellow", "-": "red", "=": "dim", "!": "cyan"}

BOARD_BEGINS = (ActionStarted, AttemptBegan)
"""What there is something to watch from; an apply that changes nothing has no board."""

SHOWN_BY_BOARD = (ActionStarted, ActionProgressed, StillWaiting, ReferenceStarted)
"""What need not be said in a line where there is a board."""

ALONE = "run in a single process, for comparison:"


class Console:
    """Writes what a person reads. Keeps what was done, for the recap.

    Args:
        out: where to write; colours are used if it is a terminal and NO_COLOR is not set.
        quiet: print nothing but `say_error`, for `--json`.
        logs_since_s: older log lines are not shown (an apply to nodes that run already).
    """

    def __init__(
        self, out: TextIO | None = None, *, quiet: bool = False, logs_since_s: float = 0.0
    ) -> None:
        self._out = out or sys.stdout
        self._quiet = quiet
        self._logs_since_s = logs_since_s
        self._board_title = ""
        self._board: LiveBoard | None = None
        self._colours = self._out.isatty() and not os.environ.get("NO_COLOR")
        self.num_ranks = 1
        """Ranks in each node: with more than one, lines are prefixed with the node."""
        self.shows_records = False
        """Whether what the probe reports is shown among what scripts write."""
        self.shows_logs = True
        """Whether what the nodes write is shown as it comes."""
        self.plan: Plan | None = None
        self.done: list[object] = []
        self.failed: list[object] = []

    # -- the board -------------------------------------------------------------

    @contextmanager
    def board(self, title: str) -> Iterator[None]:
        """Have a live board below the lines, from the first thing that is done to the block's end.

        Only where the output can show one (`can_show_board`), and nobody asked for silence.
        """
        if not self._quiet and can_show_board(self._out, os.environ):
            self._board_title = title
        try:
            yield
        finally:
            self._board_title = ""
            board, self._board = self._board, None
            if board is not None:
                board.stop()

    def look(self, look: Look) -> None:
        """Show a moment of the run that is followed. An `OnLook`."""
        if self._board is not None:
            self._board.look(look)

    def _start_board(self) -> LiveBoard:
        # rich is imported here: what prints lines alone does without it.
        from orchestrator.display.board.live import LiveBoard

        board = LiveBoard(self._out, self._board_title)
        if self.plan is not None:
            board.tell(PlanMade(self.plan))
        board.start()
        return board

    # -- events ----------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Print one event. A `Sink`."""
        if self._board_title and self._board is None and isinstance(event, BOARD_BEGINS):
            self._board = self._start_board()
        if self._board is None:
            self._say_event(event)
            return
        self._board.tell(event)
        if not isinstance(event, SHOWN_BY_BOARD):
            self._say_event(event)

    def _say_event(self, event: Event) -> None:
        match event:
            case PlanMade(plan):
                self.plan = plan
                self.show_plan(plan)
            case MachineWarned(about, found, why, mend):
                self._task("warning", "yellow", f"{about}: {found}; {why}; {mend}")
            case ActionDone(action, took_s):
                self.done.append(action)
                self._task("changed", "yellow", f"{doing(action)}  {took_s:.1f} s")
            case ActionFailed(action, reason):
                self.failed.append(action)
                self._task("failed", "red", f"{doing(action)}: {reason}")
            case ActionStarted(action):
                if isinstance(action, BuildImage | PullImage):
                    self._task("doing", "dim", doing(action))
            case ActionProgressed(_, text):
                self.say(self._paint("dim", f"    {printable(text)}"))
            case AttemptBegan() | LogEnded() | AttemptJudged() | NodesSampled():
                pass  # seen by what they bring: lines, the checks at the end, the report
            case _:
                self._tell_of_nodes(event)

    def _tell_of_nodes(
        self,
        event: NodeSpoke
        | NodeEnded
        | CheckChanged
        | StillWaiting
        | FailureDiagnosed
        | GangStopped
        | RestartDecided
        | GangRestarted
        | ReferenceStarted
        | ReferenceRan,
    ) -> None:
        match event:
            case NodeSpoke(_, line):
                if self.shows_logs:
                    self.show_log(line)
            case NodeEnded(node):
                if not node.has_finished_well:
                    self._task("failed", "red", f"node {node.name} {node.ending}")
            case CheckChanged(result):
                # What failed is shown whole, under CHECKS, as soon as the run is judged.
                if result.status.value == "ok":
                    self.show_check(result)
            case StillWaiting(pending, waited_s):
                names = printable(", ".join(f"{each.name} ({each.why})" for each in pending))
                self.say(self._paint("dim", f"waiting: {names}  {waited_s:.0f} s"))
            case FailureDiagnosed(diagnosis):
                self.show_diagnosis(diagnosis)
            case _:
                self._tell_of_runs(event)

    def _tell_of_runs(
        self, event: GangStopped | RestartDecided | GangRestarted | ReferenceStarted | ReferenceRan
    ) -> None:
        match event:
            case GangStopped(names, took_s):
                self._task("stopped", "yellow", f"{', '.join(names)}  {took_s:.1f} s")
            case RestartDecided(restart, delay_s):
                when = f" in {delay_s:g} s" if delay_s else ""
                self._task(
                    "restart", "yellow", f"{_numbered(restart)}{when}: {printable(restart.cause)}"
                )
            case GangRestarted(restart, run_id, took_s):
                text = f"restart gang, {_numbered(restart)}, as run {run_id}  {took_s:.1f} s"
                self._task("changed", "yellow", text)
            case ReferenceStarted(project):
                self._task("doing", "dim", f"{ALONE} {project}")
            case ReferenceRan(project, failure=failure) if failure:
                self._task("failed", "red", f"{ALONE} {project}: {printable(failure)}")
            case ReferenceRan(project, was_kept, took_s=took_s):
                status, colour = ("ok", "green") if was_kept else ("changed", "yellow")
                self._task(status, colour, f"{ALONE} {project}  {took_s:.1f} s")
            case _:
                assert_never(event)

    # -- pieces ----------------------------------------------------------------

    def say(self, text: str = "") -> None:
        """Print a line, unless quiet."""
        if self._board is not None:
            self._board.say(redacted(text))
        elif not self._quiet:
            print(redacted(text), file=self._out, flush=True)

    def _say_log(self, at_s: float, text: str) -> None:
        if self._board is not None:
            self._board.say_log(at_s, redacted(text))
        else:
            self.say(text)

    def say_error(self, text: str) -> None:
        """Print an error, always, to stderr; it may quote an engine, a path or a registry."""
        for line in text.split("\n"):
            if self._board is not None and sys.stderr.isatty():
                self.say(self._paint("red", printable(line)))
            else:
                _print_error("red", printable(line))

    def say_faults(self, faults: Sequence[Fault]) -> None:
        """Print faults of a playbook, always, to stderr, each with the line that it is about."""
        from orchestrator.display.excerpt import excerpt, summary

        for fault in faults:
            _print_error("red", printable(str(fault)))
            for line in excerpt(fault):
                _print_error("dim", line)
        if len(faults) > 1:
            _print_error("bold", printable(summary(faults)))

    def heading(self, text: str) -> None:
        """Print what the next lines are about."""
        self.say(self._paint("bold", printable(text)))

    def show_plan(self, plan: Plan) -> None:
        """Print a plan: a line an object, and below it a line for each field that differs."""
        self.heading("PLAN")
        for line in plan_text(plan).split("\n"):
            sign = line.split(maxsplit=1)[0] if line[:3].strip() else ""
            text = printable(line)
            self.say(self._paint(SIGN_COLOUR[sign], text) if sign in SIGN_COLOUR else text)

    def show_log(self, line: LogLine, *, raw: bool = False) -> None:
        """Print a line of a node's log, rank-prefixed."""
        if line.at_s < self._logs_since_s:
            return
        for part in shown_parts(line.text, records=self.shows_records):
            self.show_part(line, part, raw=raw)

    def show_part(self, line: LogLine, part: bytes, *, raw: bool = False) -> None:
        """Print a line of a node's log, or what of it is text or a record, rank-prefixed."""
        has_one_rank = self.num_ranks == 1
        prefix = f"{'rank' if has_one_rank else 'node'} {line.node_rank} |"
        if self._colours:
            prefix = f"\x1b[{RANK_COLOURS[line.node_rank % len(RANK_COLOURS)]}m{prefix}\x1b[0m"
        quiet = QUIET_KEYS if has_one_rank else QUIET_KEYS - {"rank"}
        for text in log_lines(part, raw=raw, quiet=quiet):
            self._say_log(line.at_s, f"{prefix} {text}")

    def show_check(self, result: CheckResult) -> None:
        """Print a check, and for each rank in which it does not hold what came instead."""
        status = result.status.value
        self._task(status, STATUS_COLOUR[status], f"check {result.name}: {result.why}")
        for finding in result.findings:
            self.say(self._paint("red", f"    {_finding(finding)}"))

    def show_status(self, status: str, text: str) -> None:
        """Print a line that begins with a status."""
        self._task(status, STATUS_COLOUR[status], text)

    def show_diagnosis(self, diagnosis: Diagnosis) -> None:
        """Print why a run failed: the answer, what shows it, what only followed from it."""
        self.say(self._paint("red", f"DIAGNOSIS {printable(diagnosis.headline)}"))
        for line in diagnosis.evidence:
            self.say(f"    {self._evidence(line)}")
        if diagnosis.consequences:
            self.say("    what only followed:")
        for text in diagnosis.consequences:
            self.say(self._paint("dim", f"        {printable(text)}"))

    def _evidence(self, line: Evidence) -> str:
        """A line with its time, in UTC as torch's own log lines have it."""
        clock = time.strftime("%H:%M:%S", time.gmtime(line.at_s))
        millis = int(line.at_s % 1 * 1000)
        who = "rank" if self.num_ranks == 1 else "node"
        return f"{clock}.{millis:03d}  {who} {line.node_rank} | {log_text(line.text.encode())}"

    def show_attempts(self, restarts: Sequence[Restart], cause: str) -> None:
        """Print why each attempt failed, and which run's logs tell more; the last one too.

        Args:
            restarts: one for each attempt but the last; with none there is nothing to tell.
            cause: of the last one's failure; empty when it held.
        """
        if not restarts:
            return
        self.heading("ATTEMPTS")
        for restart in restarts:
            text = f"{restart.number}: {printable(restart.cause)} (run {restart.failed_run_id})"
            self._task("failed", "red", text)
        last = restarts[-1].number + 1
        if cause:
            self._task("failed", "red", f"{last}: {printable(cause)}")
        else:
            self._task("ok", "green", f"{last}: every check holds")

    def show_judgement(self, judgement: Judgement) -> None:
        """Print every check, and where one fails the last words of the nodes that it is about."""
        self.heading("CHECKS")
        for result in judgement.results:
            self.show_check(result)
        if not judgement.holds:
            self.show_failure(judgement)

    def show_failure(self, judgement: Judgement) -> None:
        """Print the last words of every node in which a check found fault."""
        found = {f.node_rank for result in judgement.results for f in result.findings}
        nodes = judgement.run.facts.nodes
        for node_rank in sorted(rank for rank in found if rank in nodes):
            tail = list(nodes[node_rank].tail)
            name = judgement.run.facts.desired.nodes[node_rank].name
            self.heading(f"LAST LINES of {name}" + ("" if tail else ": none"))
            for text in tail:
                self.say(f"    {log_text(text.encode())}")

    def show_lines(self, lines: Iterable[str]) -> None:
        """Print lines as they are, but for what would steer a terminal."""
        for line in lines:
            self.say(printable(line))

    def _task(self, status: str, colour: str, text: str) -> None:
        self.say(self._paint(colour, f"{status + ':':9}") + printable(text))

    def _paint(self, colour: str, text: str) -> str:
        return _painted(colour, text) if self._colours else text


def _print_error(colour: str, text: str) -> None:
    text = redacted(text)
    paint = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    print(_painted(colour, text) if paint else text, file=sys.stderr, flush=True)  # noqa: T201


def print_json(document: object) -> None:
    """Print the one document of `--json`."""
    print(json.dumps(redacted_document(document), indent=2, ensure_ascii=True))  # noqa: T201


def _painted(colour: str, text: str) -> str:
    return f"\x1b[{COLOURS[colour]}m{text}\x1b[0m"


def _numbered(restart: Restart) -> str:
    return f"{restart.number} of {restart.limit}"


def _finding(finding: Finding) -> str:
    who = f"rank {finding.rank}" if finding.rank is not None else f"node {finding.node_rank}"
    return printable(f"{who}: expected {finding.expected}; found {finding.found}")
