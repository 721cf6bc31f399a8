"""Containers that were started by hand -> the one gang that they were meant to be. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from msgspec import Struct, field

from orchestrator.starting.container import Container, Note
from orchestrator.starting.torchrun import Launched, is_loopback, launched

_RANK_VARIABLES = ("RANK", "NODE_RANK", "GROUP_RANK")
_GROUP_WORD = "set for every rank"


class Gang(Struct):
    """The ranks among the containers, in their order, and what is said on the way.

    Attributes:
        nodes: the containers of the ranks; one that stands for several is there once.
        launches: of each, what torchrun was told, if it was torchrun.
        made_networks: networks that the commands make, and whether each is internal.
        notes: what cannot be carried over as it is.
    """

    nodes: list[Container]
    launches: list[Launched | None]
    made_networks: dict[str, bool]
    notes: list[Note] = field(default_factory=list)

    @property
    def first(self) -> Container:
        """The container of node 0."""
        return self.nodes[0]

    @property
    def num_containers(self) -> int:
        """How many containers the commands start."""
        return sum(node.num_replicas for node in self.nodes)

    @property
    def nproc_per_node(self) -> int:
        """Ranks in each node."""
        launch = self.launches[0]
        asked = launch.options.get("nproc-per-node", "1") if launch else "1"
        number = whole(asked)
        if launch and number is None:
            why = f"how many ranks {asked!r} means is known on the machine alone: 1 is written"
            self.mend("--nproc-per-node", asked, why, "ranks.nproc_per_node")
        return min(max(number or 1, 1), 64)

    def mend(self, what: str, value: str, why: str, instead: str) -> None:
        """Say that something stands otherwise in the playbook."""
        note = Note("mended", what, value, why, instead)
        if note not in self.notes:
            self.notes.append(note)

    def leave_out(self, what: str, value: str, why: str, instead: str = "") -> None:
        """Say that something is not in the playbook."""
        self.notes.append(Note("left out", what, value, why, instead))

    # -- the sections of the playbook ------------------------------------------

    def num_nodes(self) -> int:
        """How many nodes: as many as there are containers, or as the one that is shown says."""
        counted = self.num_containers
        launch, nproc = self.launches[0], self.nproc_per_node
        said = launch.options.get("nnodes", "").rpartition(":")[2] if launch else ""
        world = whole(self.first.group.get("WORLD_SIZE", ""))
        meant = whole(said) or (world and -(-world // nproc)) or counted
        if counted == 1 and 1 < meant <= 10_000:
            why = f"one container of {meant} is there: the others are made like it"
            self.mend("number of ranks", str(meant), why, "ranks.nodes")
            return meant
        if meant != counted:
            why = f"{counted} containers are started: they are the world"
            self.mend("WORLD_SIZE" if world else "--nnodes", str(world or said), why, "ranks.nodes")
        return counted

    def say_of_rendezvous(self, num_nodes: int) -> None:
        """Say what became of the variables that were set by hand."""
        for node, launch in zip(self.nodes, self.launches, strict=True):
            options = launch.options if launch else {}
            for what in ("MASTER_ADDR", "master-addr", "rdzv-endpoint"):
                address = node.group.get(what) or options.get(what, "")
                if not address:
                    continue
                shown = what if what.isupper() else f"--{what}"
                if num_nodes > 1 and is_loopback(address):
                    why = (
                        "in a container that is the container itself, and the ranks would"
                        " never meet; it is node 0's name now"
                    )
                else:
                    why = f"{_GROUP_WORD}: node 0's name on the network"
                self.mend(shown, address, why, "rendezvous")
        ranks = [
            _rank_of(node, launch) for node, launch in zip(self.nodes, self.launches, strict=True)
        ]
        known = [rank for rank in ranks if rank is not None]
        if known:
            twice = sorted(rank for rank, count in Counter(known).items() if count > 1)
            why = f"{_GROUP_WORD} by the number of its node"
            if twice:
                why += f"; rank {twice[0]} was given more than once"
            self.mend("RANK", ", ".join(map(str, known)), why, "ranks.nodes")
        if any("WORLD_SIZE" in node.group for node in self.nodes):
            self.mend("WORLD_SIZE", "", _GROUP_WORD, "ranks.nodes")

    def command(self) -> tuple[str, ...]:
        """What each node runs: that of node 0, the others' if they are the same."""
        commands = [
            _command(node, launch) for node, launch in zip(self.nodes, self.launches, strict=True)
        ]
        if self.launches[0]:
            why = "torchrun is started in each node where it has more than one rank"
            self.mend("torchrun", "", why, "ranks.nproc_per_node")
        for node, other in zip(self.nodes, commands, strict=True):
            if other != commands[0]:
                why = "all ranks run one command: what differs by rank, read from RANK"
                self.leave_out(f"command of {node.where}", " ".join(other), why, "ranks.command")
        if self.first.entrypoint:
            why = "it begins the command; an entrypoint of the image itself would run that"
            self.mend("--entrypoint", " ".join(self.first.entrypoint), why, "ranks.command")
        if self.first.workdir and any(commands[0]):
            self.mend("--workdir", self.first.workdir, "a shell goes there first", "ranks.command")
        return commands[0]

    def gpu(self, num_nodes: int) -> dict[str, Any]:
        """The section gpu."""
        asked = [node.gpus for node in self.nodes]
        if not any(asked):
            return {"mode": "cpu"}
        devices = [_devices(each) for each in asked]
        named = [device for each in devices for device in each]
        is_apart = len(set(named)) == len(named) and all(devices)
        if num_nodes == 1 or (is_apart and len(devices) == num_nodes):
            per_node = len(devices[0]) or whole(asked[0].removeprefix("count=")) or 0
            count = {"per_node": per_node} if per_node > self.nproc_per_node else {}
            return {"mode": "exclusive", **({"devices": named} if named else {}), **count}
        if self.nproc_per_node > 1:
            why = "each node has GPUs of its own, one for each of its ranks"
            self.mend("--gpus", asked[0], why, "gpu.mode")
            return {"mode": "exclusive"}
        why = (
            "every node would see the same GPUs, and NCCL refuses two ranks on one: they share"
            " one GPU in turns, by gloo; `exclusive` gives each node its own"
        )
        self.mend("--gpus", asked[0], why, "gpu.mode")
        fraction = round(0.9 / (num_nodes * self.nproc_per_node), 3)
        one = {"devices": named[:1]} if named else {}
        return {"mode": "shared", **one, "memory_fraction": fraction}

    def network(self) -> dict[str, Any]:
        """The section network: as open as the one that there was."""
        name = next((name for node in self.nodes for name in node.networks), "")
        if not name or name in self.made_networks:
            is_internal = self.made_networks.get(name, False)
            if name not in {"", "default"}:
                why = "it is made and removed with the nodes, under the project's name"
                self.mend("network", name, why, "network.name")
            return {} if is_internal else {"internal": False}
        why = "the commands do not make it: it must be there, and is never removed"
        self.mend("network", name, why, "network.external")
        return {"name": name, "external": True}


