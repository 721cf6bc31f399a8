"""Elastic restarts as a user sees them: on each engine, with shell scripts and the real trainer."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.conftest import ENGINES, Desk, Ran
from tests.e2e.test_lifecycle import JOINED, node, statuses
from tests.e2e.test_training import shipped

WAIT_FOR_PEER = "trap 'exit 143' TERM; sleep 600 & wait"
DIES_ONCE = (
    f'{JOINED}; if [ "$TORCHELASTIC_RESTART_COUNT" = 0 ]; then '
    f'[ "$RANK" = 0 ] || exit 3; {WAIT_FOR_PEER}; fi; echo attempt $ORCHESTRATE_RESTART_COUNT'
)
CHECKS = "health_checks: [joined, {completed: {within: 30s}}]"


def dead(desk: Desk) -> str:
    """Who is named when node 1 dies."""
    return f"rank 1 ({node(desk, 1)})"


def attempts(ran: Ran) -> list[str]:
    """What is said of each attempt, without the ids of the runs."""
    lines = ran.out.splitlines()
    told = lines[lines.index("ATTEMPTS") + 1 : -1]
    return [line.partition(" (run ")[0] for line in told]


def test_a_gang_of_which_a_node_dies_once_is_restarted_and_then_left_alone(desk: Desk) -> None:
    desk.write(DIES_ONCE, health_checks=CHECKS, restarts="restarts: {max: 2}")
    ran = desk.apply()
    assert ran.code == 0, ran.out + ran.err
    assert "rank 0 | attempt 1" in ran.out.splitlines()
    assert ran.line("restart:").startswith(f"restart: 1 of 2: {dead(desk)} exited with code 3")
    assert "failed=0 skipped=0 restarts=1" in ran.line("RECAP")
    assert [line.partition(": last")[0] for line in attempts(ran)] == [
        f"failed:  1: {dead(desk)} exited with code 3",
        "ok:      2: every check holds",
    ]
    kept = sorted(desk.folder.glob(f".orchestrate/runs/{desk.project}/*/*.log"))
    assert [log.name for log in kept] == ["node-0.log", "node-1.log"] * 2
    again = desk.apply()
    assert (again.code, "changed=0" in again.line("RECAP")) == (0, True)
    assert "ATTEMPTS" not in again.out.splitlines()


def test_restarts_that_are_used_up_name_the_first_and_the_last_cause(desk: Desk) -> None:
    script = f'[ "$RANK" = 0 ] || exit 3$ORCHESTRATE_RESTART_COUNT; {WAIT_FOR_PEER}'
    desk.write(script, restarts="restarts: {max: 1}")
    ran = desk.run("apply", "--engine", desk.engine, "--json", "playbook.yaml")
    said = json.loads(ran.out)
    assert (ran.code, said["exit_code"]) == (1, 1)
    (restart,) = said["restarts"]
    del restart["failed_run_id"]
    assert restart == {"number": 1, "limit": 1, "cause": f"{dead(desk)} exited with code 30"}
    assert said["cause"] == f"{dead(desk)} exited with code 31"
    assert statuses(desk) == [(0, "exited", 143), (1, "exited", 31)]


def test_ctrl_c_before_a_restart_leaves_what_the_next_verbs_understand(desk: Desk) -> None:
    desk.write(DIES_ONCE, health_checks=CHECKS, restarts="restarts: {max: 1, delay: 10m}")
    with desk.start("apply", "--engine", desk.engine, "playbook.yaml") as applying:
        assert applying.stdout is not None
        until_line(applying.stdout, f"restart: 1 of 1 in 600 s: {dead(desk)} exited with code 3")
        # Between this line and the pause the gang is stopped: a signal may come at any time.
        applying.send_signal(signal.SIGINT)
        _, err = applying.communicate(timeout=30)
    assert applying.returncode == 130
    assert "interrupted" in err
    assert "Traceback" not in err
    planned = desk.run("plan", "--engine", desk.engine, "playbook.yaml")
    assert f"-/+ node {node(desk, 1)} (exited with code 3)" in planned.planned
    assert desk.destroy().code == 0
    assert statuses(desk) == []


def until_line(lines: Any, start: str) -> None:
    """Read until a line starts like this."""
    assert any(line.startswith(start) for line in lines)


def test_with_detach_it_is_said_at_once_that_nothing_restarts(desk: Desk) -> None:
    desk.write("true", restarts="restarts: {max: 1}")
    ran = desk.apply("--detach")
    assert ran.code == 0
    assert "with --detach nobody follows the run: it is not restarted" in ran.err
    desk.write("true")
    assert "nobody follows" not in desk.apply("--detach").err


# -- with the real trainer ---------------------------------------------------------

DIES_AT_STEP_5 = """\
python -m trainer --max-steps 12 --checkpoint-every 5 --resume --checkpoint-dir {out}/ckpt &
if [ "$RANK" = 1 ] && [ ! -e {out}/died ]; then
    while [ ! -d {out}/ckpt/step-00000005 ]; do sleep 0.02; done
    touch {out}/died
    kill -9 $!
