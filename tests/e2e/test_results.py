"""Results for machines on every engine: judged live, judged again from what was kept, reported."""

from __future__ import annotations

import base64
import json
import tarfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from orchestrator.report.result import results_schema
from tests.e2e.conftest import Desk, Ran
from tests.waiting import wait_until

JOIN = (
    'echo "{\\"event\\":\\"process_group_joined\\",\\"rank\\":$RANK,'
    '\\"run_id\\":\\"$ORCHESTRATE_RUN_ID\\",\\"world_size\\":2,\\"backend\\":\\"gloo\\",'
    '\\"master_addr\\":\\"$MASTER_ADDR\\",\\"rank_sum\\":1}"; '
)
CHECKS = "health_checks: [{joined: {within: 60s}}, {completed: {within: 60s}}]"
SAME = ("project", "engine", "run_id", "run_dir", "checks", "cause", "diagnosis", "exit_code")


def document(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    jsonschema.Draft202012Validator(results_schema()).validate(found)
    return found


def verify(desk: Desk, *args: str) -> Ran:
    return desk.run("verify", "--engine", desk.engine, *args)


@pytest.mark.parametrize("code", [0, 3])
def test_a_run_is_judged_the_same_when_its_nodes_are_gone(desk: Desk, code: int) -> None:
    desk.write(f"{JOIN} [ $RANK = 0 ] || {{ echo oops; exit {code}; }}", health_checks=CHECKS)
    applied = document(desk.apply("--json", "--junit", "j.xml"))
    assert applied["exit_code"] == (1 if code else 0)
    cases = ET.parse(desk.folder / "j.xml").getroot().iter("testcase")
    assert [(case.attrib["name"], case.find("failure") is not None) for case in cases] == [
        (each["name"], each["status"] == "failed") for each in applied["checks"]
    ]
    live = document(verify(desk, "--json", "playbook.yaml"))
    assert (live["source"], live["checks"]) == ("nodes", applied["checks"])
    assert desk.destroy().code == 0
    kept = document(verify(desk, "--json", "playbook.yaml"))
    assert (kept["source"], kept["missing"]) == ("kept", [])
    assert {key: kept[key] for key in SAME} == {key: applied[key] for key in SAME}
    by_name = document(verify(desk, "--json", desk.project, "--run", kept["run_id"]))
    assert by_name["checks"] == applied["checks"]


def test_an_apply_that_was_killed_leaves_what_can_be_judged(desk: Desk) -> None:
    desk.write(f"{JOIN} sleep 60", health_checks=CHECKS)
    child = desk.start("apply", "--engine", desk.engine, "playbook.yaml")
    runs = desk.folder / ".orchestrate/runs" / desk.project

    def has_joined() -> bool:
        kept = [path.read_text() for path in runs.glob("*/node-*.records.jsonl")]
        return len(kept) == 2 and all("process_group_joined" in text for text in kept)

    wait_until(has_joined, within_s=60)
    child.kill()
    child.communicate()
    files = next(runs.iterdir())
    assert {"run.json", "plan.json", "playbook.yaml", "events.jsonl"} <= names(files)
    for path in files.glob("*.jsonl"):
        assert [json.loads(line) for line in path.read_text().splitlines()]
    assert desk.destroy("--grace", "0").code == 0
    judged = document(verify(desk, "--json", "playbook.yaml"))
    statuses = {each["name"]: each["status"] for each in judged["checks"]}
    assert (statuses["joined"], statuses["completed"]) == ("ok", "skipped")
    assert judged["missing"][0].startswith("verdict.json")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


CANARIES = ("canary-5721-x9", "canary-5722-x9", "canary-5723-x9")


def test_a_support_bundle_holds_all_of_a_run_and_no_secret(desk: Desk) -> None:
    desk.env["E2E_TOKEN"] = CANARIES[0]
    (desk.folder / "key").write_text(f"{CANARIES[1]}\n")
    (desk.folder / "common.env").write_text(f"FROM_FILE={CANARIES[2]}\n")
    script = (
        "cat $ORCHESTRATE_SECRETS_DIR/*; echo $FROM_FILE; echo x$FROM_FILE | busybox base64;"
        " [ $RANK = 0 ] || exit 3"
    )
    more = ", env_file: [common.env], secrets: [{name: token, env: E2E_TOKEN},"
    more += " {name: wandb, file: ./key}]"
    desk.write(script, ranks=desk.ranks(script, more))
    assert desk.apply().code == 1
    for state in ("there", "gone"):
        out = desk.folder / f"{state}.tar.gz"
        args = ("support-bundle", "--engine", desk.engine, "--out", str(out), "playbook.yaml")
        told = desk.run(*args)
        assert told.code == 0, told.err
        content = unpacked(out)
        assert {"manifest.json", "verdict.json", "node-0.log", "node-1.log"} <= set(content)
        assert ("nodes/node-1.json" in content) is (state == "there")
        hidden = [*(each.encode() for each in CANARIES), *in_base64(CANARIES[2])]
        assert [n for n, text in content.items() if any(each in text for each in hidden)] == []
        assert b"***" in content["node-1.log"]
        desk.destroy()


def unpacked(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as tar:
        found = {each.name.partition("/")[2]: tar.extractfile(each) for each in tar.getmembers()}
        return {name: file.read() for name, file in found.items() if file is not None}


def in_base64(value: str) -> list[bytes]:
    """Eight characters of a value's base64 at each of the three places it may begin at."""
    return [base64.b64encode(bytes(pad) + value.encode())[4:12] for pad in range(3)]
