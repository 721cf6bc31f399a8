"""What people read of an apply, whole, and what cannot reach their terminal."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from msgspec.structs import replace

from orchestrator.display.console import Console
from orchestrator.display.recap import Recap, recap
from orchestrator.errors import ImageUnavailable
from orchestrator.events import (
    ActionDone,
    ActionFailed,
    ActionProgressed,
    ActionStarted,
    CheckChanged,
    FailureDiagnosed,
    GangRestarted,
    GangStopped,
    NodeEnded,
    NodeSpoke,
    PlanMade,
    RestartDecided,
    StillWaiting,
)
from orchestrator.loglines import LogLine
from orchestrator.plans.difference import FieldChange
from orchestrator.plans.plan import BuildImage, Plan, PullImage, RemoveNode, StartNode, Unchanged
from orchestrator.playbook.loader import load
from orchestrator.restarts import Restart
from orchestrator.run import Outcome, Request, apply
from orchestrator.state.desired import ImageSpec
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.diagnose import Diagnosis
from orchestrator.verify.results import CheckResult, Finding, Status
from orchestrator.verify.suspects import Evidence, Weight
from tests.unit.fake_engine import FakeEngine, Script, join_and_end, joined, rank_failed
from tests.unit.fakes import node_spec
from tests.unit.workbench import PLAYBOOK


class Screen(io.StringIO):
    """A terminal, or a pipe."""

    def __init__(self, *, is_terminal: bool = False) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def printed(*events: object, console: Console | None = None) -> str:
    screen = Screen()
    told = console or Console(screen)
    for event in events:
        told.tell(event)  # type: ignore[arg-type]
    return screen.getvalue()


def run(folder: Path, engine: FakeEngine) -> tuple[str, Outcome, Console]:
    """Apply the playbook; what was printed, without how long things took."""
    (folder / "pair.yaml").write_text(PLAYBOOK)
    screen = Screen()
    console = Console(screen)
    request = Request(load(folder / "pair.yaml"), engine, folder / "locks", run_id=lambda: "run-1")
    outcome = apply(request, console.tell)
    if outcome.judgement is not None and not outcome.judgement.holds:
        for result in outcome.judgement.results:
            console.show_check(result)
        console.show_failure(outcome.judgement)
    return re.sub(r"\d+\.\d s", "N s", screen.getvalue()), outcome, console


CREATED = """\
PLAN
 +  image app:1       (not there yet)
 +  network pair-net  (not there yet)
 +  node pair-node-0  (not there yet)
 +  node pair-node-1  (not there yet)
Plan: 4 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be.
doing:   pull image app:1
    pulling app:1
