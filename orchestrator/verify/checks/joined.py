"""Every rank came out of one collective over the whole group. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from orchestrator.playbook.models import Joined
from orchestrator.state.observed import ObservedNode
from orchestrator.verify.checks.run import Run, count
from orchestrator.verify.join import join_faults, rank_has_joined
from orchestrator.verify.outcome import how_it_ended
from orchestrator.verify.phases import how_far, slowest
from orchestrator.verify.results import CheckResult, Finding, Status


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
        details = f" ({told})" if (told := slowest(run)) else ""
        why = f"{count(world_size, 'rank')} after {max(took_s, 0):.1f} s{details}"
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
    found = how_far(run, rank)
    if impostors := run.facts.nodes[node_rank].impostors:
        found = str(impostors[0])
    elif node is not None and not node.is_active:
        found += f"; it {how_it_ended(node, run.facts)}"
    if claimants := run.facts.claimants(rank):
        found += f"; node {', '.join(map(str, claimants))} claims to be this rank"
    return Finding(node_rank, rank, expected, found)


def _join_summary(run: Run, num_bad: int) -> str:
    return f"{num_bad} of {count(run.facts.desired.world_size, 'rank')} did not join"
