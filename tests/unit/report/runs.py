"""Runs for tests of reports: made as a whole, and models of a few numbers."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks.made_run import Shape, make_run
from orchestrator.report.model import (
    Happening,
    Lane,
    Mark,
    NodeView,
    PlannedObject,
    ReportModel,
    Span,
    Steps,
    Told,
    UsageSeries,
)
from orchestrator.verify.results import CheckResult, Finding, Status

NASTY = "</script><script>alert(1)</script><!-- '\"& {{ 7*7 }} \x1b[31m \u202egnp \u2028 \x00 <b>"


@pytest.fixture
def small_run(tmp_path: Path) -> Path:
    """Two ranks and four steps, all well."""
    return make_run(tmp_path / "run-1", Shape(num_steps=4, step_s=0.25, run_id="run-1"))


@pytest.fixture
def failed_run(tmp_path: Path) -> Path:
    """Three ranks, of which one died, in words that no page is ready for."""
    shape = Shape(num_nodes=3, num_steps=8, dies=1, run_id="run-2", words=NASTY)
    return make_run(tmp_path / "run-2", shape)


def steps(*took_s: float) -> Steps:
    """Steps of these durations, one after the other, half of each at work."""
    ends, at_s = [], 4.0
    for each in took_s:
        at_s += each
        ends.append(at_s)
    busy = array("f", [each / 2 for each in took_s])
    return Steps(array("I", range(1, len(took_s) + 1)), array("d", ends), array("f", took_s), busy)


def told(*losses: float) -> Told:
    """Losses of the first steps, and 64 tokens per second."""
    numbers = range(1, len(losses) + 1)
    ends = array("d", [4.0 + 0.5 * each for each in numbers])
    return Told(array("I", numbers), ends, array("f", losses), array("f", [64.0] * len(losses)))


LANES = (
    Lane(
        0, 0,
        (Span("torch", 1.0, 3.0), Span("store", 3.0, 3.5), Span("setup", 3.5, 4.0)),
        (Mark("ended", 6.0, "pair-node-0 exited with code 0"),),
        steps(0.5, 0.25), told(5.5, 4.5), (("started", 0.0), ("joined", 2.5)),
    ),
    Lane(
        1, 1,
        (Span("torch", 1.0, 2.0), Span("stuck", 2.0, 6.0, "name resolved")),
        reached_s=(("started", 0.0), ("joined", None)),
    ),
)  # fmt: skip
NODES = (
    NodeView(
        0, "pair-node-0", (0,), "exited with code 0", "good", cpus=1.0, memory_bytes=2**30,
        network="pair-net",
        usage=UsageSeries(
            array("d", [2.0, 4.0]), array("f", [0.5, 0.75]), array("d", [2.0**20, 2.0**21]), 10, 20
        ),
    ),
    NodeView(1, "pair-node-1", (1,), "exited with code 3", "bad"),
)  # fmt: skip
MODEL = ReportModel(
    project="pair",
    run_id="run-1",
    engine="docker",
    began_at_s=1_795_600_000.0,
    until_s=6.5,
    holds=False,
    checks=(
        CheckResult("alive", Status.OK, "2 nodes in order"),
        CheckResult("joined", Status.FAILED, "1 of 2", (Finding(1, 1, "a join", "nothing"),)),
    ),
    diagnosis=None,
    plan=(PlannedObject("create", "node", "pair-node-0", "not there yet"),),
    happenings=(Happening(0.5, "start node pair-node-0"),),
    lanes=LANES,
    nodes=NODES,
    versions=(("orchestrate", "0.1.0"), ("torch", "2.13.0")),
    playbook="name: pair\nranks:\n  nodes: 2\n",
    rendezvous="pair-node-0:29500",
)
OTHER = replace(
    MODEL,
    run_id="run-0",
    lanes=(replace(LANES[0], steps=steps(1.0, 0.5), told=told(5.5, 4.75, 4.25)), LANES[1]),
    versions=(("orchestrate", "0.1.0"), ("torch", "2.12.0"), ("nccl", "2.27")),
    playbook="name: pair\nranks:\n  nodes: 4\n",
    until_s=13.0,
)