def whole(text: str) -> int | None:
    """The whole number that a text is; None where it is none."""
    return int(text) if text.isdecimal() and len(text) < 10 else None


def _devices(asked: str) -> list[int | str]:
    parts = [] if asked.startswith("count=") else [each.strip() for each in asked.split(",")]
    return [int(each) if each.isdecimal() else each for each in parts if each not in {"", "all"}]


def _rank_of(node: Container, launch: Launched | None) -> int | None:
    said = [node.group.get(name, "") for name in _RANK_VARIABLES]
    said.append(launch.options.get("node-rank", "") if launch else "")
    return next((rank for rank in map(whole, said) if rank is not None), None)


def _command(node: Container, launch: Launched | None) -> tuple[str, ...]:
    command = launch.command if launch else (*node.entrypoint, *node.command)
    if not node.workdir or not command:
        return command
    # A playbook has no field for it: the shell that goes there becomes the command.
    return ("sh", "-c", 'cd "$0" && exec "$@"', node.workdir, *command)


def gang_of(containers: Sequence[Container], made_networks: dict[str, bool]) -> Gang:
    """Tell the ranks from what else is started, and put them in order."""
    launches = {id(each): launched((*each.entrypoint, *each.command)) for each in containers}

    def is_rank(each: Container) -> bool:
        return bool(each.group) or launches[id(each)] is not None

    def order(each: Container) -> int:
        rank = _rank_of(each, launches[id(each)])
        return 10_000 if rank is None else rank

    ranks = [each for each in containers if is_rank(each)]
    if not ranks:
        most = Counter((each.image, each.command) for each in containers).most_common(1)[0][0]
        ranks = [each for each in containers if (each.image, each.command) == most]
    nodes = sorted(ranks, key=order)
    gang = Gang(nodes, [launches[id(node)] for node in nodes], made_networks)
    for each in containers:
        if each not in ranks:
            why = "it is no rank of the gang: start it by itself"
            gang.leave_out(each.where, each.image, why)
    return gang
