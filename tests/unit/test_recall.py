"""Judging a run again from its folder: the same verdict, and plain words for what is missing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import EngineFailed, ExitCode, NoSuchProject, RunUnreadable
from orchestrator.playbook.models import Completed
from orchestrator.recall import Recalled, find_run, read_run, recall
from orchestrator.run import Outcome
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import Script, join_and_end, joined
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench", "desk"]


def folder(bench: Bench, run: int = 1) -> Path:
    return bench.folder / f".orchestrate/runs/pair/run-{run}"


def again(bench: Bench, outcome: Outcome) -> Recalled:
    """The run judged from its folder, which must say what was said when it was followed."""
    recalled = recall(folder(bench))
    assert outcome.judgement is not None
    assert recalled.judgement.results == outcome.judgement.results
    assert recalled.judgement.run.now_s == outcome.judgement.run.now_s
    return recalled


# -- the same verdict ---------------------------------------------------------------


def test_a_run_that_held_holds(bench: Bench) -> None:
    recalled = again(bench, bench.apply())
    assert (recalled.judgement.holds, recalled.missing) == (True, ())


@pytest.mark.parametrize("code", [1, 127, 137])
def test_a_run_whose_node_died_has_the_same_findings(bench: Bench, code: int) -> None:
    bench.engine.scripts[1] = Script(((0.0, "Traceback"), (0.0, "OSError: gone")), 0.0, code)
    recalled = again(bench, bench.apply())
    assert (recalled.judgement.holds, recalled.missing) == (False, ())


def test_what_a_node_did_while_it_was_stopped_counts_no_more_than_then(bench: Bench) -> None:
    bench.engine.scripts = {0: Script(((0.0, joined(0)),)), 1: Script((), 0.0, code=3)}
    recalled = again(bench, bench.apply())
    assert [each.node_rank for each in recalled.judgement.results[0].findings] == [1]
    assert [node.exit_code for node in recalled.judgement.run.nodes] == [None, 3]


def test_a_forged_record_convinces_no_more_than_then(bench: Bench) -> None:
    bench.engine.scripts[1] = Script(
        ((0.0, joined(0)), (0.0, joined(1).replace("$RUN_ID", "x"))), 0.0
    )
    recalled = again(bench, bench.apply())
    assert not recalled.judgement.holds


def test_other_checks_may_be_asked(bench: Bench) -> None:
    bench.engine.scripts = {rank: Script((), 0.0) for rank in (0, 1)}
    bench.apply()
    by_its_own, by_others = recall(folder(bench)), recall(folder(bench), (Completed(),))
    assert (by_its_own.judgement.holds, by_others.judgement.holds) == (False, True)


def test_checks_that_have_lists_are_read_back(bench: Bench) -> None:
    checks = "[{consistent: {except: [HOME]}}, {joined: {within: 20s}}, {completed: {within: 20s}}]"
    head, _, _ = PLAYBOOK.partition("health_checks:")
    bench.write(f"{head}health_checks: {checks}\n")
    outcome = bench.apply()
    assert [each.name for each in again(bench, outcome).judgement.results][1] == "consistent"


# -- what is missing ----------------------------------------------------------------


def test_without_logs_the_records_count(bench: Bench) -> None:
    outcome = bench.apply()
    (folder(bench) / "node-0.log").unlink()
    assert again(bench, outcome).missing == ("node-0.log: lines of node 0, but for its records",)


def test_a_log_that_was_cut_is_told(bench: Bench) -> None:
    outcome = bench.apply()
    log = folder(bench) / "node-1.log"
    log.write_bytes(b"")
    assert again(bench, outcome).missing == ("node-1.log: lines of node 1, but for its records",)


def test_without_a_verdict_all_that_was_kept_is_judged(bench: Bench) -> None:
    bench.apply()
    (folder(bench) / "verdict.json").unlink()
    recalled = recall(folder(bench))
    assert recalled.judgement.holds
    assert recalled.missing == (
        "verdict.json: when it was judged; it is judged by all that was kept",
    )


def test_a_node_of_which_nothing_is_known_is_gone(bench: Bench) -> None:
    bench.apply()
    (folder(bench) / "verdict.json").write_text("{")
    (folder(bench) / "node-1.json").unlink()
    (folder(bench) / "node-1.records.jsonl").unlink()
    recalled = recall(folder(bench))
    alive = recalled.judgement.results[0]
    assert [(each.node_rank, each.found) for each in alive.findings] == [(1, "is gone")]
    assert recalled.missing[1:] == (
        "node-1.json: how node 1 ended",
        "node-1.records.jsonl: the last records of node 1",
    )


def test_without_times_a_join_has_no_proof_of_being_in_time(bench: Bench) -> None:
    """Lines without times of their own have the node's start, as nothing says otherwise."""
    bench.apply()
    (folder(bench) / "node-0.records.jsonl").unlink()
    assert recall(folder(bench)).judgement.holds