changed: pull image app:1  N s
changed: create network pair-net  N s
changed: start node pair-node-0  N s
changed: start node pair-node-1  N s
"""


def test_an_apply_that_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, outcome, console = run(tmp_path, FakeEngine(scripts=join_and_end()))
    assert text.startswith(CREATED)
    assert sorted(text.removeprefix(CREATED).splitlines()) == sorted(
        [
            "rank 0 | process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
            "rank 0 | bye from 0",
            "rank 1 | process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
            "rank 1 | bye from 1",
            "ok:      check alive: 2 nodes in order",
            "ok:      check joined: 2 ranks after N s",
            "ok:      check completed: 2 nodes ended with 0 after N s",
        ]
    )
    assert outcome.judgement is not None
    counts = recap(outcome.plan, outcome.judgement.results, done=console.done)
    assert counts == Recap(ok=3, changed=4)


def test_an_apply_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scripts = {
        0: Script(((0.0, joined(0)),)),
        1: Script(((0.0, "reading corpus"), (0.0, rank_failed(1, "no corpus"))), 0.0, code=3),
    }
    text, outcome, _ = run(tmp_path, FakeEngine(scripts=scripts))
    dies = "exited with code 3: ValueError: no corpus"
    body, _, told = text.removeprefix(CREATED).partition("DIAGNOSIS")
    told, _, end = re.sub(r"\d\d:\d\d:\d\d\.\d{3}", "TIME", told).partition("stopped:")
    assert told.splitlines() == [
        " rank 1 (pair-node-1) raised ValueError: no corpus; see the traceback in its log",
        "    TIME  rank 1 | ValueError: no corpus",
        "    TIME  rank 1 | the node exited with code 3",
    ]
    assert sorted(body.splitlines()) == [
        "failed:  node pair-node-1 exited with code 3",
        "rank 0 | process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
        'rank 1 | rank_failed reason="no corpus" error_type=ValueError',
        "rank 1 | reading corpus",
    ]
    lost = f"    rank 1: expected process_group_joined within 20 s; found nothing; it {dies}"
    assert end.splitlines() == [
        " pair-node-0  N s",
        "failed:  check alive: a node is not in order",
        f"    node 1: expected runs, or has ended with 0; found {dies}",
        "failed:  check joined: 1 of 2 ranks did not join",
        lost,
        "failed:  check completed: 2 of 2 nodes did not complete",
        "    node 0: expected exit code 0 within 20 s; found still runs",
        f"    node 1: expected exit code 0 within 20 s; found {dies}",
        "LAST LINES of pair-node-0",
        "    process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
        "LAST LINES of pair-node-1",
        "    reading corpus",
        '    rank_failed reason="no corpus" error_type=ValueError',
    ]
    assert outcome.judgement is not None


def test_an_apply_that_the_engine_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    engine = FakeEngine(failures={"pull_image": ImageUnavailable("no such tag", fix="push it")})
    (tmp_path / "pair.yaml").write_text(PLAYBOOK)
    screen = Screen()
    console = Console(screen)
    request = Request(load(tmp_path / "pair.yaml"), engine, tmp_path / "locks")
    with pytest.raises(ImageUnavailable):
        apply(request, console.tell)
    assert screen.getvalue().splitlines()[6:] == [
        "doing:   pull image app:1",
        "    pulling app:1",
        "failed:  pull image app:1: no such tag",
    ]
    assert console.plan is not None
    counts = recap(console.plan, done=console.done, failed=console.failed)
    assert counts == Recap(failed=1, skipped=3)


# -- each event ------------------------------------------------------------------

IMAGE = ImageSpec("app:1")
NODE = ObservedNode("id-1", node_spec(1), "run-1", "hash", NodeStatus.EXITED, exit_code=137)
WELL = ObservedNode("id-1", node_spec(1), "run-1", "hash", NodeStatus.EXITED, exit_code=0)
JOIN = CheckResult("joined", Status.PENDING, "1 of 2 ranks")

FOUND = Diagnosis(
    cause="peer-lost",
    node_rank=1,
    node="pair-node-1",
    rank=1,
    also=(),
    what="lost the network",
    why="it is slow",
    mend="look\x1b[2J",
    at_s=1000.25,
    weight=Weight.PRIMARY,
    evidence=(Evidence(1000.25, 1, "a line\x1b[2J"),),
    consequences=("rank 0 waited\x1b[2J, 0.1 s later",),
)
RESTART = Restart(1, 2, "node 1 exited with code 3", "run-1")
SUMMARY = "Plan: {} to create, 0 to change, 0 to replace, 0 to remove, {} as they should be.\n"
LINES: dict[str, tuple[object, str]] = {
    "nothing to do": (PlanMade(Plan("pair")), f"PLAN\n{SUMMARY.format(0, 0)}"),
    "all unchanged": (
        PlanMade(Plan("pair", unchanged=(Unchanged("image app:1", "present"),))),
        f"PLAN\n =  image app:1  (present)\n{SUMMARY.format(0, 1)}",
    ),
    "a long action begins": (
        ActionStarted(BuildImage(IMAGE, "not there yet")),
        "doing:   build image app:1\n",
    ),
    "a short action begins": (ActionStarted(StartNode(node_spec(), "why")), ""),
    "progress": (ActionProgressed(PullImage(IMAGE, "why"), "layer 1"), "    layer 1\n"),
    "done": (
        ActionDone(RemoveNode(NODE, "why"), 1.25),
        "changed: remove node pair-node-1  1.2 s\n",
    ),
    "failed": (
        ActionFailed(StartNode(node_spec(), "why"), "no such user"),
        "failed:  start node pair-node-0: no such user\n",
    ),
    "a node ended badly": (
        NodeEnded(NODE),
        "failed:  node pair-node-1 was killed by signal 9 (exit code 137)\n",
    ),
    "a node ended well": (NodeEnded(WELL), ""),
    "a check holds": (
        CheckChanged(CheckResult("joined", Status.OK, "2 ranks after 1.0 s")),
        "ok:      check joined: 2 ranks after 1.0 s\n",
    ),
    "a check fails, to be shown at the end": (
        CheckChanged(CheckResult("joined", Status.FAILED, "1 of 2 ranks")),
        "",
    ),
    "waiting": (
        StillWaiting((JOIN, CheckResult("completed", Status.PENDING, "0 of 2 nodes")), 2.4),
        "waiting: joined (1 of 2 ranks), completed (0 of 2 nodes)  2 s\n",
    ),
    "diagnosed": (
        FailureDiagnosed(FOUND),
        "DIAGNOSIS rank 1 (pair-node-1) lost the network: it is slow; look\\x1b[2J\n"
        "    00:16:40.250  rank 1 | a line\\x1b[2J\n"
        "    what only followed:\n"
        "        rank 0 waited\\x1b[2J, 0.1 s later\n",
    ),
    "stopped": (
        GangStopped(("pair-node-0", "pair-node-2"), 0.31),
        "stopped: pair-node-0, pair-node-2  0.3 s\n",
    ),
    "a restart at once": (
        RestartDecided(RESTART, 0.0),
        "restart: 1 of 2: node 1 exited with code 3\n",
    ),
    "a restart later": (
        RestartDecided(RESTART, 5.0),
        "restart: 1 of 2 in 5 s: node 1 exited with code 3\n",
    ),
    "restarted": (
        GangRestarted(RESTART, "run-2", 1.23),
        "changed: restart gang, 1 of 2, as run run-2  1.2 s\n",
    ),
}


@pytest.mark.parametrize("name", LINES)
def test_an_event_reads(name: str) -> None:
    event, text = LINES[name]
    assert printed(event) == text


def attempts(*restarts: Restart, cause: str) -> str:
    screen = Screen()
    Console(screen).show_attempts(restarts, cause)
    return screen.getvalue()


def test_attempts_are_told_with_their_causes_and_runs() -> None:
    two = replace(RESTART, number=2, cause="node 0 is gone\x1b[2J", failed_run_id="run-2")
    told = """\
