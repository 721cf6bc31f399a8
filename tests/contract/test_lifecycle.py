"""From nothing to a gang and back."""

from __future__ import annotations

import subprocess
import sys
import time

import pytest
from msgspec.structs import replace

from orchestrator.engines.base import Query
from orchestrator.errors import NodeNotStarted
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeStatus, ObservedState, ProjectSummary
from orchestrator.state.spec import spec_hash

from .stand import FOREVER, Stand, read_log


def test_an_empty_engine_is_observed_as_empty(stand: Stand) -> None:
    project = stand.project()
    observed = stand.observe(stand.gang(project, FOREVER))

    assert replace(observed, image=None) == ObservedState(project)
    assert stand.engine.observe_nodes(project) == ()
    assert project not in [each.name for each in stand.engine.projects()]


def test_after_apply_the_plan_is_empty_and_stays_so(stand: Stand) -> None:
    desired = stand.gang(stand.project(), FOREVER, FOREVER)
    nodes = stand.apply(desired)

    assert stand.plan(desired) == stand.kept(desired, "running")
    assert [node.status for node in nodes] == [NodeStatus.RUNNING] * 2
    assert [node.spec_hash for node in nodes] == [spec_hash(node) for node in desired.nodes]
    assert [node.run_id for node in nodes] == ["r1", "r1"]
    assert stand.apply(desired, "r2") == nodes


def test_an_edited_playbook_is_seen_field_by_field(stand: Stand) -> None:
    project = stand.project()
    stand.apply(stand.gang(project, FOREVER, FOREVER))
    edited = stand.gang(project, FOREVER, FOREVER)
    changed = replace(edited.nodes[1], env=(("GREETING", "hello"), *edited.nodes[1].env[1:]))
    edited = replace(edited, nodes=(edited.nodes[0], changed))

    causes = [str(each) for each in stand.plan(edited).start_nodes]
    assert causes == [
        f"+ start node {project}-node-0  (gang: {project}-node-1 is replaced)",
        f"+ start node {project}-node-1  (env.GREETING: a = b -> hello)",
    ]


def test_a_paused_node_goes_on_where_it_was(stand: Stand) -> None:
    desired = stand.gang(stand.project(), FOREVER, FOREVER)
    nodes = stand.apply(desired)
    stand.pause(nodes[1])
    stand.wait_for(desired.project, NodeStatus.PAUSED, NodeStatus.RUNNING)
    stand.apply(desired, "r2")

    assert stand.wait_for(desired.project, NodeStatus.RUNNING) == nodes
    assert stand.plan(desired) == stand.kept(desired, "running")
    (stays,) = [each for each in desired.nodes if each.node_rank == 1]
    stand.engine.change_node(nodes[1], stays)
    assert stand.engine.observe_nodes(desired.project) == nodes


def test_a_node_sees_its_environment_and_no_other_rank(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "MASTER_ADDR", "TORCHELASTIC_RUN_ID"):
        monkeypatch.setenv(name, "77")
    script = (
        "env | grep -E '^(RANK|WORLD_SIZE|LOCAL_RANK|MASTER_ADDR|GREETING|TORCHELASTIC.*"
        "|ORCHESTRATE_R[A-Z_]*)=' | LC_ALL=C sort"
    )
    desired = stand.gang(stand.project(), script, script)
    stand.apply(desired, "run-7", restart_count=3)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)

    lines = read_log(stand.engine, nodes)
    expected = [
        (rank, text.encode())
        for rank in (0, 1)
        for text in (
            "GREETING=a = b",
            "ORCHESTRATE_RESTART_COUNT=3",
            "ORCHESTRATE_RUN_ID=run-7",
            f"RANK={rank}",
            "TORCHELASTIC_RESTART_COUNT=3",
            "WORLD_SIZE=2",
        )
    ]
    assert [(line.node_rank, line.text) for line in lines if isinstance(line, LogLine)] == expected
    assert [line for line in lines if isinstance(line, LogEnd)] == [LogEnd(0), LogEnd(1)]
    # The count tells attempts apart; it is no drift.
    assert [node.restart_count for node in nodes] == [3, 3]
    assert stand.plan(desired) == stand.kept(desired, "finished")


def test_exit_codes_are_those_of_a_shell(stand: Stand) -> None:
    scripts = ("exit 0", "exit 1", "kill -KILL $$", "kill -TERM $$")
    desired = stand.gang(stand.project(), *scripts)
    began_s = time.time()
    stand.apply(desired)
    nodes = stand.wait_for(desired.project, NodeStatus.EXITED)
    ended_s = time.time()

    assert [node.exit_code for node in nodes] == [0, 1, 137, 143]
    # Docker may note the start of a node that ends at once after its end.
    for at_s in [at for node in nodes for at in (node.started_at_s, node.finished_at_s)]:
        assert at_s is not None
        assert began_s <= at_s <= ended_s


