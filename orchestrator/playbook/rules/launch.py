"""Rules on what a node is started with: environment, command, overrides."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from orchestrator.playbook.envfile import VARIABLE
from orchestrator.playbook.models import Playbook
from orchestrator.playbook.reserved import reserved
from orchestrator.playbook.rules.base import Rule, Site
from orchestrator.playbook.rules.loopback import is_loopback, loopbacks_in
from orchestrator.playbook.tree import Complaint, Loc, printable

LAUNCHERS = frozenset(
    ("torchrun", "accelerate", "deepspeed", "horovodrun", "mpirun", "mpiexec", "srun")
)
LAUNCHER_MODULES = frozenset(
    ("torch.distributed.run", "torch.distributed.launch", "accelerate.commands.launch")
)

_NAME_OF_NODE_0 = "MASTER_ADDR is set to node 0's name for you"


def _environment(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    several = playbook.ranks.nodes > 1
    for at, env in _environments(playbook):
        for name, value in env.items():
            loc = (*at, name)
            if name == "MASTER_ADDR" and several and is_loopback(value):
                what = f"{printable(value)} is a loopback, and every container has its own"
                yield Complaint(loc, what, f"remove it: {_NAME_OF_NODE_0}")
            elif reserved(name):
                yield Complaint(loc, "set for every rank by orchestrate", "remove it", at="key")
            elif not VARIABLE.fullmatch(name):
                what = f"{printable(name)} is not the name of a variable"
                yield Complaint(
                    loc, what, "use letters, digits and _, the first one no digit", at="key"
                )


def _environments(playbook: Playbook) -> Iterator[tuple[Loc, dict[str, str]]]:
    yield ("ranks", "env"), playbook.ranks.env
    for node, override in playbook.ranks.per_node.items():
        yield ("ranks", "per_node", node, "env"), override.env


def _command_text(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    for index, argument in enumerate(playbook.ranks.command):
        if not argument.strip():
            yield Complaint(("ranks", "command", index), "empty", "remove it or write text")


def _command_loopback(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    ranks = playbook.ranks
    if ranks.nodes == 1:
        return
    for index, host in loopbacks_in(ranks.command):
        what = f"{printable(host)} is a loopback, and every container has its own"
        yield Complaint(("ranks", "command", index), what, f"leave it out: {_NAME_OF_NODE_0}")
    for index, argument in enumerate(ranks.command):
        if argument == "--standalone":
            what = f"--standalone makes {ranks.nodes} groups of one node instead of one group"
            yield Complaint(("ranks", "command", index), what, "leave it out")


def _launchers(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    """A launcher in each of the ranks that torchrun starts would make ranks of ranks."""
    ranks = playbook.ranks
    if ranks.nproc_per_node == 1:
        return
    launcher = ranks.command[0].rpartition("/")[2]
    module = next((after for flag, after in pairwise(ranks.command) if flag == "-m"), "")
    for index, argument in enumerate(ranks.command):
        if (index == 0 and launcher in LAUNCHERS) or argument == module in LAUNCHER_MODULES:
            count = ranks.nproc_per_node
            what = f"{printable(argument)} starts ranks by itself, and so does nproc_per_node"
            fix = f"leave it out: torchrun starts the {count} ranks of each node for you"
            yield Complaint(("ranks", "command", index), what, fix)


def _node_ranks(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    nodes = playbook.ranks.nodes
    for node in playbook.ranks.per_node:
        if not 0 <= node < nodes:
            there = "the only node is 0" if nodes == 1 else f"nodes are 0 to {nodes - 1}"
            fix = "use one of these, or raise ranks.nodes"
            what = f"there is no node {node}: {there}"
            yield Complaint(("ranks", "per_node", node), what, fix, at="key")


ENVIRONMENT = Rule(_environment)
COMMAND_TEXT = Rule(_command_text)
COMMAND_LOOPBACK = Rule(_command_loopback, reads=(("ranks", "nodes"),))
COMMAND_LAUNCHER = Rule(_launchers, reads=(("ranks", "nproc_per_node"),))
NODE_RANKS = Rule(_node_ranks, reads=(("ranks", "nodes"),))
