"""A run told line by line: what the nodes printed and how they stand."""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec.structs import replace

from orchestrator.gpus.demand import GpuDemand, Sharing
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import NodeHealth, NodeStatus, ObservedNode, ObservedSidecar
from orchestrator.state.spec import SidecarSpec
from orchestrator.verify.checks import Run
from orchestrator.verify.facts import RunFacts
from tests.unit.fakes import desired_state

RUN_ID = "run-1"
START_S = 1000.0


class Story:
    """A gang whose nodes all started at START_S; times in its methods are seconds after that."""

    def __init__(
        self,
        num_nodes: int = 2,
        num_ranks: int = 1,
        *,
        milestone: int = 1,
        beside: SidecarSpec | None = None,
        gpus: Sequence[tuple[str, ...]] = (),
    ) -> None:
        self.desired: DesiredState = desired_state(num_nodes, num_ranks)
        if gpus:
            mode: Sharing = "exclusive" if len(set(gpus)) > 1 or len(gpus[0]) > 1 else "shared"
            pairs = zip(self.desired.nodes, gpus, strict=True)
            nodes = tuple(replace(node, gpus=uuids) for node, uuids in pairs)
            self.desired = replace(self.desired, nodes=nodes, gpus=GpuDemand(mode, "V"))
        self.desired = replace(self.desired, sidecar=beside)
        self.sidecar: ObservedSidecar | None = None
        if beside is not None:
            running = NodeStatus.RUNNING
            self.sidecar = ObservedSidecar("id-beside", beside, RUN_ID, "hash", running)
        self.facts = RunFacts(self.desired, RUN_ID, milestone=milestone)
        self.nodes = {
            spec.node_rank: ObservedNode(
                f"id-{spec.node_rank}",
                spec,
                RUN_ID,
                "hash",
                NodeStatus.RUNNING,
                started_at_s=START_S,
            )
            for spec in self.desired.nodes
        }

    def say(self, node_rank: int, at_s: float, text: str | bytes) -> None:
        """Node `node_rank` prints a line."""
        raw = text.encode() if isinstance(text, str) else text
        self.facts.add(LogLine(node_rank, START_S + at_s, raw))

    def join(
        self, rank: int, at_s: float = 1.0, *, node: int | None = None, **said: object
    ) -> None:
        """A rank reports its join, from its own node unless another one is given."""
        fields = {"event": "process_group_joined", "rank": rank, "run_id": RUN_ID}
        told = fields | self.said_of_a_join() | said
        self.say(self._node(rank, node), at_s, json.dumps(told))

    def said_of_a_join(self) -> dict[str, object]:
        """What all ranks say of a join that is as it should be."""
        world_size = self.desired.world_size
        return {
            "world_size": world_size,
            "backend": "gloo",
            "master_addr": "pair-node-0",
            "rank_sum": world_size * (world_size - 1) // 2,
        }

    def join_all(self, at_s: float = 1.0) -> None:
        """Every rank reports its join, as it should."""
        for rank in self.facts.ranks:
            self.join(rank, at_s)

    def step(self, rank: int, number: int, at_s: float, loss: float | str | None = None) -> None:
        """A rank reports an optimizer step; a loss given as text is written as it is."""
        told = "" if loss is None else f', "loss": {loss}'
        head = f'{{"event": "step", "rank": {rank}, "run_id": "{RUN_ID}"'
        self.say(self._node(rank, None), at_s, f'{head}, "step": {number}{told}}}')

    def fail(self, rank: int, at_s: float, reason: str, error_type: str = "") -> None:
        """A rank reports that it ends with an exception."""
        fields = {
            "event": "rank_failed",
            "rank": rank,
            "run_id": RUN_ID,
            "reason": reason,
            "error_type": error_type,
        }
        self.say(self._node(rank, None), at_s, json.dumps(fields))

    def finish(self, rank: int, at_s: float) -> None:
        """A rank reports that it has done all it was asked to do."""
        fields = {"event": "training_finished", "rank": rank, "run_id": RUN_ID}
        self.say(self._node(rank, None), at_s, json.dumps(fields))

    def probe(self, rank: int, at_s: float, event: str, **said: object) -> None:
        """The probe in a rank reports something."""
        fields = {"event": event, "rank": rank, "run_id": RUN_ID, "source": "probe"}
        self.say(self._node(rank, None), at_s, "\x1e" + json.dumps(fields | said))

    def stand(self, node_rank: int, **changes: object) -> None:
        """Node `node_rank` is found otherwise."""
        node = self.nodes[node_rank]
        self.nodes[node_rank] = replace(node, **changes)

    def beside(self, **changes: object) -> None:
        """The sidecar is found otherwise."""
        assert self.sidecar is not None
        self.sidecar = replace(self.sidecar, **changes)

    def clients(self, now: int, most: int) -> None:
        """The sidecar's health command tells of so many clients."""
        said = f"clients: {now} now, {most} at most"
        self.beside(health=NodeHealth("healthy", has_passed=True, exit_code=0, output=said))

    def end(self, node_rank: int, code: int, at_s: float = 10.0) -> None:
        """A node ends, and its log with it."""
        self.stand(
            node_rank, status=NodeStatus.EXITED, exit_code=code, finished_at_s=START_S + at_s
        )
        self.facts.add(LogEnd(node_rank))

    def vanish(self, node_rank: int) -> None:
        """A node is removed behind our back."""
        del self.nodes[node_rank]

    def at(self, now_s: float) -> Run:
        """The run as it looks at a moment."""
        nodes = tuple(self.nodes.values())
        return Run(self.facts, nodes, START_S + now_s, None, self.sidecar)

    def _node(self, rank: int, node: int | None) -> int:
        return rank // self.desired.nodes[0].num_ranks if node is None else node


def losses(story: Story, rank: int, *values: float | str) -> None:
    """A rank reports losses, from step 1 on, one a second."""
    for number, value in enumerate(values, start=1):
        story.step(rank, number, float(number), value)


def ended(story: Story) -> Story:
    """The story after every node has ended well."""
    for node_rank in story.nodes:
        story.end(node_rank, 0, 100.0)
    return story
