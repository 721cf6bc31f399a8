"""The declared health checks, each a pure function of what is known of the run.

A check that does not hold says for each rank what was expected and what came. `PENDING`
is for now only: when the run is over, or its deadline has passed, nothing is pending.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.playbook.models import (
    Check,
    Completed,
    Joined,
    Loss,
    Progress,
    Training,
)
from orchestrator.state.observed import NodeStatus, ObservedNode
from orchestrator.verify.facts import RunFacts, last_start_s
from orchestrator.verify.join import join_faults, rank_has_joined
from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.rank_facts import RankFacts
from orchestrator.verify.results import CheckResult, Finding, Status


@dataclass(frozen=True, slots=True)
class Run:
    """One moment of a run: its facts, its nodes as last seen, and the time."""

    facts: RunFacts
    nodes: tuple[ObservedNode, ...]
    now_s: float

    @property
    def started_at_s(self) -> float:
        """When the last node started."""
        return last_start_s(self.nodes)

    @property
    def has_ended(self) -> bool:
        """True when no node runs any more and every log is complete."""
        return not any(node.is_active for node in self.nodes) and all(
            node.has_ended for node in self.facts.nodes.values()
        )

    @property
    def joined_at_s(self) -> float | None:
        """When the last rank joined; None while one is missing."""
        times = [rank.joined_at_s for rank in self.facts.ranks.values()]
        return None if None in times else max(time for time in times if time is not None)

    def is_silent(self, node_rank: int) -> bool:
        """True when nothing more will come from a node."""
        return self.facts.nodes[node_rank].has_ended

    def node_of(self, rank: int) -> int:
        """The node that a rank runs in."""
        return rank // self.facts.desired.nodes[0].num_ranks


def evaluate(checks: Sequence[Check], run: Run) -> tuple[CheckResult, ...]:
    """Judge every declared check, in its order, and before them that no node died."""
    join = next((check_joined(each, run) for each in checks if isinstance(each, Joined)), None)
    has_failed = join is not None and join.status is Status.FAILED
    judged = (
        join if join and isinstance(check, Joined) else _evaluate_one(check, run, has_failed)
        for check in checks
    )
    return (check_alive(run), *judged)


def _evaluate_one(check: Check, run: Run, join_has_failed: bool) -> CheckResult:
    """A check that rests on the join is skipped when there was none."""
    if join_has_failed and isinstance(check, Training | Progress | Loss):
        return CheckResult(check.kind, Status.SKIPPED, "the group did not join")
    match check:
        case Joined():
            return check_joined(check, run)
        case Training():
            return check_training(check, run)
        case Progress():
            return check_progress(check, run)
        case Loss():
            return check_loss(check, run)
        case Completed():
            return check_completed(check, run)
        case _:
            raise AssertionError(f"no such check: {check.kind}")


def check_alive(run: Run) -> CheckResult:
    """No node has died, been paused or vanished. Declared or not, this must hold."""
    seen = {node.node_rank: node for node in run.nodes}
    findings = tuple(
        Finding(spec.node_rank, None, "runs, or has ended with 0", found)
        for spec in run.facts.desired.nodes
        if (found := _death(seen.get(spec.node_rank), run.facts))
    )
    if not findings:
        return CheckResult("alive", Status.OK, f"{_count(len(run.nodes), 'node')} in order")
    return CheckResult("alive", Status.FAILED, "a node is not in order", findings)


def _death(node: ObservedNode | None, facts: RunFacts) -> str:
    if node is None:
        return "is gone"
    if node.status is NodeStatus.RUNNING or node.has_finished_well:
        return ""
    if node.status is not NodeStatus.EXITED:
        return f"is {node.status.value}" + (f": {node.error}" if node.error else "")
    return how_it_ended(node, facts)


def check_joined(check: Joined, run: Run) -> CheckResult:
    """Every rank came out of one collective over the whole group, once, from its own node."""
    deadline_s = run.started_at_s + check.within_s
    faults = join_faults(run.facts, deadline_s)
    if faults:
        findings = tuple(
            Finding(run.node_of(rank), rank, expected, found)
            for rank, (expected, found) in sorted(faults.items())
        )
        return CheckResult(check.kind, Status.FAILED, _join_summary(run, len(findings)), findings)
    missing = [rank for rank in run.facts.ranks if not rank_has_joined(run.facts, rank)]
    world_size = run.facts.desired.world_size
    if not missing:
        took_s = (run.joined_at_s or 0.0) - run.started_at_s
        why = f"{_count(world_size, 'rank')} after {max(took_s, 0):.1f} s"
        return CheckResult(check.kind, Status.OK, why)
    lost = [rank for rank in missing if run.is_silent(run.node_of(rank))]
    if not lost and run.now_s <= deadline_s:
        return CheckResult(
            check.kind, Status.PENDING, f"{world_size - len(missing)} of {world_size} ranks"
        )
    nodes = {node.node_rank: node for node in run.nodes}
    findings = tuple(_missing_join(run, nodes, rank, check) for rank in missing)
    return CheckResult(check.kind, Status.FAILED, _join_summary(run, len(missing)), findings)


def _missing_join(run: Run, nodes: Mapping[int, ObservedNode], rank: int, check: Joined) -> Finding:
    node_rank = run.node_of(rank)
    expected = f"process_group_joined within {check.within_s:g} s"
    node = nodes.get(node_rank)
    found = "nothing"
    if impostors := run.facts.nodes[node_rank].impostors:
        found = str(impostors[0])
    elif node is not None and not node.is_active:
        found = f"nothing; it {how_it_ended(node, run.facts)}"
    if claimants := run.facts.claimants(rank):
        found += f"; node {', '.join(map(str, claimants))} claims to be this rank"
    return Finding(node_rank, rank, expected, found)


def _join_summary(run: Run, num_bad: int) -> str:
    return f"{num_bad} of {_count(run.facts.desired.world_size, 'rank')} did not join"


def check_training(check: Training, run: Run) -> CheckResult:
    """Every rank has done `steps` optimizer steps within the time from the join."""
    since = run.joined_at_s or run.started_at_s
    deadline_s = since + check.within_s
    late = {
        rank: facts
        for rank, facts in run.facts.ranks.items()
        if facts.milestone_at_s is None or facts.milestone_at_s > deadline_s
    }
    if not late:
        return CheckResult(check.kind, Status.OK, f"{_count(check.steps, 'step')} on every rank")
    if run.now_s <= deadline_s and not any(run.is_silent(run.node_of(rank)) for rank in late):
        done = len(run.facts.ranks) - len(late)
        return CheckResult(
            check.kind, Status.PENDING, f"{done} of {len(run.facts.ranks)} ranks there"
        )
    expected = f"step {check.steps} within {check.within_s:g} s of the join"
    findings = _rank_findings(run, late, expected, lambda facts: f"step {facts.last_step}")
    why = f"{len(late)} of {_count(len(run.facts.ranks), 'rank')} got no further"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def check_progress(check: Progress, run: Run) -> CheckResult:
    """No rank went longer than `every_s` without an optimizer step."""
    active = {node.node_rank for node in run.nodes if node.status is NodeStatus.RUNNING}
    silences = {
        rank: _silence(facts, run.now_s if run.node_of(rank) in active else None)
        for rank, facts in run.facts.ranks.items()
    }
    findings = tuple(
        Finding(
            run.node_of(rank),
            rank,
            f"a step every {check.every_s:g} s",
            f"no step for {length_s:.0f} s {when}",
        )
        for rank, (length_s, when) in silences.items()
        if length_s > check.every_s
    )
    if not findings:
        return CheckResult(check.kind, Status.OK, f"a step at least every {check.every_s:g} s")
    return CheckResult(check.kind, Status.FAILED, "a rank hangs", findings)


def _silence(facts: RankFacts, now_s: float | None) -> tuple[float, str]:
    """The longest time without a step, in seconds, and when; `now_s` None: the node has ended.

    What follows the last step of a finished rank is no silence: it may export a large model.
    """
    since = facts.last_step_at_s or facts.joined_at_s
    waited_s = 0.0
    if now_s is not None and since is not None and not facts.has_finished:
        waited_s = now_s - since
    if waited_s > facts.longest_gap_s:
        return waited_s, f"after step {facts.last_step}"
    return facts.longest_gap_s, f"before step {facts.longest_gap_before}"


def check_loss(check: Loss, run: Run) -> CheckResult:
    """The reported losses are finite, and lower at the end than at the beginning."""
    if check.finite:
        bad = {
            rank: facts
            for rank, facts in run.facts.ranks.items()
            if facts.bad_loss_at_step is not None
        }
        if bad:
            findings = _rank_findings(
                run, bad, "a finite loss", lambda f: f"not finite at step {f.bad_loss_at_step}"
            )
            return CheckResult(check.kind, Status.FAILED, "a loss is not finite", findings)
    if not check.decreases:
        return CheckResult(check.kind, Status.OK, "finite")
    if not run.has_ended:
        return CheckResult(check.kind, Status.PENDING, "judged at the end of the run")
    flat = {rank: facts for rank, facts in run.facts.ranks.items() if not _decreased(facts)}
    if flat:
        findings = _rank_findings(run, flat, "a loss that decreases", _loss_course)
        return CheckResult(check.kind, Status.FAILED, "the loss did not decrease", findings)
    return CheckResult(check.kind, Status.OK, _loss_course(run.facts.ranks[0]))


def _means(facts: RankFacts) -> tuple[float, float] | None:
    """Means over the first and the last few losses, which never share one; None if too few."""
    window = min(len(facts.first_losses), facts.num_losses // 2)
    if window == 0:
        return None
    first = facts.first_losses[:window]
    last = list(facts.last_losses)[-window:]
    return sum(first) / window, sum(last) / window


def _decreased(facts: RankFacts) -> bool:
    means = _means(facts)
    return means is not None and means[1] < means[0]


def _loss_course(facts: RankFacts) -> str:
    means = _means(facts)
    if means is None:
        return f"{_count(facts.num_losses, 'loss', 'losses')} reported"
    return f"from {means[0]:.4g} to {means[1]:.4g}"


def check_completed(check: Completed, run: Run) -> CheckResult:
    """Every node ended with exit code 0 within the time from the start of the last one."""
    deadline_s = run.started_at_s + check.within_s
    gone = _nodes_gone(run)
    unfinished = [
        node
        for node in run.nodes
        if not node.has_finished_well or (node.finished_at_s or 0.0) > deadline_s
    ]
    if not unfinished and not gone:
        took_s = max(node.finished_at_s or 0.0 for node in run.nodes) - run.started_at_s
        why = f"{_count(len(run.nodes), 'node')} ended with 0 after {max(took_s, 0):.1f} s"
        return CheckResult(check.kind, Status.OK, why)
    none_failed = not gone and all(n.is_active or n.has_finished_well for n in unfinished)
    if none_failed and run.now_s <= deadline_s:
        done = len(run.nodes) - len(unfinished)
        return CheckResult(check.kind, Status.PENDING, f"{done} of {len(run.nodes)} nodes")
    found = dict.fromkeys(gone, "is gone") | {
        node.node_rank: _how_it_stands(node, run, deadline_s) for node in unfinished
    }
    expected = f"exit code 0 within {check.within_s:g} s"
    findings = tuple(Finding(rank, None, expected, found[rank]) for rank in sorted(found))
    why = f"{len(found)} of {_count(len(run.nodes) + len(gone), 'node')} did not complete"
    return CheckResult(check.kind, Status.FAILED, why, findings)


def _nodes_gone(run: Run) -> tuple[int, ...]:
    seen = {node.node_rank for node in run.nodes}
    return tuple(rank for rank in run.facts.nodes if rank not in seen)


def _how_it_stands(node: ObservedNode, run: Run, deadline_s: float) -> str:
    if node.is_active:
        return "still runs"
    if node.has_finished_well:
        return f"ended with 0, {(node.finished_at_s or 0.0) - deadline_s:.1f} s too late"
    return how_it_ended(node, run.facts)


def _rank_findings(
    run: Run,
    ranks: dict[int, RankFacts],
    expected: str,
    found: Callable[[RankFacts], str],
) -> tuple[Finding, ...]:
    return tuple(
        Finding(run.node_of(rank), rank, expected, found(facts)) for rank, facts in ranks.items()
    )


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"


__all__ = [
    "CheckResult",
    "Finding",
    "Run",
    "Status",
    "check_alive",
    "check_completed",
    "check_joined",
    "check_loss",
    "check_progress",
    "check_training",
    "evaluate",
]
