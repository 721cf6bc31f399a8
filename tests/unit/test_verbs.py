"""apply, plan, verify, validate and schema, as typed: documents, texts and exit codes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator.errors import EngineUnavailable, ExitCode, ImageUnavailable
from orchestrator.playbook.loader import load
from orchestrator.playbook.schema import json_schema
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import MUTATING, FakeEngine, Script
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

OBJECTS = (
    ("image", "app:1", "present"),
    ("network", "pair-net", "present"),
    ("node", "pair-node-0", "finished"),
    ("node", "pair-node-1", "finished"),
)
NO_CHANGES = {"create": 0, "change": 0, "replace": 0, "remove": 0, "keep": 0}
JOIN = [
    dict.fromkeys(("created", "interpreter", "torch", "rendezvous", "resolved", "reached", "store"))
    | {"rank": rank, "node_rank": rank, "started": 0.0, "joined": 0.0}
    for rank in (0, 1)
]
CREATE = {
    "version": 1,
    "project": "pair",
    "engine": "docker",
    "counts": NO_CHANGES | {"create": 4},
    "objects": [
        {"kind": kind, "name": name, "action": "create", "cause": "not there yet", "fields": []}
        for kind, name, _ in OBJECTS
    ],
}
NOTHING = {
    "version": 1,
    "project": "pair",
    "engine": "docker",
    "counts": NO_CHANGES | {"keep": 4},
    "objects": [
        {"kind": kind, "name": name, "action": "keep", "cause": why, "fields": []}
        for kind, name, why in OBJECTS
    ],
}
CHECKS = [
    {"name": "alive", "status": "ok", "why": "2 nodes in order", "findings": []},
    {"name": "joined", "status": "ok", "why": "2 ranks after 0.0 s", "findings": []},
    {
        "name": "completed",
        "status": "ok",
        "why": "2 nodes ended with 0 after 0.0 s",
        "findings": [],
    },
]


def timeless(document: dict[str, Any]) -> dict[str, Any]:
    """The document without times and with no run id, which must be what they should be."""
    assert 0.0 <= document.pop("took_s") < 60.0
    for name in ("began_at_s", "judged_at_s"):
        assert abs(time.time() - document.pop(name, time.time())) < 600.0
    for action in document.get("actions", ()):
        assert 0.0 <= action.pop("took_s") < 60.0
    run_id = document.pop("run_id")
    assert re.fullmatch(r"\d{8}T\d{6}-[0-9a-f]{8}", run_id)
    assert document.pop("run_dir") == str(Path(f".orchestrate/runs/pair/{run_id}").absolute())
    return document


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d s", "N s", text)


# -- apply -----------------------------------------------------------------------


def test_apply_as_a_document(desk: Desk) -> None:
    said = desk.run("apply", "--json", "--engine", "docker", "pair.yaml")
    assert (said.code, said.err) == (0, "")
    assert timeless(said.document) == {
        "project": "pair",
        "engine": "docker",
        "plan": CREATE,
        "warnings": [],
        "actions": [
            {"kind": kind, "name": name, "status": "done", "reason": ""}
            for kind, name, _ in OBJECTS
        ],
        "checks": CHECKS,
        "join": JOIN,
        "restarts": [],
        "cause": "",
        "diagnosis": None,
        "recap": {"ok": 3, "changed": 4, "failed": 0, "skipped": 0},
        "exit_code": 0,
    }


def test_a_second_apply_as_a_document(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.engine.journal.clear()
    said = desk.run("apply", "--json", "--engine", "docker", "pair.yaml")
    assert timeless(said.document) == {
        "project": "pair",
        "engine": "docker",
        "plan": NOTHING,
        "warnings": [],
        "actions": [],
        "checks": CHECKS,
        "join": JOIN,
        "restarts": [],
        "cause": "",
        "diagnosis": None,
        "recap": {"ok": 7, "changed": 0, "failed": 0, "skipped": 0},
        "exit_code": 0,
    }
    assert desk.engine.journal == []


def test_an_apply_that_fails_as_a_document(desk: Desk) -> None:
    desk.engine.scripts = {rank: Script((), 0.0, code=127) for rank in (0, 1)}
    said = desk.run("apply", "--json", "pair.yaml")
    dies = "exited with code 127: its command does not exist"
    assert said.code == said.document["exit_code"] == ExitCode.NODE_NOT_STARTED
    assert said.document["recap"] == {"ok": 0, "changed": 4, "failed": 3, "skipped": 0}
    never = "ranks 0 and 1 each did not start: its command does not exist"
    assert said.document["cause"] == never
    assert said.document["diagnosis"]["headline"].startswith(never)
    assert said.document["checks"][0] == {
        "name": "alive",
        "status": "failed",
        "why": "a node is not in order",
        "findings": [
            {
                "node_rank": rank,
                "rank": None,
                "expected": "runs, or has ended with 0",
                "found": dies,
            }
            for rank in (0, 1)
        ],
    }


def test_detached_as_a_document(desk: Desk) -> None:
    said = desk.run("apply", "--json", "--detach", "pair.yaml")
    assert timeless(said.document) == {
        "project": "pair",
        "engine": "docker",
        "plan": CREATE,
        "warnings": [],
        "actions": [
            {"kind": kind, "name": name, "status": "done", "reason": ""}
            for kind, name, _ in OBJECTS
        ],
        "checks": [],
        "join": [],
        "restarts": [],
        "cause": "",
        "diagnosis": None,
        "recap": {"ok": 0, "changed": 4, "failed": 0, "skipped": 0},
        "exit_code": 0,
    }


def test_apply_as_text(desk: Desk) -> None:
    said = desk.run("apply", "--rerun", "pair.yaml")
    lines = without_times(said.out).splitlines()
    assert lines[0] == "PLAYBOOK pair.yaml: pair on docker, 2 nodes, world size 2"
    assert lines[1] == "PLAN"
    assert lines[-5:] == [
        "CHECKS",
        "ok:      check alive: 2 nodes in order",
        "ok:      check joined: 2 ranks after N s",
        "ok:      check completed: 2 nodes ended with 0 after N s",
        "RECAP pair on docker: ok=3 changed=4 failed=0 skipped=0  (N s)",
    ]
    byes = sorted(line for line in lines if "bye" in line)
    assert byes == ["rank 0 | bye from 0", "rank 1 | bye from 1"]
    assert (said.code, said.err) == (0, "a notice\n")


def test_without_following_the_nodes_lines_are_left_out(desk: Desk) -> None:
    said = desk.run("apply", "--no-follow", "--plain", "pair.yaml")
    assert (said.code, "rank 0 |" in said.out, "ok:      check joined" in said.out) == (
        *(0, False, True),
    )


@pytest.mark.parametrize("option", ["--plain", "--no-follow", "--detach"])
def test_what_only_a_run_has_a_use_for_is_no_matter_to_a_check(option: str, desk: Desk) -> None:
    assert desk.run("apply", "--check", option, "pair.yaml").code == 0
    assert desk.engine.mutations == []


def test_a_refused_action_is_in_the_recap_and_said_once(desk: Desk) -> None:
    desk.engine.failures["pull_image"] = ImageUnavailable("no such tag", fix="push it")
    said = desk.run("apply", "--engine", "docker", "pair.yaml")
    assert (said.code, said.err) == (5, "orchestrate: no such tag; push it\n")
    assert said.out.splitlines()[-2:] == [
        "failed:  pull image app:1: no such tag",
        "RECAP pair on docker: ok=0 changed=0 failed=1 skipped=3",
    ]


def test_an_image_that_always_is_pulled_is_counted_once(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace('{tag: "app:1"}', '{tag: "app:1", pull: always}'))
    said = desk.run("apply", "--json", "pair.yaml")
    assert said.document["recap"] == {"ok": 3, "changed": 4, "failed": 0, "skipped": 0}


def test_an_engine_that_does_not_answer_has_no_recap(desk: Desk) -> None:
    desk.engine.failures["observe"] = EngineUnavailable("it does not answer", fix="start it")
    said = desk.run("apply", "--engine", "docker", "pair.yaml")
    assert (said.code, said.err) == (4, "orchestrate: it does not answer; start it\n")
    assert len(said.out.splitlines()) == 1


@pytest.mark.parametrize("json_option", [(), ("--json",)])
@pytest.mark.parametrize("verb", ["apply", "plan", "verify"])
def test_an_invalid_playbook_asks_no_engine(
    verb: str, json_option: tuple[str, ...], desk: Desk
) -> None:
    desk.write(PLAYBOOK.replace("nodes: 2", "nodes: 0"))
    said = desk.run(verb, *json_option, "pair.yaml")
    assert said.code == 3
    if json_option:
        assert said.err == ""
        assert [fault["path"] for fault in said.document["error"]["faults"]] == ["ranks.nodes"]
    else:
        assert said.out == ""
        assert said.err.startswith("pair.yaml:4:16: ranks.nodes: ")
    assert (desk.engine.journal, desk.engine.num_looks) == ([], 0)


# -- plan ------------------------------------------------------------------------


def test_plan_as_a_document(desk: Desk) -> None:
    assert desk.run("plan", "--json", "pair.yaml").document == CREATE
    desk.run("apply", "pair.yaml")
    assert desk.run("plan", "--json", "pair.yaml").document == NOTHING


def test_plan_as_text(desk: Desk) -> None:
    said = desk.run("plan", "--engine", "docker", "pair.yaml")
    assert (said.code, said.err) == (0, "")
    assert said.out.splitlines() == [
        "PLAN",
        " +  image app:1       (not there yet)",
        " +  network pair-net  (not there yet)",
        " +  node pair-node-0  (not there yet)",
        " +  node pair-node-1  (not there yet)",
        "Plan: 4 to create, 0 to change, 0 to replace, 0 to remove, 0 as they should be.",
    ]


def test_pending_changes_have_an_exit_code_when_asked_for(desk: Desk) -> None:
    before = [desk.run("plan", *more, "pair.yaml").code for more in ((), ("--exit-code",))]
    desk.run("apply", "pair.yaml")
    after = desk.run("plan", "--exit-code", "pair.yaml").code
    again = desk.run("plan", "--exit-code", "--rerun", "pair.yaml").code
    assert (before, after, again) == ([0, 2], 0, 2)


# -- verify ----------------------------------------------------------------------


def test_verify_as_a_document(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.engine.failures = {call: AssertionError(call) for call in MUTATING}
    said = desk.run("verify", "--json", "pair.yaml")
    assert (said.code, timeless(said.document)) == (
        0,
        {
            "project": "pair",
            "engine": "docker",
            "source": "nodes",
            "missing": [],
            "checks": CHECKS,
            "join": JOIN,
            "cause": "",
            "diagnosis": None,
            "exit_code": 0,
        },
    )


def test_verify_as_text(desk: Desk) -> None:
    desk.engine.scripts = {rank: Script(((0.0, "no record"),), 0.0) for rank in (0, 1)}
    desk.run("apply", "pair.yaml")
    said = desk.run("verify", "pair.yaml")
    never = "expected process_group_joined within 20 s; found nothing; it exited with code 0"
    lines = [re.sub(r"(exited with code 0).*", r"\1", line) for line in said.out.splitlines()]
    assert (said.code, [without_times(line) for line in lines]) == (
        1,
        [
            f"DIAGNOSIS ranks 0 and 1 each fails check joined: {never}",
            "ok:      check alive: 2 nodes in order",
            "failed:  check joined: 2 of 2 ranks did not join",
            f"    rank 0: {never}",
            f"    rank 1: {never}",
            "ok:      check completed: 2 nodes ended with 0 after N s",
            "LAST LINES of pair-node-0",
            "    no record",
            "LAST LINES of pair-node-1",
            "    no record",
        ],
    )


def test_verify_of_nothing(desk: Desk) -> None:
    said = desk.run("verify", "--engine", "docker", "pair.yaml")
    path = desk.folder / "pair.yaml"
    assert (said.code, said.out, said.err) == (
        9,
        "",
        "orchestrate: project pair has no nodes here, and no run of it is kept;"
        f" run `orchestrate apply {path}` first\n",
    )


# -- validate and schema ---------------------------------------------------------


def test_validate(desk: Desk) -> None:
    assert desk.run("validate", "pair.yaml").out == "pair.yaml: valid (pair)\n"
    said = desk.run("validate", "--json", "pair.yaml")
    digest = load(Path("pair.yaml")).digest
    assert said.document == {"valid": True, "faults": [], "digest": digest}


def test_validate_what_is_wrong(desk: Desk) -> None:
    desk.write(PLAYBOOK + "helth_checks: []\n")
    text, document = desk.run("validate", "pair.yaml"), desk.run("validate", "--json", "pair.yaml")
    fault = document.document["faults"][0]
    assert document.document == {"valid": False, "faults": [fault]}
    assert (fault["file"], fault["line"], fault["column"]) == ("pair.yaml", 6, 1)
    assert (text.code, text.out, document.code, document.err) == (3, "", 3, "")
    path = f"{fault['path']}: " if fault["path"] else ""
    assert text.err == (
        f"pair.yaml:6:1: {path}{fault['what']}; {fault['fix']}\n"
        "  6 | helth_checks: []\n"
        "    | ^~~~~~~~~~~~\n"
    )


def test_schema(desk: Desk) -> None:
    said = desk.run("schema")
    assert (said.code, json.loads(said.out)) == (0, json.loads(json.dumps(json_schema())))


@pytest.mark.parametrize("engine", ["podman", "DOCKER", ""])
def test_an_engine_that_there_is_not(engine: str, desk: Desk) -> None:
    said = desk.run("apply", "--engine", engine, "pair.yaml")
    assert (said.code, said.out, isinstance(desk.engine, FakeEngine)) == (64, "", True)
    assert desk.engine.journal == []


@pytest.mark.parametrize(
    ("text", "places_probe", "num_told"),
    [("", False, 1), ("probe: off\n", False, 0), ("", True, 0)],
)
def test_an_engine_that_cannot_place_the_probe_is_told_of_once(
    text: str, places_probe: bool, num_told: int, desk: Desk
) -> None:
    desk.write(PLAYBOOK + text)
    desk.engine.traits = replace(desk.engine.traits, places_probe=places_probe)
    said = desk.run("apply", "pair.yaml")
    assert (said.code, said.err.count("nodes run without the probe")) == (0, num_told)
    probes = [node.spec.probe for node in desk.engine.observe_nodes("pair")]
    assert probes == [not text and places_probe] * 2


def test_edited_deadlines_are_no_reason_to_replace_a_node(desk: Desk) -> None:
    desk.run("apply", "pair.yaml")
    desk.write(PLAYBOOK.replace("20s", "21s").replace("[{joined", "[{progress: {}}, {joined"))
    said = desk.run("apply", "--json", "pair.yaml")
    assert (said.code, said.document["plan"]["counts"]) == (0, NO_CHANGES | {"keep": 4})
    desk.write(PLAYBOOK + "probe: off\n")
    said = desk.run("plan", "--json", "pair.yaml")
    fields = [each["fields"] for each in said.document["objects"] if each["kind"] == "node"]
    switched = {"field": "probe", "old": "on", "new": "off", "forces_replacement": True}
    assert fields == [[switched], [switched]]
