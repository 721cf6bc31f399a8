"""status --watch: the run of one project, whoever started it, followed to its end."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.choose import state_folder
from orchestrator.commands.watching import _Watch
from orchestrator.display.console import Console
from orchestrator.lock import is_worked_on, project_lock
from orchestrator.playbook.loader import load
from orchestrator.run import Request, apply
from orchestrator.teardown import Placed
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import LOCAL_LIKE, FakeEngine, Script, joined, rank_failed
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

JOINS = {rank: ((0.0, joined(rank)),) for rank in (0, 1)}


def untimed(text: str) -> list[str]:
    """Lines without times and the ids of runs."""
    lines = re.sub(r"\d+\.\d s", "N s", re.sub(r"run \S+", "run ID", text)).splitlines()
    return [re.sub(r"^    \d\d:\d\d:\d\d\.\d{3}", "    TIME", line) for line in lines]


def test_a_run_that_is_followed_to_its_end(desk: Desk) -> None:
    # It ends later than the checks but one are settled, and later than it is first looked at.
    desk.engine.scripts = {rank: Script(JOINS[rank], 0.5) for rank in (0, 1)}
    desk.run("apply", "--detach", "pair.yaml")
    said = desk.run("status", "--watch", "pair")
    assert (said.code, said.err) == (0, "")
    lines = untimed(said.out)
    assert lines[0] == "WATCHING pair on docker, 2 nodes, run ID"
    assert lines[-4:] == [
        "CHECKS",
        "ok:      check alive: 2 nodes in order",
        "ok:      check joined: 2 ranks after N s",
        "ok:      check completed: 2 nodes ended with 0 after N s",
    ]


def test_a_run_that_fails(desk: Desk) -> None:
    failing = Script((*JOINS[1], (0.0, rank_failed(1, "no corpus"))), 0.0, code=3)
    desk.engine.scripts = {0: Script(JOINS[0], 0.5), 1: failing}
    desk.run("apply", "--detach", "pair.yaml")
    desk.engine.journal.clear()
    said = desk.run("status", "-w")
    assert said.code == 1
    lines = untimed(said.out)
    told = (
        "DIAGNOSIS rank 1 (pair-node-1) raised ValueError: no corpus; see the traceback in its log"
    )
    assert lines.index(told) < lines.index("CHECKS")
    assert "failed:  check alive: a node is not in order" in lines
    assert "LAST LINES of pair-node-1" in lines
    assert desk.engine.journal == []


def test_checks_that_hold_do_not_end_it_while_nodes_run(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace(", {completed: {within: 20s}}", ""))
    desk.engine.scripts = {rank: Script(JOINS[rank], 0.5) for rank in (0, 1)}
    desk.run("apply", "--detach", "pair.yaml")
    assert desk.run("status", "--watch").code == 0
    assert not any(node.is_active for node in desk.engine.observe_nodes("pair"))


def test_a_run_of_which_nothing_was_kept(desk: Desk) -> None:
    desk.run("apply", "--detach", "pair.yaml")
    for path in (desk.folder / ".orchestrate").rglob("run.json"):
        path.unlink()
    said = desk.run("status", "--watch")
    assert (said.code, untimed(said.out)[-2:]) == (
        0,
        ["CHECKS", "ok:      check alive: 2 nodes in order"],
    )


def test_the_verdict_of_who_followed_it_counts(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    verdict = next((desk.folder / ".orchestrate").rglob("verdict.json"))
    kept = json.loads(verdict.read_text())
    verdict.write_text(json.dumps(kept | {"judged_at_s": 1.0}))  # before anything was written
    assert desk.run("status", "--watch").code == 1


@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (("pear",), 9, "there is no project pear here; projects here: pair (docker)"),
        (("pair", "--json"), 64, "--watch shows a run"),
    ],
)
def test_what_cannot_be_watched(argv: tuple[str, ...], code: int, words: str, desk: Desk) -> None:
    desk.run("apply", "--detach", "pair.yaml")
    said = desk.run("status", "--watch", *argv)
    assert (said.code, words in said.err + said.out) == (code, True)


def test_of_one_name_on_two_engines_one_must_be_said(desk: Desk) -> None:
    desk.engines.append(FakeEngine(traits=LOCAL_LIKE))
    for _ in desk.engines:
        desk.run("apply", "--detach", "pair.yaml")
        desk.engines.reverse()
    said = desk.run("status", "--watch", "pair")
    assert (said.code, "pair (docker), pair (local); say which with --engine" in said.err) == (
        9,
        True,
    )


# -- restarts --------------------------------------------------------------------


@dataclass
class Restarting:
    """Somebody else's apply, which starts the gang again while we wait for what it does next."""

    desk: Desk
    lock: Path
    num_waits: int = 0

    def pause(self, _seconds: float) -> None:
        self.num_waits += 1
        if self.num_waits == 2:
            self.desk.engine.scripts = {rank: Script(JOINS[rank], 0.0) for rank in (0, 1)}
            request = Request(
                load(self.desk.folder / "pair.yaml"),
                self.desk.engine,
                self.desk.folder / "other-locks",
                rerun=True,
                detach=True,
                run_id=lambda: "run-2",
            )
            apply(request, lambda _: None)
            self.lock.unlink()


def test_a_restart_is_followed_too(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.engine.scripts = {0: Script(JOINS[0], 0.0, code=3), 1: Script(JOINS[1], 0.0)}
    desk.run("apply", "--detach", "pair.yaml")
    placed = Placed(desk.engine, desk.engine.projects()[0])
    lock = state_folder() / "locks" / f"{desk.engine.traits.lock_name}-pair.lock"
    lock.write_text(
        json.dumps({"pid": os.getppid(), "user": "ada", "doing": "apply", "since": "now"})
    )
    watch = _Watch(Console(), placed, Restarting(desk, lock).pause)
    judgement = watch.to_the_end(desk.engine.observe_nodes("pair"))
    assert (judgement.holds, judgement.run.facts.run_id) == (True, "run-2")
    lines = untimed(capsys.readouterr().out)
    assert lines.count("WATCHING the next attempt, run ID") == 1
    assert sum(line.startswith("DIAGNOSIS") for line in lines) == 1


def test_who_looks_on_does_not_get_in_the_way(tmp_path: Path) -> None:
    lock = tmp_path / "docker-pair.lock"
    said = {"user": "ada", "doing": "apply", "since": "now"}
    assert not is_worked_on(tmp_path, "docker", "pair")
    for pid, is_at_work in {os.getppid(): True, os.getpid(): False, 99_999_999: False}.items():
        lock.write_text(json.dumps(said | {"pid": pid}))
        assert is_worked_on(tmp_path, "docker", "pair") is is_at_work
    lock.write_text(json.dumps(said | {"pid": os.getppid()}))
    with project_lock(tmp_path, "docker", "pair", doing="destroy"):
        pass
