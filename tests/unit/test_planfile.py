"""Plans kept in files: carried out exactly as they were shown, or refused with what moved."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from orchestrator import redaction
from orchestrator.plans.key import plan_key
from orchestrator.plans.mark import is_plan_file
from orchestrator.state.observed import NodeStatus
from orchestrator.state.traits import EngineTraits
from tests.unit.desk import Desk, Said, desk
from tests.unit.fake_engine import MUTATING, Script
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

KEPT = "kept.plan"


def keep(desk: Desk, *options: str) -> Said:
    return desk.run("plan", "--engine", "docker", *options, "--out", KEPT, "pair.yaml")


def runs_on(desk: Desk) -> None:
    desk.engine.scripts = {0: Script(), 1: Script()}
    desk.run("apply", "--detach", "--engine", "docker", "pair.yaml")
    desk.engine.journal.clear()


def test_a_plan_that_was_kept_is_carried_out(desk: Desk) -> None:
    said = keep(desk)
    assert (said.code, said.out.splitlines()[-1]) == (
        0,
        f"kept in {KEPT}: `orchestrate apply {KEPT}` does exactly this",
    )
    assert desk.engine.journal == []
    applied = desk.run("apply", KEPT)
    assert (applied.code, len(desk.engine.mutations)) == (0, 3)
    assert "Plan: 4 to create" in applied.out


def test_a_plan_with_variables_asks_for_them_again_and_names_no_value(desk: Desk) -> None:
    desk.write("vars: {greeting: hello}\n" + PLAYBOOK.replace("hello", "{{ greeting }}"))
    said = keep(desk, "-e", "greeting=s3cret")
    assert said.out.splitlines()[-1] == (
        f"kept in {KEPT}: `orchestrate apply {KEPT}`, with the same -e and --vars-file,"
        " does exactly this"
    )


def test_a_plan_is_carried_out_once(desk: Desk) -> None:
    keep(desk)
    desk.run("apply", KEPT)
    desk.engine.journal.clear()
    again = desk.run("apply", KEPT)
    assert (again.code, desk.engine.mutations) == (16, [])
    assert "node pair-node-0 has come" in again.err
    assert "node pair-node-1: create (not there yet) then, keep (finished) now" in again.err


def test_a_plan_for_a_new_run_remembers_it(desk: Desk) -> None:
    desk.run("apply", "--engine", "docker", "pair.yaml")
    keep(desk, "--rerun")
    assert desk.run("apply", KEPT).code == 0
    assert {node.run_id for node in desk.engine.observe_nodes("pair")} != {"run-1"}


def test_the_file_is_its_owners_alone_and_holds_no_value_of_a_node(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace("train.py]", "train.py], env: {TOKEN: canary-7f3}"))
    keep(desk)
    path = desk.folder / KEPT
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert "canary" not in path.read_text()
    document = json.loads(path.read_text())
    assert next(iter(document)) == "orchestrate_plan"
    assert document["playbook"] == str(desk.folder / "pair.yaml")
    assert not list(desk.folder.glob(".*.part"))


def test_checking_a_kept_plan_shows_it_and_does_nothing(desk: Desk) -> None:
    keep(desk)
    desk.engine.failures = {call: AssertionError(call) for call in MUTATING}
    checked = desk.run("apply", "--check", KEPT)
    assert (checked.code, checked.out) == (0, desk.run("plan", "pair.yaml").out)


Moved = Callable[[Desk], None]


def edited(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace("train.py", "other.py"))


def checks_edited(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace("within: 20s", "within: 21s"))


def died(desk: Desk) -> None:
    desk.engine.world.end(1, 3)


def paused(desk: Desk) -> None:
    desk.engine.world.change(1, status=NodeStatus.PAUSED)


def renewed(desk: Desk) -> None:
    (node,) = [each for each in desk.engine.world.nodes.values() if each.node_rank == 1]
    del desk.engine.world.nodes[node.id]
    desk.engine.world.nodes["other"] = replace(node, id="other")


def gone(desk: Desk) -> None:
    (node,) = [each for each in desk.engine.world.nodes.values() if each.node_rank == 1]
    del desk.engine.world.nodes[node.id]


def image_moved(desk: Desk) -> None:
    desk.engine.world.add_image("app:1")


MOVES: dict[str, tuple[Moved, str]] = {
    "the playbook": (edited, "pair.yaml was edited, or has other variables"),
    "a health check": (checks_edited, "pair.yaml was edited, or has other variables"),
    "a node that died": (
        died,
        "node pair-node-1: keep (running) then, replace (exited with code 3) now",
    ),
    "a node that was paused": (
        paused,
        "node pair-node-1: keep (running) then, change (status paused -> running) now",
    ),
    "a node that is another one": (renewed, "node pair-node-1 is another one"),
    "a node that is gone": (gone, "node pair-node-1 is gone"),
    "the image": (image_moved, "image app:1 is another one"),
}


@pytest.mark.parametrize("what", MOVES)
def test_a_plan_is_refused_when_something_has_moved(what: str, desk: Desk) -> None:
    move, words = MOVES[what]
    runs_on(desk)
    keep(desk)
    move(desk)
    said = desk.run("apply", KEPT)
    assert (said.code, desk.engine.mutations) == (16, [])
    assert words in said.err
    assert "plan --out FILE" in said.err


def test_a_plan_for_another_engine_is_refused(desk: Desk) -> None:
    keep(desk)
    assert isinstance(desk.engine.traits, EngineTraits)
    desk.engine.traits = replace(desk.engine.traits, endpoint="tcp://elsewhere")
    said = desk.run("apply", KEPT)
    assert (said.code, said.err.split(";")[0]) == (
        16,
        "orchestrate: the plan is out of date: it is for engine docker,"
        " not for engine docker at tcp://elsewhere",
    )


def test_a_plan_is_refused_when_a_secret_has_changed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.write(PLAYBOOK.replace("train.py]", "train.py], secrets: [token]"))
    monkeypatch.setenv("TOKEN", "canary-1")
    keep(desk)
    monkeypatch.setenv("TOKEN", "canary-2")
    said = desk.run("apply", KEPT)
    assert (said.code, desk.engine.mutations, "canary" in said.err) == (16, [], False)
    assert "variables, files, secrets or devices that the playbook reads are other ones" in said.err
    monkeypatch.setenv("TOKEN", "canary-1")
    assert desk.run("apply", KEPT).code == 0


def test_nothing_in_a_plan_file_can_be_made_again_without_the_key(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Else whoever has the file could try every short secret until one fits."""
    kept: list[dict[str, Any]] = []
    for account in ("one", "two", "one"):
        monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / account))
        assert keep(desk).code == 0
        kept.append(json.loads((desk.folder / KEPT).read_text()))
    assert kept[0] == kept[2]
    differing = {name for name in kept[0] if kept[0][name] != kept[1][name]}
    assert differing == {"key", "playbook_digest", "desired"}
    key = tmp_path / "one/orchestrate/plan.key"
    assert (key.stat().st_size, stat.S_IMODE(key.stat().st_mode)) == (32, 0o600)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "two"))
    refused = desk.run("apply", KEPT)
    assert (refused.code, desk.engine.mutations) == (16, [])
    assert "it was made by another account, or with another XDG_STATE_HOME" in refused.err