fi
wait $!
"""


def losses(folder: Path) -> list[dict[int, float]]:
    """`{step: loss}` of rank 0 in each attempt, in order, with every digit."""
    found = []
    for log in sorted(folder.glob("*/node-0.log")):
        lines = [line for line in log.read_text().split("\n") if line.startswith("{")]
        records = [json.loads(line) for line in lines]
        steps = [each for each in records if each["event"] == "step"]
        found.append({each["step"]: each["loss"] for each in steps})
    return found


def resuming(desk: Desk, repository: Path, out: str, where: Path) -> None:
    """Write the playbook of a job that keeps checkpoints in `where`, which it sees as `out`."""
    playbook = shipped(desk, repository, "two-rank.yaml")
    ranks: Any = playbook["ranks"]
    ranks["command"] = ["sh", "-c", DIES_AT_STEP_5.format(out=out)]
    if desk.engine == "docker":
        ranks["mounts"] = [{"source": f"./{where.name}", "target": out, "read_only": False}]
    playbook["restarts"] = {"max": 2}
    playbook["health_checks"] = [{"joined": {"within": "3m"}}, {"completed": {"within": "9m"}}]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))


@pytest.mark.torch
@pytest.mark.parametrize("engine", ENGINES)
def test_a_job_that_dies_once_resumes_and_continues_the_exact_loss_curve(
    make_desk: Callable[[str], Desk], repository: Path, engine: str
) -> None:
    desk = make_desk(engine)
    runs = desk.folder / ".orchestrate/runs" / desk.project
    for name in ("dies", "whole"):
        where = desk.folder / name
        where.mkdir()
        if name == "whole":
            (where / "died").touch()
        resuming(desk, repository, "/out" if engine == "docker" else str(where), where)
        ran = desk.run("apply", "--engine", engine, "--rerun", "playbook.yaml", deadline_s=1200)
        assert ran.code == 0, ran.out + ran.err
        assert ("restarts=1" in ran.line("RECAP")) == (name == "dies")
    first, second, whole = losses(runs)
    assert sorted(whole) == list(range(1, 13))
    assert sorted(second) == list(range(6, 13))
    assert set(first) >= set(range(1, 6))
    assert {**first, **second} == whole
    assert first == {step: whole[step] for step in first}


@pytest.mark.docker
@pytest.mark.torch
def test_when_one_of_two_ranks_of_a_node_dies_node_and_rank_are_named(
    make_desk: Callable[[str], Desk], repository: Path
) -> None:
    desk = make_desk("docker")
    out = desk.folder / "out"
    out.mkdir()
    playbook = shipped(desk, repository, "two-nodes-two-procs.yaml")
    ranks: Any = playbook["ranks"]
    dies = "while [ ! -d /out/step-00000002 ]; do sleep 0.1; done; kill -9 $$"
    train = "python -m trainer --max-steps 100000 --checkpoint-dir /out --checkpoint-every 2"
    ranks["command"] = ["sh", "-c", f'[ "$RANK" != 3 ] || {{ {dies}; }} & exec {train}']
    ranks["mounts"] = [{"source": "./out", "target": "/out", "read_only": False}]
    playbook["health_checks"] = [{"joined": {"within": "4m"}}, {"completed": {"within": "9m"}}]
    (desk.folder / "playbook.yaml").write_text(yaml.safe_dump(playbook))
    ran = desk.run("apply", "--engine", "docker", "playbook.yaml", deadline_s=900)
    assert ran.code == 1
    named = f"DIAGNOSIS rank 3 ({node(desk, 1)}) was killed by signal 9 (SIGKILL): "
    assert ran.line("DIAGNOSIS ").startswith(named)
