"""What an apply leaves in the folder of its run, file by file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator.errors import EngineFailed, FolderUnusable
from orchestrator.events import Event, GangRestarted, NodeSpoke
from tests.unit.fake_engine import Script, joined
from tests.unit.workbench import PLAYBOOK, Bench, bench

__all__ = ["bench"]

FILES = {
    "playbook.yaml", "run.json", "plan.json", "events.jsonl", "verdict.json",
    *(f"node-{rank}{end}" for rank in (0, 1) for end in (".log", ".json", ".records.jsonl")),
}  # fmt: skip


def folder(bench: Bench, run: int = 1) -> Path:
    return bench.folder / f".orchestrate/runs/pair/run-{run}"


def document(path: Path) -> Any:
    return json.loads(path.read_text())


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events(bench: Bench, run: int = 1) -> list[str]:
    return [each["event"] for each in lines(folder(bench, run) / "events.jsonl")]


def test_a_run_leaves_all_that_it_takes_to_judge_it(bench: Bench) -> None:
    outcome = bench.apply()
    assert {path.name for path in folder(bench).iterdir()} == FILES
    assert (outcome.run_id, outcome.run_dir) == ("run-1", str(folder(bench)))


def test_the_run_says_what_was_asked_for(bench: Bench) -> None:
    bench.apply()
    run = document(folder(bench) / "run.json")
    nodes = run.pop("nodes")
    assert run.pop("began_at_s") > 0
    assert set(run.pop("versions")) == {"orchestrate", "python", "os"}
    assert run.pop("playbook_digest").startswith("sha256:")
    assert run == {
        "format": 1,
        "project": "pair",
        "run_id": "run-1",
        "restart_count": 0,
        "playbook": str(bench.folder / "pair.yaml"),
        "engine": "docker",
        "endpoint": "",
        "health_checks": [{"joined": {"within": "20s"}}, {"completed": {"within": "20s"}}],
        "gpus": None,
        "sidecar": None,
    }
    assert [(node["name"], node["command"]) for node in nodes] == [
        ("pair-node-0", ["python", "train.py"]),
        ("pair-node-1", ["python", "train.py"]),
    ]
    assert document(folder(bench) / "plan.json")["counts"]["create"] == 4
    assert (folder(bench) / "playbook.yaml").read_text().startswith("version: 1\nname: pair\n")


def test_events_stand_in_the_order_in_which_they_came(bench: Bench) -> None:
    bench.apply()
    told = events(bench)
    assert told[0] == "plan_made"
    assert told.count("action_done") == 4
    assert told[-1] == "attempt_judged"
    assert "node_spoke" not in told


def test_records_bear_node_line_and_the_engines_time(bench: Bench) -> None:
    bench.engine.scripts = {
        rank: Script(((0.0, "first"), (0.25, joined(rank)), (0.25, "bye"), (0.5, "more")), 0.5)
        for rank in (0, 1)
    }
    bench.apply()
    started_s = bench.engine.observe_nodes("pair")[1].started_at_s
    assert started_s is not None
    record = json.loads(joined(1).replace("$RUN_ID", "run-1"))
    found = lines(folder(bench) / "node-1.records.jsonl")
    assert found == [
        {"node_rank": 1, "line": 0, "at_s": started_s},
        {"node_rank": 1, "line": 1, "at_s": started_s + 0.25, "record": record},
        {"node_rank": 1, "line": 3, "at_s": started_s + 0.5},
        {"node_rank": 1, "end": True},
    ]


def test_the_verdict_has_results_states_and_how_the_apply_ended(bench: Bench) -> None:
    bench.engine.scripts[1] = Script(((0.0, "no such file"),), 0.0, code=3)
    outcome = bench.apply()
    verdict = document(folder(bench) / "verdict.json")
    assert outcome.judgement is not None
    assert verdict["judged_at_s"] == outcome.judgement.run.now_s
    assert verdict["diagnosis"]["headline"] == (
        "rank 1 (pair-node-1) exited with code 3: last line `no such file`"
        "; see the last lines of its log"
    )
    assert [(each["name"], each["status"]) for each in verdict["checks"]] == [
        ("alive", "failed"), ("joined", "failed"), ("completed", "failed"),
    ]  # fmt: skip
    assert [(node["status"], node["exit_code"]) for node in verdict["nodes"]] == [
        ("exited", 0), ("exited", 3),
    ]  # fmt: skip
    assert (verdict["apply"]["exit_code"], verdict["apply"]["restarts"]) == (1, [])
    assert document(folder(bench) / "node-1.json")["exit_code"] == 3


def test_each_attempt_has_a_folder_of_its_own(bench: Bench) -> None:
    bench.write(PLAYBOOK + "restarts: {max: 1}\n")
    bench.engine.attempts = {0: {0: Script(), 1: Script((), 0.0, code=3)}}
    assert int(bench.apply().exit_code) == 0
    assert {path.name for path in folder(bench, 1).iterdir()} >= FILES
    assert {path.name for path in folder(bench, 2).iterdir()} >= FILES - {"plan.json"}
    assert events(bench, 1)[-2:] == ["attempt_judged", "restart_decided"]
    assert events(bench, 2)[-1] == "attempt_judged"
    first, second = (document(folder(bench, run) / "verdict.json") for run in (1, 2))
    assert first["diagnosis"]["what"] == "exited with code 3"
    assert second["diagnosis"] is None
    assert [each["number"] for each in second["apply"]["restarts"]] == [1]
    assert [each for each in bench.events if isinstance(each, GangRestarted)]


def test_an_apply_with_nothing_to_do_goes_on_in_the_folder_of_the_run(bench: Bench) -> None:
    bench.apply()
    before = lines(folder(bench) / "events.jsonl")
    assert bench.apply().run_id == "run-1"
    after = lines(folder(bench) / "events.jsonl")
    assert (after[: len(before)], events(bench)[len(before) :]) == (
        before, ["plan_made", "attempt_judged"],
    )  # fmt: skip
    assert [path.name for path in folder(bench).parent.iterdir()] == ["run-1"]


def test_a_run_that_nobody_follows_keeps_its_records_when_it_goes(bench: Bench) -> None:
    bench.apply(detach=True)
    assert not (folder(bench) / "node-0.records.jsonl").exists()
    bench.write(PLAYBOOK.replace("train.py", "other.py"))
    bench.apply()
    kept = [
        each.get("record", {}).get("event")
        for each in lines(folder(bench) / "node-0.records.jsonl")
    ]
    assert kept == ["process_group_joined", None]
    assert "verdict.json" not in {path.name for path in folder(bench).iterdir()} or (
        "checks" not in document(folder(bench) / "verdict.json")
    )


def test_an_error_is_part_of_what_is_kept(bench: Bench) -> None:
    bench.engine.failures["start_nodes"] = EngineFailed("no more pids")
    bench.apply_refused(EngineFailed)
    assert document(folder(bench) / "verdict.json")["apply"]["error"] == "no more pids"
    assert events(bench)[-1] == "action_failed"


def test_without_a_folder_nothing_is_started(bench: Bench) -> None:
    (bench.folder / ".orchestrate").write_text("in the way")
    error = bench.apply_refused(FolderUnusable)
    assert "nothing was started" in error.fix
    assert bench.engine.mutations == []


def test_a_folder_that_goes_during_the_run_does_not_end_it(bench: Bench) -> None:
    def remove(event: Event) -> None:
        if isinstance(event, NodeSpoke):
            for path in folder(bench).iterdir():
                path.unlink()

    assert int(bench.apply_telling(remove).exit_code) == 0


def test_what_is_written_to_is_never_seen_half(bench: Bench) -> None:
    bench.apply()
    assert [path for path in folder(bench).rglob("*") if ".part" in path.name] == []


SECRET = """\
version: 1
name: pair
vars: {token: "{{ env('TOKEN') }}"}
image: {tag: "app:1"}
ranks:
  nodes: 2
  command: [python, train.py, "{{ token }}"]
  env: {PLAIN: "{{ token }}", MY_PASSWORD: letmein-4711}
  env_file: [some.env]
  secrets: [{name: key, file: ./key}]