@pytest.mark.parametrize("content", [b"", b"short"])
def test_a_damaged_key_is_one_clear_line(
    content: bytes, desk: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    (tmp_path / "orchestrate").mkdir()
    (tmp_path / "orchestrate/plan.key").write_bytes(content)
    said = keep(desk)
    assert (said.code, len(said.err.splitlines()), "plan.key is damaged" in said.err) == (
        13,
        1,
        True,
    )


def test_of_two_who_make_the_key_at_once_one_wins(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(lambda _: plan_key(tmp_path / "new"), range(8)))
    assert keys == {plan_key(tmp_path / "new")}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["plan.key"]


DAMAGED: dict[str, tuple[Callable[[str], str], str]] = {
    "cut": (lambda text: text[: len(text) // 2], "is a damaged plan file"),
    "of a later format": (
        lambda text: text.replace('"orchestrate_plan": 1', '"orchestrate_plan": 2'),
        "is a plan of format 2, not 1",
    ),
    "with a later plan": (
        lambda text: text.replace('"version": 1', '"version": 9'),
        "holds a plan of another version",
    ),
    "of other types": (lambda text: text.replace('"rerun": false', '"rerun": 0'), "is a damaged"),
    "deeply nested": (lambda text: text[:30] + "[" * 200_000, "is a damaged plan file"),
    "with other objects": (
        lambda text: text.replace('"objects": [', '"objects": [7, "x", null,'),
        "",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_plan_file_is_one_clear_line(damage: str, desk: Desk) -> None:
    harm, words = DAMAGED[damage]
    keep(desk)
    path = desk.folder / KEPT
    path.write_text(harm(path.read_text()))
    said = desk.run("apply", KEPT)
    if words:
        assert (said.code, len(said.err.splitlines()), desk.engine.mutations) == (16, 1, [])
        assert words in said.err
    else:
        assert said.code == 0


def test_what_is_no_plan_is_not_written_over(desk: Desk) -> None:
    said = desk.run("plan", "--out", "pair.yaml", "pair.yaml")
    assert (said.code, (desk.folder / "pair.yaml").read_text()) == (16, PLAYBOOK)
    keep(desk)
    assert keep(desk).code == 0


def test_a_plan_that_cannot_be_written_is_one_clear_line(desk: Desk) -> None:
    said = desk.run("plan", "--out", "nowhere/kept.plan", "pair.yaml")
    assert (said.code, "cannot be written" in said.err) == (13, True)


@pytest.mark.parametrize(
    "text", ["", "{", PLAYBOOK, "{version: 1, name: pair}", '{"plan": 1}', "\0" * 100]
)
def test_a_playbook_is_not_taken_for_a_plan(text: str, tmp_path: Path) -> None:
    (tmp_path / "x").write_text(text)
    assert not is_plan_file(tmp_path / "x")
    assert not is_plan_file(tmp_path / "missing")
    assert not is_plan_file(tmp_path)


def test_a_kept_plan_holds_no_secret_and_can_be_carried_out_all_the_same(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs_on(desk)
    monkeypatch.setattr(redaction, "_known", set())
    redaction.learn([b"canary-7f3"])
    desk.write(PLAYBOOK.replace("train.py]", "train.py, --token, canary-7f3]"))
    keep(desk)
    text = (desk.folder / KEPT).read_text()
    assert ("canary" in text, redaction.VEIL in text) == (False, True)
    applied = desk.run("apply", "--detach", KEPT)
    assert (applied.code, "canary" in applied.out + applied.err) == (0, False)


def test_a_plan_with_variables_wants_the_same_ones_again(desk: Desk) -> None:
    templated = PLAYBOOK.replace("train.py]", "train.py, --steps, '{{ steps }}']")
    desk.write(f"vars: {{steps: 1}}\n{templated}")
    kept = desk.run("plan", "--engine", "docker", "-e", "steps=2", "--out", KEPT, "pair.yaml")
    assert kept.code == 0, kept.err
    refused = desk.run("apply", KEPT)
    assert (refused.code, "variables" in refused.err, desk.engine.mutations) == (16, True, [])
    assert desk.run("apply", "-e", "steps=2", KEPT).code == 0
