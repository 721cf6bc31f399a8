"""The checks that rest on the probe, on an unmodified DDP script that knows of no record."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from orchestrator.errors import ExitCode
from tests.e2e.conftest import Desk

pytestmark = pytest.mark.torch

SCRIPT = """\
import os, time
import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

os.environ["SHARD"] = "of rank " + os.environ["RANK"]
dist.init_process_group("gloo")
torch.manual_seed(0)
model = DistributedDataParallel(torch.nn.Linear(4, 4))
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for step in range(16):
    # Work by the processor's own clock: the same on a machine that has other things to do.
    until = time.thread_time() + (0.2 if dist.get_rank() == 1 else 0.01)
    while time.thread_time() < until:
        pass
    model(torch.ones(1, 4)).sum().backward()
    optimizer.step()
    optimizer.zero_grad()
    if step == 2 and DRIFTS and dist.get_rank() == 1:
        with torch.no_grad():
            model.module.weight += 1.0
dist.destroy_process_group()
"""


def playbook(desk: Desk, *checks: str, drifts: bool = False) -> None:
    """A gang of two that runs the script, and what is asked of it."""
    (desk.folder / "train.py").write_text(f"DRIFTS = {drifts}\n{SCRIPT}")
    (desk.folder / "playbook.yaml").write_text(f"""\
version: 1
name: {desk.project}
image: {{tag: "unused:1"}}
ranks: {{nodes: 2, command: [python, train.py], env: {{OMP_NUM_THREADS: "1"}}}}
rendezvous: {{port: {29500 + os.getpid() % 1000}, timeout: 5m}}
health_checks: [{", ".join(checks)}]
""")


def verify(desk: Desk, check: str) -> tuple[int, str]:
    """Judge the run by another check: its exit code, and what was said of it."""
    playbook(desk, check)
    ran = desk.run("verify", "--engine", desk.engine, "playbook.yaml")
    return ran.code, ran.out


def test_a_run_is_judged_by_what_the_probe_saw(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    asked = ("joined: {within: 5m}", "parameters_in_sync", "throughput: {steps_per_s: 0.01}")
    playbook(desk, *asked, "completed: {within: 10m}")
    ran = desk.apply()
    assert ran.code == ExitCode.CONVERGED, ran.out + ran.err
    assert (
        "ok:      check parameters_in_sync: equal on 2 ranks at 4 steps, the last one 10" in ran.out
    )

    code, said = verify(desk, "skew")
    assert (code, "failed:  check skew: rank 1 makes steps " in said) == (
        ExitCode.NOT_CONVERGED,
        True,
    )
    assert "s: rank 0 waits " in said
    code, said = verify(desk, "skew: {ratio: 1000}")
    assert (code, "check skew: rank 1, the slowest, makes" in said) == (ExitCode.CONVERGED, True)

    code, said = verify(desk, "consistent")
    named = "    rank 1: expected the variables of the other ranks; found SHARD differs"
    assert (code, named in said) == (ExitCode.NOT_CONVERGED, True), said
    code, said = verify(desk, "consistent: {except: [SHARD]}")
    assert (code, "ok:      check consistent: Python " in said) == (ExitCode.CONVERGED, True), said

    code, said = verify(desk, "throughput: {steps_per_s: 1000}")
    assert (code, "expected at least 1000 steps/s; found " in said) == (
        ExitCode.NOT_CONVERGED,
        True,
    )
    code, said = verify(desk, "throughput: {tokens_per_s: 1}")
    assert "skipped: check throughput: no rank says tokens_per_s" in said


def test_replicas_that_drift_apart_are_found(make_desk: Callable[[str], Desk]) -> None:
    desk = make_desk("local")
    playbook(desk, "joined: {within: 5m}", "parameters_in_sync", drifts=True)
    ran = desk.apply()
    told = "failed:  check parameters_in_sync: the ranks hold different parameters after step 5"
    assert (ran.code, told in ran.out) == (ExitCode.NOT_CONVERGED, True), ran.out + ran.err