health_checks: [{joined: {within: 20s}}, {completed: {within: 20s}}]
"""


def test_no_hidden_value_is_in_the_folder(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "canary-by-env")
    (bench.folder / "some.env").write_text("FROM_FILE=canary-by-file\nNCCL_DEBUG=canary-nccl\n")
    (bench.folder / "key").write_text("canary\nof-two-lines\n")
    bench.write(SECRET)
    bench.engine.scripts[1] = Script(((0.0, "fine"),), 0.0, code=3)
    bench.apply()
    texts = {path.name: path.read_text() for path in folder(bench).iterdir()}
    assert set(texts) == FILES
    assert [name for name, text in texts.items() if "canary" in text or "of-two" in text] == []
    assert [name for name, text in texts.items() if "letmein" in text] == ["playbook.yaml"]


def test_a_secret_that_a_node_tells_of_is_in_its_log_alone(bench: Bench) -> None:
    (bench.folder / "key").write_text("canary-5711")
    bench.write(PLAYBOOK.replace("train.py]", "train.py], secrets: [{name: key, file: ./key}]"))
    said = '{"event":"rank_failed","rank":1,"run_id":"$RUN_ID","reason":"it was canary-5711"}'
    bench.engine.scripts[1] = Script(((0.0, said), (0.1, "canary-5711")), 0.1, code=3)
    bench.apply()
    assert [path.name for path in folder(bench).iterdir() if "canary" in path.read_text()] == [
        "node-1.log"
    ]


def test_a_plan_is_kept_without_values_of_variables(bench: Bench) -> None:
    bench.apply()
    bench.write(
        PLAYBOOK.replace("train.py]", "train.py], env: {TOKEN: canary-1, NCCL_DEBUG: INFO}")
    )
    bench.apply()
    objects = document(folder(bench, 2) / "plan.json")["objects"]
    changed = {each["field"]: each["new"] for each in objects[2]["fields"]}
    assert changed == {"env.NCCL_DEBUG": "INFO", "env.TOKEN": "***"}
