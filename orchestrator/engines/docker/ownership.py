"""Which of a Docker engine's objects are ours, and which are in our way. Pure.

Ours is what bears all our labels: the project's, the node's, and the owner's. Whatever lacks
one, such as another user's objects of the same project, is told of and never touched.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.engines.base import Query
from orchestrator.engines.docker.inspection import (
    container_labels,
    is_node,
    is_sidecar,
    network_from_inspect,
    network_labels,
    node_from_inspect,
    sidecar_from_inspect,
)
from orchestrator.engines.docker.reading import typed
from orchestrator.state.labels import LABEL_OWNER, LABEL_PLAYBOOK, LABEL_PROJECT
from orchestrator.state.observed import (
    ForeignObject,
    ObservedNetwork,
    ObservedNode,
    ObservedSidecar,
    ProjectSummary,
)

ENV_OWNER = "ORCHESTRATE_OWNER"

Json = Mapping[str, Any]


def owner_of(environ: Mapping[str, str]) -> str:
    """Who makes objects here: ENV_OWNER, for accounts that share projects, else the user's id."""
    return environ.get(ENV_OWNER, "").strip() or str(os.getuid())


class Ownership(Struct, frozen=True):
    """Tells an owner's objects from all others."""

    owner: str

    def nodes(self, containers: Iterable[Json], project: str) -> tuple[ObservedNode, ...]:
        """The project's nodes among the containers, in rank order."""
        containers = tuple(containers)
        nodes = [node_from_inspect(each) for each in containers if self._is_node(each, project)]
        beside = {each.id: each.name for each in self.sidecars(containers, project)}
        named = (_with_named_ipc(node, beside) for node in nodes)
        return tuple(sorted(named, key=lambda node: (node.node_rank, node.id)))

    def sidecars(self, containers: Iterable[Json], project: str) -> tuple[ObservedSidecar, ...]:
        """The project's sidecars among the containers."""
        found = (each for each in containers if self._is_sidecar(each, project))
        return tuple(sorted(map(sidecar_from_inspect, found), key=lambda each: each.id))

    def foreign_containers(
        self, containers: Iterable[Json], query: Query
    ) -> tuple[ForeignObject, ...]:
        """Containers that bear a name we need, or are another owner's of the same project."""
        found = [
            _foreign("container", each["Name"].lstrip("/"), each["Id"], container_labels(each))
            for each in containers
            if not self._is_ours(each, query.project)
        ]
        return tuple(
            each
            for each in found
            if each.name in query.container_names or self._is_rival(each, query.project)
        )

    def lookalikes(self, containers: Iterable[Json], query: Query) -> tuple[ForeignObject, ...]:
        """Containers that bear all our labels, inherited from an image that was made of a node."""
        found = [
            _foreign("container", each["Name"].lstrip("/"), each["Id"], container_labels(each))
            for each in containers
            if not self._is_ours(each, query.project)
            and _key(container_labels(each)) == (query.project, self.owner)
        ]
        return tuple(each for each in found if each.name not in query.container_names)

    def networks(
        self, networks: Iterable[Json], query: Query
    ) -> tuple[tuple[ObservedNetwork, ...], tuple[ForeignObject, ...]]:
        """The project's networks and the one it names; those in our way come second."""
        observed, foreign = [], []
        for each in networks:
            labels = network_labels(each)
            is_ours = labels.get(LABEL_OWNER) == self.owner
            network = network_from_inspect(each, labels.get(LABEL_PROJECT) if is_ours else None)
            observed.append(network)
            other = _foreign("network", network.name, network.id, labels)
            is_wanted = network.name == query.network and not query.network_is_external
            in_the_way = is_wanted and network.project != query.project
            if in_the_way or self._is_rival(other, query.project):
                foreign.append(other)
        return tuple(observed), tuple(foreign)

    def summaries(
        self, containers: Sequence[Json], networks: Iterable[Json]
    ) -> tuple[ProjectSummary, ...]:
        """Every project that has a container or a network, each owner's for itself."""
        nodes = [(container_labels(each), each) for each in containers if is_node(each)]
        beside = [container_labels(each) for each in containers if is_sidecar(each)]
        nets = [network_labels(each) for each in networks]
        labels = [*(label for label, _ in nodes), *beside, *nets]
        return tuple(
            typed(
                ProjectSummary(
                    name=project,
                    playbook=_playbook_of((project, owner), labels),
                    node_names=tuple(sorted(each["Name"].lstrip("/") for _, each in mine)),
                    other_owner=None if owner == self.owner else owner,
                )
            )
            for project, owner in sorted({_key(each) for each in labels if LABEL_PROJECT in each})
            for mine in [[pair for pair in nodes if _key(pair[0]) == (project, owner)]]
        )

    def _is_node(self, container: Json, project: str) -> bool:
        return is_node(container) and _key(container_labels(container)) == (project, self.owner)

    def _is_sidecar(self, container: Json, project: str) -> bool:
        return is_sidecar(container) and _key(container_labels(container)) == (project, self.owner)

    def _is_ours(self, container: Json, project: str) -> bool:
        return self._is_node(container, project) or self._is_sidecar(container, project)

    def _is_rival(self, found: ForeignObject, project: str) -> bool:
        return found.project == project and found.owner != self.owner


def _key(labels: Mapping[str, str]) -> tuple[str, str]:
    return labels.get(LABEL_PROJECT, ""), labels.get(LABEL_OWNER, "")


def _playbook_of(key: tuple[str, str], labels: Iterable[Mapping[str, str]]) -> str:
    told = (each.get(LABEL_PLAYBOOK, "") for each in labels if _key(each) == key)
    return next(filter(None, told), "")


def _with_named_ipc(node: ObservedNode, sidecars: Mapping[str, str]) -> ObservedNode:
    """The node with the name of the sidecar whose namespace it joined; Docker keeps the id."""
    name = sidecars.get(node.spec.ipc or "")
    return replace(node, spec=replace(node.spec, ipc=name)) if name else node


def _foreign(kind: str, name: str, id_: str, labels: Mapping[str, str]) -> ForeignObject:
    return typed(ForeignObject(kind, name, id_, *_key(labels)))