ATTEMPTS
failed:  1: node 1 exited with code 3 (run run-1)
failed:  2: node 0 is gone\\x1b[2J (run run-2)
"""
    assert attempts(RESTART, two, cause="") == told + "ok:      3: every check holds\n"
    assert attempts(RESTART, two, cause="it hangs") == told + "failed:  3: it hangs\n"
    assert attempts(cause="it hangs") == attempts(cause="") == ""


# -- logs ------------------------------------------------------------------------


def shown(console: Console, screen: Screen, line: LogLine) -> str:
    console.tell(NodeSpoke("pair-node-1", line))
    return screen.getvalue()


def test_with_several_ranks_a_node_lines_bear_the_node_and_the_rank() -> None:
    screen = Screen()
    console = Console(screen)
    console.num_ranks = 4
    line = LogLine(1, 0.0, b'{"event": "step", "rank": 6, "step": 2}')
    assert shown(console, screen, line) == "node 1 | step rank=6 step=2\n"


def test_lines_from_before_an_apply_are_not_shown_again() -> None:
    screen = Screen()
    console = Console(screen, logs_since_s=100.0)
    shown(console, screen, LogLine(1, 99.9, b"old"))
    assert shown(console, screen, LogLine(1, 100.0, b"new")) == "rank 1 | new\n"


HOSTILE = b"\x1b[2J\x1b]0;owned\x07\rfake\x9b31m \xe2\x80\xae"


def hostile_events() -> list[object]:
    text = HOSTILE.decode("latin-1") + "\u202e\nchanged: nothing"
    finding = Finding(0, 0, text, text)
    return [
        NodeSpoke("pair-node-0", LogLine(0, 0.0, HOSTILE)),
        ActionProgressed(PullImage(IMAGE, "why"), text),
        ActionFailed(PullImage(IMAGE, "why"), text),
        PlanMade(Plan("pair", image=PullImage(IMAGE, text))),
        CheckChanged(CheckResult("loss", Status.OK, text, (finding,))),
        StillWaiting((CheckResult("loss", Status.PENDING, text),), 1.0),
        RestartDecided(Restart(1, 2, text, "run-1"), 0.0),
    ]


@pytest.mark.parametrize("event", hostile_events(), ids=lambda event: type(event).__name__)
def test_what_comes_from_elsewhere_cannot_steer_the_terminal(event: object) -> None:
    text = printed(event)
    assert "owned" in text
    assert all(char.isprintable() or char == "\n" for char in text), text
    assert not any(line.startswith("changed: nothing") for line in text.splitlines())


def test_an_object_of_a_plan_is_one_line_whatever_its_values_hold() -> None:
    change = FieldChange("env.KEY", "a\n\n+ start node evil", "a\r\u2028b")

    text = printed(PlanMade(Plan("pair", remove_nodes=(RemoveNode(NODE, "why", (change,)),))))

    assert text == (
        "PLAN\n"
        " -  node pair-node-1                           (why)\n"
        r"      env.KEY: a\n\n+ start node evil -> a\r\u2028b  forces replacement"
        "\nPlan: 0 to create, 0 to change, 0 to replace, 1 to remove, 0 as they should be.\n"
    )


def test_errors_and_headings_cannot_steer_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console()
    console.say_error("first \x1b[2J\nsecond\r")
    console.heading("pair (docker)  /a\x1b]0;owned\x07.yaml")
    said = capsys.readouterr()
    assert said.err == "first \\x1b[2J\nsecond\\r\n"
    assert said.out == "pair (docker)  /a\\x1b]0;owned\\x07.yaml\n"


def test_lines_are_shown_as_they_are_but_for_control_characters() -> None:
    screen = Screen()
    Console(screen).show_lines(["plain  x", "\x1b[31m"])
    assert screen.getvalue() == "plain  x\n\\x1b[31m\n"


# -- where it is printed ---------------------------------------------------------

COLOURED = (
    "\x1b[1mPLAN\x1b[0m\n"
    "\x1b[32m +  image app:1  (why)\x1b[0m\n"
    f"{SUMMARY.format(1, 0)}"
    "\x1b[33mchanged: \x1b[0mpull image app:1  1.0 s\n"
    "\x1b[35mrank 1 |\x1b[0m hello\n"
)


def some_of_each(console: Console) -> None:
    pull = PullImage(IMAGE, "why")
    console.tell(PlanMade(Plan("pair", image=pull)))
    console.tell(ActionDone(pull, 1.0))
    console.tell(NodeSpoke("pair-node-1", LogLine(1, 0.0, b"hello")))


@pytest.mark.parametrize(
    ("is_terminal", "no_color", "is_coloured"),
    [(True, None, True), (True, "", True), (True, "1", False), (False, None, False)],
)
def test_colours_are_for_terminals_of_those_who_want_them(
    is_terminal: bool, no_color: str | None, is_coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    screen = Screen(is_terminal=is_terminal)
    some_of_each(Console(screen))
    plain = re.sub(r"\x1b\[\d+m", "", COLOURED)
    assert screen.getvalue() == (COLOURED if is_coloured else plain)


def test_quiet_prints_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    console = Console(screen, quiet=True)
    some_of_each(console)
    console.say_error("it broke")
    said = capsys.readouterr()
    assert (screen.getvalue(), said.out, said.err) == ("", "", "it broke\n")
    assert len(console.done) == 1
