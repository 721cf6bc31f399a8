"""Makes the folder of a run that never ran: as many ranks and steps as it takes, in a moment.

What apply writes is written by what writes it (`RunKeeper`); only the nodes' records, of which
there are hundreds of thousands, go into their files directly.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from orchestrator.events import (
    ActionDone,
    ActionStarted,
    AttemptBegan,
    AttemptJudged,
    CheckChanged,
    NodeEnded,
    NodesSampled,
    PlanMade,
)
from orchestrator.kept.asked import Asked
from orchestrator.kept.files import json_line, log_file, records_file, state_file, write_json
from orchestrator.kept.keeper import RunKeeper
from orchestrator.kept.values import document
from orchestrator.plans.plan import CreateNetwork, Plan, StartNode
from orchestrator.recall import recall
from orchestrator.state.desired import DesiredState, NetworkSpec, RunIdentity
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.state.spec import Limits, NodeSpec
from orchestrator.state.usage import Usage
from orchestrator.verify.results import CheckResult, Status

BEGAN_AT_S = 1_795_600_000.0
BATCH = 5
"""Steps that the probe sums up in one record; it reports no more often than every 0.1 s."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What the run is like.

    Attributes:
        num_nodes: with one rank each.
        num_steps: of every rank that lives.
        step_s: how long one takes.
        dies: the node that ends with 1 half way, whereupon the others are stopped; None: all
            end well.
        words: texts that nodes and playbook bear, for those who want to see them hidden.
    """

    project: str = "synthetic"
    run_id: str = "20261125T094640-5f3a9c1e"
    num_nodes: int = 2
    num_steps: int = 100
    step_s: float = 0.02
    dies: int | None = None
    words: str = ""
    seed: int = 1


def make_run(folder: Path, shape: Shape) -> Path:
    """Write the folder of such a run; give its path."""
    desired = _desired(shape)
    identity = RunIdentity(shape.project, shape.run_id, str(folder), f"{shape.project}.yaml", "d")
    clock = _Clock(BEGAN_AT_S)
    keeper = RunKeeper(lambda _: None, clock)
    plan = _plan(desired)
    keeper.tell(PlanMade(plan))
    keeper.begin(identity, _asked(desired, shape))
    for at, action in enumerate(plan.actions):
        keeper.tell(ActionStarted(action))
        clock.now_s = BEGAN_AT_S + 0.1 + 0.02 * at
        keeper.tell(ActionDone(action, 0.15))
    nodes = tuple(_node(spec, shape) for spec in desired.nodes)
    keeper.tell(AttemptBegan(nodes))
    _write_nodes(folder, shape, nodes)
    _use(keeper, shape)
    _end(keeper, clock, tuple(_judged(node, shape) for node in nodes))
    for node in nodes:
        write_json(state_file(folder, node.node_rank), document(_ended(node, shape)))
    return folder


class _Clock:
    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


def _desired(shape: Shape) -> DesiredState:
    return DesiredState(
        shape.project,
        image=None,
        network=NetworkSpec(f"{shape.project}-net"),
        nodes=tuple(_spec(shape, rank) for rank in range(shape.num_nodes)),
    )


def _spec(shape: Shape, rank: int) -> NodeSpec:
    env = {
        "MASTER_ADDR": f"{shape.project}-node-0",
        "MASTER_PORT": "29500",
        "RANK": str(rank),
        "WORLD_SIZE": str(shape.num_nodes),
    }
    return NodeSpec(
        node_rank=rank,
        num_ranks=1,
        name=f"{shape.project}-node-{rank}",
        command=("python", "train.py", *([shape.words] if shape.words else [])),
        image="train:1",
        env=tuple(sorted(env.items())),
        limits=Limits(cpus=1.0, memory_bytes=2 * 2**30),
        network=f"{shape.project}-net",
        probe=True,
    )


def _plan(desired: DesiredState) -> Plan:
    assert desired.network is not None
    created = CreateNetwork(desired.network, "not there yet")
    return Plan(
        desired.project,
        create_network=created,
        start_nodes=tuple(StartNode(node, "not there yet") for node in desired.nodes),
    )


def _asked(desired: DesiredState, shape: Shape) -> Asked:
    command = f"  command: [python, train.py, --steps, '{shape.num_steps}']\n"
    note = f"# {shape.words}\n" if shape.words else ""
    playbook = (
        f"version: 1\nname: {shape.project}\n{note}image:\n  tag: train:1\nranks:\n"
        f"  nodes: {shape.num_nodes}\n{command}"
        "health_checks:\n- joined:\n    within: 60s\n- training:\n    steps: 1\n    within: 60s\n"
        "- loss:\n    decreases: true\n- completed:\n    within: 10m\n"
    )
    checks: list[Any] = [
        {"joined": {"within": "60s"}},
        {"training": {"steps": 1, "within": "60s"}},
        {"loss": {"decreases": True}},
        {"completed": {"within": "10m"}},
    ]
    versions = {"orchestrate": "0.1.0", "python": "3.11.7", "engine": "28.5.1"}
    return Asked(desired, playbook, checks, "docker", "", versions)


def _node(spec: NodeSpec, shape: Shape) -> ObservedNode:
    started_s = BEGAN_AT_S + 0.2 + 0.02 * spec.node_rank
    return ObservedNode(
        f"{spec.node_rank:064x}",
        spec,
        shape.run_id,
        "v1:sha256",
        NodeStatus.RUNNING,
        created_at_s=started_s - 0.15,
        started_at_s=started_s,
        address=f"172.20.{spec.node_rank // 250}.{spec.node_rank % 250 + 2}",
    )


def _joined_s(shape: Shape) -> float:
    """When the group stands: soon after its last rank has come."""
    return BEGAN_AT_S + 2.6 + 0.02 * shape.num_nodes


def _num_steps(shape: Shape) -> int:
    """Without the one that died the others get no further."""
    return shape.num_steps if shape.dies is None else shape.num_steps // 2


def _first_step_s(shape: Shape) -> float:
    return _joined_s(shape) + 1.2


def _end_s(shape: Shape, rank: int) -> float:
    end_s = _first_step_s(shape) + _num_steps(shape) * shape.step_s + 0.3
    was_stopped = shape.dies not in {None, rank}
    return end_s + 0.003 * rank + (1.5 if was_stopped else 0.0)


def _judged(node: ObservedNode, shape: Shape) -> ObservedNode:
    """As it was when the run was judged: right after the first one has died."""
    return _ended(node, shape) if shape.dies in {None, node.node_rank} else node


def _ended(node: ObservedNode, shape: Shape) -> ObservedNode:
    code = 0 if shape.dies is None else 1 if node.node_rank == shape.dies else 143
    return replace(
        node,
        status=NodeStatus.EXITED,
        exit_code=code,
        finished_at_s=_end_s(shape, node.node_rank),
    )


# -- what nodes write -------------------------------------------------------------


def _write_nodes(folder: Path, shape: Shape, nodes: tuple[ObservedNode, ...]) -> None:
    for node in nodes:
        rank = node.node_rank
        with (
            records_file(folder, rank).open("wb") as kept,
            log_file(folder, rank).open("wb") as log,
        ):
            for line, (at_s, record) in enumerate(_records(shape, node)):
                text = json.dumps({"run_id": shape.run_id, "rank": rank, **record})
                log.write((b"\x1e" if "source" in record else b"") + text.encode() + b"\n")
                entry = {"node_rank": rank, "line": line, "at_s": round(at_s, 6)}
                kept.write(json_line(entry | {"record": json.loads(text)}))
            kept.write(json_line({"node_rank": rank, "end": True}))


def _records(shape: Shape, node: ObservedNode) -> Iterator[tuple[float, dict[str, Any]]]:
    chance = random.Random(f"{shape.seed} {node.node_rank}")
    yield from _way(shape, node, chance)
    yield from _steps(shape, node.node_rank, chance)
    end_s = _end_s(shape, node.node_rank)
    if shape.dies not in {None, node.node_rank}:
        return
    if node.node_rank == shape.dies:
        failed = {"event": "rank_failed", "error_type": "RuntimeError"}
        reason = shape.words or "loss is not finite"
        traceback = (
            'Traceback (most recent call last):\n  File "/workspace/train.py", line 88, in <module>'
            '\n    main()\n  File "/workspace/train.py", line 61, in main\n    check(loss)\n'
            f"RuntimeError: {reason}"
        )
        yield end_s - 0.1, failed | {"reason": reason, "traceback": traceback}
    else:
        yield end_s - 0.1, {"event": "training_finished"}


def _way(
    shape: Shape, node: ObservedNode, chance: random.Random
) -> Iterator[tuple[float, dict[str, Any]]]:
    at_s, pid = node.started_at_s or 0.0, {"source": "probe", "pid": 8}
    master, world = f"{shape.project}-node-0", shape.num_nodes
    at_s += 0.05
    yield at_s, {"event": "interpreter_started", "python": "3.11.2", **pid}
    at_s += 1.1 + chance.random() * 0.5
    yield at_s, {"event": "torch_imported", "torch": "2.13.0", "cuda": "", "nccl": "", **pid}
    told = {"master_addr": master, "master_port": "29500", "world_size": world}
    yield at_s + 0.05, {"event": "rendezvous_started", "backend": "gloo", **told, **pid}
    yield at_s + 0.06, {"event": "name_resolved", "addresses": ["172.20.0.2"], **pid}
    yield at_s + 0.1, {"event": "master_reached", "address": "172.20.0.2", **pid}
    joined_s = _joined_s(shape)
    yield joined_s - 0.05, {"event": "store_joined", **pid}
    joined = {"event": "process_group_joined", "world_size": world, "backend": "gloo"}
    joined |= {"master_addr": master, "rank_sum": world * (world - 1) // 2, "peers": "5eed"}
    yield joined_s, joined | {"hostname": node.name, **pid}


def _steps(
    shape: Shape, rank: int, chance: random.Random
) -> Iterator[tuple[float, dict[str, Any]]]:
    num, at_s = _num_steps(shape), _first_step_s(shape)
    times_s, busy_s = [], []
    for step in range(1, num + 1):
        at_s += shape.step_s
        times_s.append(round(shape.step_s * (1 + 0.04 * chance.gauss(0, 1)), 6))
        share = 0.8 if rank == shape.num_nodes // 3 else 0.45
        busy_s.append(round(times_s[-1] * min(share + 0.05 * chance.random(), 1.0), 6))
        if step % BATCH == 0 or step == num:
            sent = {"event": "step", "source": "probe", "pid": 8, "step": step}
            yield at_s, sent | {"times_s": times_s, "busy_s": busy_s}
            times_s, busy_s = [], []
        if step % max(shape.num_steps // 4, 1) == 0:
            yield at_s, {"event": "checkpoint_saved", "path": f"step-{step}", "took_s": 0.04}
        told = {"event": "step", "step": step, "loss": _loss(shape, step)}
        yield at_s, told | {"tokens_per_s": 512 * shape.num_nodes / (times_s or [shape.step_s])[-1]}


def _loss(shape: Shape, step: int) -> float:
    noise = random.Random(f"{shape.seed} {step}").gauss(0, 0.05)
    return round(2.1 + 3.6 * math.exp(-3.5 * step / shape.num_steps) + noise, 5)


# -- the end ----------------------------------------------------------------------


def _use(keeper: RunKeeper, shape: Shape) -> None:
    """What the nodes use, every two seconds."""
    chance = random.Random(shape.seed)
    end_s = max(_end_s(shape, rank) for rank in range(shape.num_nodes))
    used = dict.fromkeys(range(shape.num_nodes), 0.0)
    at_s = BEGAN_AT_S + 2.0
    while at_s < end_s:
        for rank in used:
            used[rank] += 2.0 * (0.6 + 0.3 * chance.random())
        grown = 1 - math.exp(-(at_s - BEGAN_AT_S) / 6)
        memory_bytes = int((0.25 + 0.6 * grown) * 2**30)
        sent = int(2e6 * (at_s - BEGAN_AT_S))
        keeper.tell(
            NodesSampled(
                tuple(
                    Usage(rank, at_s, cpu_s, memory_bytes + rank * 2**21, sent, sent)
                    for rank, cpu_s in used.items()
                )
            )
        )
        at_s += 2.0


def _end(keeper: RunKeeper, clock: _Clock, nodes: tuple[ObservedNode, ...]) -> None:
    """Let the run be judged as it is judged from its folder, and keep that."""
    clock.now_s = max(node.finished_at_s or 0.0 for node in nodes) + 0.1
    for node in nodes:
        if not node.is_active:
            keeper.tell(NodeEnded(node))
    keeper.tell(AttemptJudged((), nodes, clock.now_s))
    assert keeper.folder is not None
    judgement = recall(keeper.folder).judgement
    for result in judgement.results:
        keeper.tell(CheckChanged(result))
    keeper.tell(AttemptJudged(judgement.results, nodes, clock.now_s, judgement.diagnosis))
    failed = any(map(_is_failure, judgement.results))
    keeper.end(exit_code=int(failed), took_s=clock.now_s - BEGAN_AT_S, restarts=())


def _is_failure(result: CheckResult) -> bool:
    return result.status is Status.FAILED