# -- damage -------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[str], str]] = {
    "empty": lambda _: "",
    "cut": lambda text: text[: len(text) // 2],
    "no JSON": lambda _: "\x00\xff{",
    "another shape": lambda _: "[1, 2]",
    "nested": lambda _: "[" * 100_000,
    "format 2": lambda text: text.replace('"format": 1', '"format": 2'),
    "ranks twice": lambda text: text.replace('"node_rank": 1', '"node_rank": 0'),
    "no nodes": lambda text: json.dumps(json.loads(text) | {"nodes": []}),
    "huge": lambda text: text.replace('"num_ranks": 1', '"num_ranks": 1000000000'),
    "negative": lambda text: text.replace('"num_ranks": 1', '"num_ranks": -1'),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_run_is_a_typed_error(bench: Bench, damage: Callable[[str], str]) -> None:
    bench.apply()
    path = folder(bench) / "run.json"
    path.write_text(damage(path.read_text()), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(RunUnreadable) as caught:
        recall(folder(bench))
    assert str(path) in caught.value.what


@pytest.mark.parametrize(
    "name", ["verdict.json", "node-1.json", "node-1.records.jsonl", "node-1.log"]
)
@pytest.mark.parametrize("damage", list(DAMAGE)[:5])
def test_damage_elsewhere_never_gives_more_than_there_was(
    bench: Bench, name: str, damage: str
) -> None:
    bench.engine.scripts[1] = Script(((0.0, "gone"),), 0.0, code=3)
    bench.apply()
    path = folder(bench) / name
    path.write_text(DAMAGE[damage](path.read_text()), encoding="utf-8", errors="surrogateescape")
    assert not recall(folder(bench)).judgement.holds


@pytest.mark.parametrize(
    "entry", ['{"line":-1,"at_s":1e999}', '{"line":0,"at_s":NaN}', '{"at_s":"x"}', "7"]
)
def test_an_entry_that_makes_no_sense_is_left_out(bench: Bench, entry: str) -> None:
    outcome = bench.apply()
    path = folder(bench) / "node-0.records.jsonl"
    path.write_text(f"{entry}\n{path.read_text()}")
    again(bench, outcome)


def test_checks_that_are_hidden_want_the_playbook(bench: Bench) -> None:
    bench.apply()
    path = folder(bench) / "run.json"
    path.write_text(path.read_text().replace('"20s"', '"***"'))
    with pytest.raises(RunUnreadable, match="name the playbook"):
        recall(folder(bench))
    assert recall(folder(bench), (Completed(),)).judgement.holds


# -- finding ------------------------------------------------------------------------


def test_the_newest_run_that_nodes_have_run_in_is_meant(bench: Bench) -> None:
    bench.apply()
    bench.apply(rerun=True)
    bench.engine.failures["start_nodes"] = EngineFailed("refused")
    bench.write(PLAYBOOK.replace("train.py", "other.py"))
    bench.apply_refused(EngineFailed)
    assert find_run("pair") == folder(bench, 2)
    assert [find_run("pair", f"run-{run}") for run in (1, 3)] == [
        folder(bench, 1),
        folder(bench, 3),
    ]
    assert read_run(folder(bench, 1)).run_id == "run-1"


@pytest.mark.parametrize(
    ("project", "run"), [("pair", "run-7"), ("other", None), ("../x", None), ("pair", "..")]
)
def test_a_run_that_is_not_there(bench: Bench, project: str, run: str | None) -> None:
    bench.apply()
    with pytest.raises(NoSuchProject):
        find_run(project, run)


# -- at the command line ------------------------------------------------------------


def test_verify_says_that_it_judges_what_was_kept(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    live = desk.run("verify", "pair.yaml")
    desk.run("destroy", "pair")
    told = desk.run("verify", "pair.yaml")
    first, *rest = told.out.splitlines()
    assert first.startswith("from the kept records of run ")
    assert (told.code, rest) == (0, live.out.splitlines())


@pytest.mark.parametrize("target", [(), ("pair",), ("./pair.yaml",)])
def test_verify_finds_the_run_however_it_is_named(desk: Desk, target: tuple[str, ...]) -> None:
    desk.engine.scripts[1] = Script(((0.0, "gone"),), 0.0, code=3)
    failed = desk.run("apply", "--json", "pair.yaml").document
    assert desk.run("verify", *target).code == ExitCode.NOT_CONVERGED
    desk.run("destroy", "pair")
    found = desk.run("verify", "--json", *target).document
    same = ("run_id", "run_dir", "checks", "cause", "exit_code", "project", "engine")
    assert [found[key] for key in same] == [failed[key] for key in same]
    assert (found["source"], found["missing"]) == ("kept", [])


def test_an_older_run_is_judged_by_its_id(desk: Desk) -> None:
    desk.engine.scripts[1] = Script(((0.0, "gone"),), 0.0, code=3)
    first = desk.run("apply", "--json", "pair.yaml").document
    desk.engine.scripts = join_and_end()
    second = desk.run("apply", "--json", "--rerun", "pair.yaml").document
    found = desk.run("verify", "--json", "--run", first["run_id"], "pair.yaml")
    assert (found.code, found.document["source"]) == (1, "kept")
    now = desk.run("verify", "--json", "--run", second["run_id"], "pair.yaml")
    assert (now.code, now.document["source"]) == (0, "nodes")


def test_an_edited_playbook_is_told(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.run("destroy", "pair")
    desk.write(PLAYBOOK.replace("joined: {within: 20s}", "training: {steps: 1}"))
    told = desk.run("verify", "pair.yaml")
    assert told.code == 1
    assert "the playbook is not as it was then: its checks as they are now are judged" in told.out
    assert desk.run("verify", "pair").code == 0


def test_with_nothing_kept_there_is_nothing_to_judge(desk: Desk) -> None:
    told = desk.run("verify")
    assert (told.code, told.err) == (
        9, "orchestrate: no project is here; name a playbook, or one of those kept: none\n",
    )  # fmt: skip
