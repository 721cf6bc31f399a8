"""Rules on health checks: what they say together, and of the rest of the playbook."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.playbook.health import Http, Loss, Mps, Tcp, Throughput
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.rules.base import Rule, Site, lists_of_mounts
from orchestrator.playbook.tree import Also, Complaint


def _checks_once(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    seen: dict[str, int] = {}
    for index, check in enumerate(playbook.health_checks):
        first = seen.setdefault(check.kind, index)
        if first != index:
            what = f"the check {check.kind} is given twice"
            also = (Also(("health_checks", first), "first given here"),)
            yield Complaint(("health_checks", index), what, "remove one of the two", also=also)


def _throughput(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    for index, check in enumerate(playbook.health_checks):
        if isinstance(check, Throughput) and check.steps_per_s is check.tokens_per_s is None:
            fix = "add steps_per_s, tokens_per_s or both"
            yield Complaint(("health_checks", index), "throughput without a rate", fix)


def _reference(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    """The command runs once more for `loss.matches`: what it writes, the gang would find."""
    for index, check in enumerate(playbook.health_checks):
        if not isinstance(check, Loss) or check.matches == "nothing":
            continue
        for loc, mounts in lists_of_mounts(playbook):
            writable = next((i for i, mount in enumerate(mounts) if not mount.read_only), None)
            if writable is not None and "per_node" not in loc:
                what = "the run in a single process would write to a mount of the gang"
                also = (Also((*loc, writable), "writable here"),)
                fix = "make the mount read-only, or leave out matches"
                yield Complaint(("health_checks", index, "loss", "matches"), what, fix, also=also)


def _asked_node(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    last = playbook.ranks.nodes - 1
    for index, check in enumerate(playbook.health_checks):
        if isinstance(check, Http | Tcp) and check.node is not None and check.node > last:
            what = f"there is no node {check.node}"
            fix = f"the last one is {last}; leave it out to ask every node"
            yield Complaint(("health_checks", index, check.kind, "node"), what, fix)


def _daemon(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    for index, check in enumerate(playbook.health_checks):
        if isinstance(check, Mps) and playbook.gpu.mode != "mps":
            what = f"there is no MPS daemon in gpu.mode {playbook.gpu.mode}"
            yield Complaint(("health_checks", index), what, "leave it out, or use gpu.mode: mps")


MPS_CHECK = Rule(_daemon, reads=(("gpu", "mode"),))
ASKED_NODE = Rule(_asked_node, reads=(("ranks", "nodes"),))
CHECKS_ONCE = Rule(_checks_once)
REFERENCE = Rule(_reference, reads=(("ranks", "mounts"),))
THROUGHPUT = Rule(_throughput)
