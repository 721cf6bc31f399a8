"""A gang that was started by hand -> its playbook, and what could not be carried over. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.starting.container import Container, Note, seen_from
from orchestrator.starting.draft import Draft
from orchestrator.starting.gang import Gang, whole

DEFAULT_PORT = 29500
_GPU_WAIT = "2m"


class Place(Struct, frozen=True):
    """Where the playbook will be, and where the commands were meant to be typed.

    Attributes:
        name: of the project.
        file: of the playbook.
        folder: of the playbook, absolute.
        base: what relative paths of the commands are relative to, absolute.
        source: what the playbook is made from, for people.
    """

    name: str
    file: str
    folder: str
    base: str
    source: str


def draft_of(gang: Gang, place: Place) -> Draft:
    """The playbook of a gang; what could not be carried over stands below it, too."""
    num_nodes = gang.num_nodes()
    gang.say_of_rendezvous(num_nodes)
    gpu = gang.gpu(num_nodes)
    document: dict[str, Any] = {
        "version": 1,
        "name": place.name,
        "image": _image(gang, place),
        "network": gang.network(),
        "ranks": dict(_ranks(gang, place, num_nodes)),
        "rendezvous": _rendezvous(gang),
        "gpu": gpu,
        "health_checks": _checks("60s" if gpu["mode"] == "cpu" and num_nodes <= 4 else _GPU_WAIT),
    }
    kept = {key: value for key, value in document.items() if value not in ({}, {"mode": "cpu"})}
    head = (f"Made from {place.source} by `orchestrate init --from`.",)
    return Draft(head, kept, _words(kept), tuple(_foot(notes_of(gang))))


def notes_of(gang: Gang) -> tuple[Note, ...]:
    """What is said of the whole, each thing once."""
    values: dict[Note, dict[str, None]] = {}
    for note in (*gang.notes, *(note for node in gang.nodes for note in node.notes)):
        values.setdefault(replace(note, value=""), {})[note.value] = None
    found = [replace(note, value=", ".join(filter(None, of))) for note, of in values.items()]
    return tuple(sorted(found, key=lambda note: note.weight != "mended"))


def _foot(notes: Sequence[Note]) -> Iterator[str]:
    left_out = [note for note in notes if note.weight == "left out"]
    if left_out:
        yield "Not carried over:"
    for note in left_out:
        yield f"  {said(note)}"


def said(note: Note) -> str:
    """A note on one line."""
    value = f" {note.value}" if note.value else ""
    instead = f"; see {note.instead}" if note.instead else ""
    return f"{note.what}{value}: {note.why}{instead}"


def _image(gang: Gang, place: Place) -> dict[str, Any]:
    first = gang.first
    for node in gang.nodes:
        if node.image != first.image:
            gang.leave_out(f"image of {node.where}", node.image, "all nodes run one", "image.tag")
    image: dict[str, Any] = {"tag": first.image or f"{place.name}:local"}
    if first.build:
        context = seen_from(place.folder, {"source": first.build["context"]}, place.base)
        image["build"] = {**first.build, "context": context["source"]}
    return image | ({"pull": first.pull} if first.pull else {})


def _ranks(gang: Gang, place: Place, num_nodes: int) -> Iterator[tuple[str, Any]]:
    yield "nodes", num_nodes
    if gang.nproc_per_node > 1:
        yield "nproc_per_node", gang.nproc_per_node
    yield "command", list(gang.command())
    seen = [_Seen.of(node, place) for node in gang.nodes]
    common = _common(seen)
    yield from common.items()
    if gang.first.user is not None:
        yield "user", gang.first.user
    # One container that stands for all nodes has nothing that differs.
    per_node = {
        index: differing
        for index, node in enumerate(seen)
        if (differing := node.without(common)) and len(seen) > 1
    }
    if per_node:
        yield "per_node", per_node


class _Seen(Struct, frozen=True):
    """What may differ from node to node, as the playbook has it."""

    env: dict[str, str]
    env_file: list[str]
    mounts: list[dict[str, Any]]
    resources: dict[str, Any]

    @classmethod
    def of(cls, node: Container, place: Place) -> _Seen:
        mounts = [seen_from(place.folder, mount, place.base) for mount in node.mounts]
        files = [
            seen_from(place.folder, {"source": path}, place.base)["source"].removeprefix("./")
            for path in node.env_files
        ]
        return cls(node.env, files, mounts, node.resources)

    def without(self, common: dict[str, Any]) -> dict[str, Any]:
        """What this node has besides what all have."""
        env, limits = common.get("env", {}), common.get("resources", {})
        found = {
            "env": {key: of for key, of in self.env.items() if env.get(key) != of},
            "env_file": [] if "env_file" in common else self.env_file,
            "mounts": [each for each in self.mounts if each not in common.get("mounts", [])],
            "resources": {key: of for key, of in self.resources.items() if limits.get(key) != of},
        }
        return {key: of for key, of in found.items() if of}


def _common(seen: Sequence[_Seen]) -> dict[str, Any]:
    """What all nodes have."""
    first, others = seen[0], seen[1:]
    found: dict[str, Any] = {
        "env": {
            key: of
            for key, of in first.env.items()
            if all(other.env.get(key) == of for other in others)
        },
        "env_file": first.env_file
        if all(other.env_file == first.env_file for other in others)
        else [],
        "mounts": [each for each in first.mounts if all(each in other.mounts for other in others)],
        "resources": {
            key: of
            for key, of in first.resources.items()
            if all(other.resources.get(key) == of for other in others)
        },
    }
    return {key: of for key, of in found.items() if of}


def _rendezvous(gang: Gang) -> dict[str, Any]:
    launch = gang.launches[0]
    said_port = gang.first.group.get("MASTER_PORT", "")
    if launch:
        endpoint = launch.options.get("rdzv-endpoint", "").rpartition(":")[2]
        said_port = launch.options.get("master-port", "") or endpoint or said_port
    port = whole(said_port)
    return {"port": port} if port and port != DEFAULT_PORT and 1024 <= port <= 65535 else {}


def _checks(within: str) -> list[dict[str, Any]]:
    return [
        {"joined": {"within": within}},
        {"training": {"steps": 1, "within": within}},
        {"completed": {"within": "5m"}},
    ]


def _words(document: dict[str, Any]) -> dict[str, str]:
    words = {
        "ranks.nodes": "MASTER_ADDR, RANK, WORLD_SIZE are set for you",
        "health_checks": "apply exits with 0 only if all of these hold",
        "health_checks[2]": "leave it out for a run without end",
    }
    if "internal" in document.get("network", {}):
        words["network.internal"] = "the containers had a way out; true, the default, closes it"
    return words
