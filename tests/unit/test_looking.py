"""status, logs and destroy, as typed: documents, texts and exit codes."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from orchestrator import redaction
from orchestrator.commands.listening import _new_lines
from orchestrator.loglines import LogLine
from orchestrator.state.observed import ForeignObject, ProjectSummary
from tests.unit.desk import Desk, desk
from tests.unit.fake_engine import LOCAL_LIKE, Clock, FakeEngine, Script, joined
from tests.unit.workbench import PLAYBOOK

__all__ = ["desk"]

SAID = [
    "rank 0 | process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
    "rank 0 | bye from 0",
    "rank 1 | process_group_joined backend=gloo master_addr=pair-node-0 rank_sum=1",
    "rank 1 | bye from 1",
]


@pytest.fixture
def applied(desk: Desk) -> Desk:
    """The playbook has been applied."""
    assert desk.run("apply", "pair.yaml").code == 0
    desk.engine.journal.clear()
    return desk


def with_local(desk: Desk) -> FakeEngine:
    """A second engine, on which a project of the same name runs."""
    local = FakeEngine(traits=LOCAL_LIKE)
    desk.engines.insert(0, local)
    assert desk.run("apply", "--detach", "pair.yaml").code == 0
    desk.engines.reverse()
    return local


def apply_as(desk: Desk, name: str) -> None:
    desk.write(PLAYBOOK.replace("name: pair", f"name: {name}"), f"{name}.yaml")
    assert desk.run("apply", "--detach", f"{name}.yaml").code == 0


# -- status ----------------------------------------------------------------------


def status_of(desk: Desk, engine: FakeEngine) -> dict[str, Any]:
    return {
        "name": "pair",
        "engine": engine.traits.name,
        "playbook": str(desk.folder / "pair.yaml"),
        "owner": None,
        "nodes": [
            {
                "name": f"pair-node-{node.node_rank}",
                "node_rank": node.node_rank,
                "ranks": [node.node_rank],
                "status": node.status.value,
                "exit_code": node.exit_code,
                "run_id": node.run_id,
                "started_at_s": node.started_at_s,
                "finished_at_s": node.finished_at_s,
                "id": node.id,
            }
            for node in engine.observe_nodes("pair")
        ],
        "sidecars": [],
    }


def test_status_as_a_document(applied: Desk) -> None:
    said = applied.run("status", "--json")
    assert (said.code, said.document) == (
        0,
        {"projects": [status_of(applied, applied.engine)]},
    )
    assert [node["status"] for node in said.document["projects"][0]["nodes"]] == ["exited"] * 2


def test_status_of_one_name_on_two_engines(applied: Desk) -> None:
    local = with_local(applied)
    assert applied.run("status", "--json", "pair").document == {
        "projects": [status_of(applied, applied.engine), status_of(applied, local)]
    }


def test_status_as_text(desk: Desk) -> None:
    desk.engine.scripts = {1: Script((), 0.0, code=137)}
    desk.run("apply", "--detach", "pair.yaml")
    said = desk.run("status", "pair.yaml")
    assert re.sub(r"\d+ s", "N s", said.out).splitlines() == [
        f"pair (docker)  {desk.folder / 'pair.yaml'}",
        "  pair-node-0  running for N s",
        "  pair-node-1  was killed by signal 9 (exit code 137)",
    ]


def with_another_owners(desk: Desk) -> None:
    """Have another owner's project on the desk's engine."""
    desk.engine.rivals = (
        ProjectSummary("lab", "/home/ada/lab.yaml", ("lab-node-0",), other_owner="1001"),
    )
    desk.engine.world.strangers = [
        ForeignObject("container", "lab-node-0", "c" * 64, "lab", "1001"),
    ]


def test_status_says_whose_a_project_is_that_is_not_ours(desk: Desk) -> None:
    with_another_owners(desk)
    assert desk.run("status").out.splitlines() == [
        "lab (docker)  /home/ada/lab.yaml  (owner 1001: not yours)",
        "  lab-node-0",
    ]
    assert desk.run("status", "--json").document["projects"][0]["owner"] == "1001"


def test_destroying_all_leaves_other_owners_projects_and_says_so(applied: Desk) -> None:
    with_another_owners(applied)
    said = applied.run("destroy", "--all")
    assert said.code == 0
    assert said.out.splitlines()[-1] == "left alone, as they are other owners': lab (docker)"
    assert applied.engine.world.nodes == {}


def test_without_a_name_only_our_own_projects_are_meant(applied: Desk) -> None:
    with_another_owners(applied)
    assert applied.run("destroy").code == 0
    assert applied.engine.world.nodes == {}


def test_another_owners_project_is_not_destroyed(desk: Desk) -> None:
    with_another_owners(desk)
    said = desk.run("destroy", "lab")
    assert (said.code, said.err) == (
        15,
        "orchestrate: project lab is another owner's here: container lab-node-0 (cccccccccccc,"
        " of project lab, owner 1001); choose another `name`, or set ORCHESTRATE_OWNER where you"
        " share that project\n",
    )


def test_logs_of_another_owners_project_are_not_shown(desk: Desk) -> None:
    with_another_owners(desk)
    said = desk.run("logs", "lab")
    assert (said.code, "there is no project lab here" in said.err) == (9, True)


def test_status_of_nothing(desk: Desk) -> None:
    assert desk.run("status").out == "no projects here\n"
    assert desk.run("status", "--json").document == {"projects": []}


@pytest.mark.parametrize("target", ["pear", "pear.yaml", "./pair"])
def test_status_of_an_unknown_project(target: str, applied: Desk) -> None:
    said = applied.run("status", target)
    assert (said.code, said.out, said.err) == (
        9,
        "",
        f"orchestrate: there is no project {target} here; projects here: pair (docker)\n",
    )


def test_status_of_an_unknown_project_where_there_is_none(desk: Desk) -> None:
    said = desk.run("status", "--json", "pear")
    assert (said.code, said.err) == (9, "")
    assert said.document == {
        "error": {
            "kind": "no_such_project",
            "exit_code": 9,
            "what": "there is no project pear here",
            "fix": "projects here: none",
        }
    }


# -- logs ------------------------------------------------------------------------


@pytest.mark.parametrize("target", [(), ("pair",), ("pair.yaml",)])
def test_logs_of_a_project(target: tuple[str, ...], applied: Desk) -> None:
    said = applied.run("logs", *target)
    assert (said.code, sorted(said.out.splitlines()), said.err) == (0, sorted(SAID), "")


def test_logs_are_merged_by_time(desk: Desk) -> None:
    desk.engine.scripts = {
        0: Script(((0.0, "first"), (0.2, "third")), 0.2),
        1: Script(((0.1, "second"), (0.2, "last")), 0.2),
    }
    desk.run("apply", "pair.yaml")
    said = desk.run("logs")
    assert [line.partition("| ")[2] for line in said.out.splitlines()][:2] == ["first", "second"]
    assert len(said.out.splitlines()) == 4


def test_logs_of_one_node_raw(applied: Desk) -> None:
    said = applied.run("logs", "--node", "1", "--raw")
    run_id = applied.engine.observe_nodes("pair")[1].run_id
    assert said.out.splitlines() == [
        f"rank 1 | {joined(1).replace('$RUN_ID', run_id)}",
        "rank 1 | bye from 1",
    ]


def test_logs_followed_end_when_the_nodes_end(desk: Desk) -> None:
    lines = {rank: ((0.0, f"hello {rank}"), (0.4, f"bye {rank}")) for rank in (0, 1)}
    desk.engine.scripts = {rank: Script(lines[rank], 0.4) for rank in (0, 1)}
    desk.run("apply", "--detach", "pair.yaml")
    said = desk.run("logs", "-f")
    assert (said.code, sorted(said.out.splitlines())) == (
        0,
        ["rank 0 | bye 0", "rank 0 | hello 0", "rank 1 | bye 1", "rank 1 | hello 1"],
    )
    assert said.out.splitlines()[:2] == ["rank 0 | hello 0", "rank 1 | hello 1"]


def test_logs_followed_raw(applied: Desk) -> None:
    said = applied.run("logs", "-f", "--raw", "--node", "0")
    run_id = applied.engine.observe_nodes("pair")[0].run_id
    record = joined(0).replace("$RUN_ID", run_id)
    assert said.out.splitlines() == [f"rank 0 | {record}", "rank 0 | bye from 0"]


def test_logs_of_nodes_with_several_ranks_bear_the_node(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace("nodes: 2", "nodes: 2, nproc_per_node: 2"))
    desk.engine.scripts = {0: Script(((0.0, '{"event": "step", "rank": 1}'),))}
    desk.run("apply", "--detach", "pair.yaml")
    assert desk.run("logs").out == "node 0 | step rank=1\n"


def test_logs_of_a_node_that_there_is_not(applied: Desk) -> None:
    said = applied.run("logs", "--node", "2")
    assert (said.code, said.out, said.err) == (
        9,
        "",
        "orchestrate: pair (docker) has no node 2\n",
    )


def test_logs_of_nodes_that_are_gone(applied: Desk) -> None:
    applied.run("destroy", "pair")
    said = applied.run("logs", "pair")
    folder = next((applied.folder / ".orchestrate/runs/pair").iterdir())
    note = f"the nodes are gone; these logs were kept in {folder}\n"
    assert (said.code, said.out.splitlines(), said.err) == (0, SAID, note)
    assert applied.run("logs", "--node", "1", "pair").out.splitlines() == SAID[2:]


def test_a_kept_line_without_an_end_is_shown_in_pieces(desk: Desk) -> None:
    folder = desk.folder / ".orchestrate/runs/pair/run-1"
    folder.mkdir(parents=True)
    (folder / "node-0.log").write_bytes(b"x" * 150_000 + b"\nlast")
    shown = [line.partition("| ")[2] for line in desk.run("logs", "pair").out.splitlines()]
    assert ("".join(shown[:-1]), shown[-1]) == ("x" * 150_000, "last")
    assert max(map(len, shown)) <= 65_536


@pytest.mark.parametrize(
    ("argv", "what"),
    [(("logs",), "at all"), (("logs", "pear"), "pear"), (("logs", "-f", "../pair"), "../pair")],
)
def test_logs_of_nothing(argv: tuple[str, ...], what: str, desk: Desk) -> None:
    said = desk.run(*argv)
    assert (said.code, said.out, said.err) == (
        9,
        "",
        f"orchestrate: there is no project {what} here; projects here: none\n",
    )


def test_logs_of_nodes_that_wrote_nothing(desk: Desk) -> None:
    desk.engine.scripts = {0: Script(), 1: Script()}
    desk.run("apply", "--detach", "pair.yaml")
    said = desk.run("logs")
    assert (said.code, said.out, said.err) == (0, "", "pair (docker): nothing was written yet\n")


def test_logs_of_several_projects_want_a_name(applied: Desk) -> None:
    apply_as(applied, "other")
    said = applied.run("logs")
    assert (said.code, said.out) == (9, "")
    assert "there are 2 projects here: other (docker), pair (docker)" in said.err


def lines_of(desk: Desk, *argv: str) -> list[str]:
    said = desk.run("logs", *argv)
    assert (said.code, said.err) == (0, "")
    return said.out.splitlines()


@pytest.fixture
def stepped(desk: Desk) -> Desk:
    """Nodes that have written text, warnings and records, in turns."""
    step = '{{"event": "step", "rank": {}, "run_id": "$RUN_ID", "step": {}}}'
    desk.engine.scripts = {
        rank: Script(
            (
                (0.0 + rank / 100, f"hello from {rank}"),
                (0.02 + rank / 100, step.format(rank, 1)),
                (0.04 + rank / 100, f"WARNING: {rank} is slow"),
            ),
            0.05,
        )
        for rank in (0, 1)
    }
    clock = Clock()
    clock.now_s = time.time() - 60
    desk.engine.now = clock
    desk.run("apply", "--detach", "pair.yaml")
    clock.now_s += 1
    return desk


STEPPED = [
    *("rank 0 | hello from 0", "rank 1 | hello from 1"),
    *("rank 0 | step step=1", "rank 1 | step step=1"),
    *("rank 0 | WARNING: 0 is slow", "rank 1 | WARNING: 1 is slow"),
]


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        ((), STEPPED),
        (("--follow",), STEPPED),
        (("--tail", "2"), STEPPED[-2:]),
        (("--tail", "2", "-f"), STEPPED[-2:]),
        (("--tail", "0"), []),
        (("--node", "0", "--node", "1", "--level", "warning"), STEPPED[4:]),
        (("--rank", "1"), STEPPED[1::2]),
        (("--event", "step"), STEPPED[2:4]),
        (("--event", "step", "-f"), STEPPED[2:4]),
        (("--since", "1h"), STEPPED),
        (("--since", "2999-01-01"), []),
        (("--level", "ERROR"), []),
    ],
)
def test_logs_that_are_picked(argv: tuple[str, ...], shown: list[str], stepped: Desk) -> None:
    assert lines_of(stepped, *argv) == shown
    stepped.run("destroy")
    kept = stepped.run("logs", "pair", *argv)
    # Kept lines are timed to a tenth of a second: within it they stand node by node.
    found = kept.out.splitlines()
    assert (kept.code, len(found)) == (0, len(shown))
    assert "--tail" in argv or sorted(found) == sorted(shown)


def test_logs_as_documents(stepped: Desk) -> None:
    told = [json.loads(line) for line in lines_of(stepped, "--json", "--tail", "2", "--rank", "1")]
    times = [document.pop("at_s") for document in told]
    run_id = stepped.engine.observe_nodes("pair")[0].run_id
    record = {"event": "step", "rank": 1, "run_id": run_id, "step": 1}
    assert (told, times) == (
        [
            {"node_rank": 1, "rank": 1, "level": "info", "record": record},
            {"node_rank": 1, "rank": 1, "level": "warning", "text": "WARNING: 1 is slow"},
        ],
        sorted(times),
    )


def test_secrets_are_hidden_in_documents_too(stepped: Desk) -> None:
    redaction.learn([b"hello from 0"])
    assert json.loads(lines_of(stepped, "--json")[0])["text"] == "***"


def test_logs_of_a_run_that_is_named(applied: Desk) -> None:
    first = applied.engine.observe_nodes("pair")[0].run_id
    applied.run("apply", "--rerun", "pair.yaml")
    second = applied.engine.observe_nodes("pair")[0].run_id
    assert applied.run("logs", "--run", second, "--node", "0").out.splitlines() == SAID[:2]
    gone = applied.run("logs", "pair", "--run", first, "--node", "0")
    folder = applied.folder / ".orchestrate/runs/pair" / first
    assert (gone.code, gone.out.splitlines()) == (0, SAID[:2])
    assert gone.err == f"the nodes are gone; these logs were kept in {folder}\n"
    unknown = applied.run("logs", "pair", "--run", "run-9")
    assert (unknown.code, unknown.out) == (9, "")
    assert unknown.err == (
        "orchestrate: no run run-9 of project pair is here or was kept;"
        f" kept here: {second}, {first}\n"
    )


def test_kept_logs_of_nodes_of_several_ranks_bear_the_node(desk: Desk) -> None:
    desk.write(PLAYBOOK.replace("nodes: 2", "nodes: 2, nproc_per_node: 2"))
    desk.engine.scripts = {0: Script(((0.0, '{"event": "step", "rank": 1}'),), 0.0)}
    desk.run("apply", "--detach", "pair.yaml")
    desk.run("destroy")
    assert desk.run("logs", "pair", "--rank", "1").out == "node 0 | step rank=1\n"


@pytest.mark.parametrize("argv", [("--since", "soon"), ("--level", "loud"), ("--tail", "-1")])
def test_logs_asked_for_in_vain(argv: tuple[str, ...], applied: Desk) -> None:
    assert applied.run("logs", *argv).code == 64


def test_a_line_that_had_not_ended_is_shown_again_whole(desk: Desk) -> None:
    desk.engine.scripts = {0: Script(((0.0, "50%"),), 0.5), 1: Script()}
    desk.run("apply", "--detach", "pair.yaml")
    node = desk.engine.observe_nodes("pair")[0]
    half = LogLine(0, 0.0, b"50")
    rest = _new_lines(desk.engine, [node], [half])
    assert [line.text for line in rest] == [b"50%"]


# -- destroy ---------------------------------------------------------------------


def timeless(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    for document in documents:
        assert 0.0 <= document.pop("took_s") < 60.0
    return documents


@pytest.mark.parametrize("target", [(), ("pair",), ("pair.yaml",), ("--all",)])
def test_destroy_as_a_document(target: tuple[str, ...], applied: Desk) -> None:
    said = applied.run("destroy", "--json", *target)
    assert (said.code, timeless(said.document["destroyed"])) == (
        0,
        [{"name": "pair", "engine": "docker", "changed": 3}],
    )
    assert applied.engine.projects() == ()
    assert list(applied.engine.world.images) == ["app:1"]


def test_destroy_as_text(applied: Desk) -> None:
    said = applied.run("destroy", "--grace", "0.5")
    assert re.sub(r"\d+\.\d s", "N s", said.out).splitlines() == [
        "PLAN",
        " -  network pair-net  (destroy was asked for)",
        " -  node pair-node-0  (destroy was asked for)",
        " -  node pair-node-1  (destroy was asked for)",
        "Plan: 0 to create, 0 to change, 0 to replace, 3 to remove, 0 as they should be.",
        "changed: remove node pair-node-0  N s",
        "changed: remove node pair-node-1  N s",
        "changed: remove network pair-net  N s",
        "RECAP pair on docker: ok=0 changed=3 failed=0 skipped=0  (N s)",
    ]
    assert applied.engine.mutations[0] == "stop_nodes pair-node-0 pair-node-1 grace 0.5"


def test_destroyed_again_it_says_that_nothing_is_here(applied: Desk) -> None:
    applied.run("destroy")
    assert [applied.run("destroy", *more).out for more in ((), ("pair",), ("--all",))] == [
        "nothing of any project is here\n",
        "nothing of pair is here\n",
        "nothing of any project is here\n",
    ]
    said = applied.run("destroy", "--json", "pair")
    assert (said.code, said.document) == (0, {"destroyed": []})


def test_destroy_of_a_name_that_there_is_not_names_those_that_there_are(applied: Desk) -> None:
    said = applied.run("destroy", "pear")
    assert (said.code, said.out) == (
        0,
        "nothing of pear is here (projects here: pair (docker))\n",
    )
    assert applied.engine.journal == []


def test_destroy_works_without_the_playbook(applied: Desk) -> None:
    (applied.folder / "pair.yaml").unlink()
    assert applied.run("destroy", "pair.yaml").code == 0
    assert applied.engine.projects() == ()


def test_destroy_of_several_wants_a_name_and_removes_none(applied: Desk) -> None:
    apply_as(applied, "other")
    applied.engine.journal.clear()
    said = applied.run("destroy")
    assert (said.code, said.out, said.err, applied.engine.journal) == (
        9,
        "",
        "orchestrate: there are 2 projects here: other (docker), pair (docker);"
        " name the one you mean, or say --all\n",
        [],
    )
    assert applied.run("destroy", "other").code == 0
    assert [each.name for each in applied.engine.projects()] == ["pair"]


def test_destroy_all_on_every_engine(applied: Desk) -> None:
    local = with_local(applied)
    said = applied.run("destroy", "--all", "--json")
    assert timeless(said.document["destroyed"]) == [
        {"name": "pair", "engine": "docker", "changed": 3},
        {"name": "pair", "engine": "local", "changed": 2},
    ]
    assert (applied.engine.projects(), local.projects()) == ((), ())


def test_destroy_all_of_several_projects(applied: Desk) -> None:
    apply_as(applied, "other")
    said = applied.run("destroy", "--all", "--json")
    assert [each["name"] for each in said.document["destroyed"]] == ["other", "pair"]
    assert applied.engine.projects() == ()


@pytest.mark.parametrize("grace", ["-1", "3601", "soon"])
def test_a_grace_that_makes_no_sense(grace: str, applied: Desk) -> None:
    said = applied.run("destroy", "--grace", grace)
    assert (said.code, said.out, applied.engine.journal) == (64, "", [])


def test_kept_logs_outlive_the_project(applied: Desk) -> None:
    applied.run("destroy")
    root = applied.folder / ".orchestrate/runs/pair"
    kept = {path.name: _last_line(path) for path in root.glob("*/*.log")}
    assert kept == {"node-0.log": "bye from 0", "node-1.log": "bye from 1"}


def _last_line(path: Path) -> str:
    return path.read_text().splitlines()[-1]