def test_a_finished_gang_plans_nothing(stand: Stand) -> None:
    desired = stand.gang(stand.project(), "exit 0", "exit 0")
    stand.apply(desired)
    stand.wait_for(desired.project, NodeStatus.EXITED)

    assert stand.plan(desired) == stand.kept(desired, "finished")


def test_a_killed_node_replaces_the_gang(stand: Stand) -> None:
    project = stand.project()
    desired = stand.gang(project, FOREVER, FOREVER, FOREVER)
    before = stand.apply(desired)
    stand.kill(before[1])
    why = "was killed by signal 9 (exit code 137)"
    gang = f"gang: {project}-node-1 {why}"
    stand.wait_for_end(before[1])
    plan = stand.plan(desired)

    assert [str(each) for each in (*plan.remove_nodes, *plan.start_nodes)] == [
        f"- remove node {project}-node-0  ({gang})",
        f"- remove node {project}-node-1  ({why})",
        f"- remove node {project}-node-2  ({gang})",
        f"+ start node {project}-node-0  ({gang})",
        f"+ start node {project}-node-1  ({why})",
        f"+ start node {project}-node-2  ({gang})",
    ]

    stand.perform(plan, "r2")
    after = stand.engine.observe_nodes(project)
    assert stand.plan(desired) == stand.kept(desired, "running")
    assert [node.run_id for node in after] == ["r2", "r2", "r2"]
    assert not {node.id for node in before} & {node.id for node in after}


def test_destroy_leaves_nothing(stand: Stand) -> None:
    desired = stand.gang(stand.project(), FOREVER, "exit 3")
    nodes = stand.apply(desired)
    summary = ProjectSummary(desired.project, "x.yaml", tuple(node.name for node in desired.nodes))
    assert [each for each in stand.engine.projects() if each.name == desired.project] == [summary]
    assert stand.engine.projects(desired.project) == (summary,)
    assert stand.engine.projects(f"{desired.project}-x") == ()

    stand.destroy(desired.project)

    assert stand.engine.observe(Query(desired.project)) == ObservedState(desired.project)
    assert desired.project not in [each.name for each in stand.engine.projects()]
    assert stand.engine.projects(desired.project) == ()
    stand.engine.stop_nodes(nodes, grace_s=1.0)
    stand.engine.remove_nodes(nodes)
    stand.destroy(desired.project)


def test_two_projects_neither_see_nor_touch_each_other(stand: Stand) -> None:
    one, other = (stand.gang(stand.project(), FOREVER, FOREVER) for _ in range(2))
    stand.apply(one, "r1")
    others = stand.apply(other, "r2")

    assert stand.plan(one) == stand.kept(one, "running")
    stand.destroy(one.project)

    assert stand.engine.observe_nodes(one.project) == ()
    assert stand.engine.observe_nodes(other.project) == others
    assert stand.plan(other) == stand.kept(other, "running")


def test_a_missing_command_is_told(stand: Stand) -> None:
    desired = stand.gang(stand.project(), "exit 0")
    wrong = replace(desired.nodes[0], command=("no-such-program", "--now"))
    desired = replace(desired, nodes=(wrong,))

    assert _outcome(stand, desired) in {
        f"cannot start node {wrong.name}: there is no command 'no-such-program'",
        # With an init in front the engine learns of it only as a shell would.
        "exit code 127",
    }


def _outcome(stand: Stand, desired: DesiredState) -> str:
    try:
        stand.apply(desired)
    except NodeNotStarted as error:
        return error.what
    (node,) = stand.wait_for(desired.project, NodeStatus.EXITED)
    return f"exit code {node.exit_code}"


def test_another_process_sees_the_same(stand: Stand) -> None:
    desired = stand.gang(stand.project(), FOREVER, "exit 3")
    nodes = stand.apply(desired)
    stand.wait_for_end(nodes[1])
    code = f"{stand.in_python}print(engine.observe_nodes({desired.project!r}))"

    seen = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )

    assert seen.stdout == f"{stand.engine.observe_nodes(desired.project)}\n"


def test_what_is_not_ours_is_reported_and_left_alone(stand: Stand) -> None:
    project = stand.project()
    is_untouched = stand.put_foreign(project)
    observed = stand.observe(stand.gang(project, FOREVER, FOREVER))

    assert [(each.name, each.project) for each in observed.foreign] == [(f"{project}-node-0", "")]
    assert observed.nodes == ()
    stand.destroy(project)
    assert is_untouched()
