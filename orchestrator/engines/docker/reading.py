"""Looking at what a Docker engine holds: what there is to ask.

Two ways lead there, the engine's own socket (`socket_reader.py`) and the docker command
(`command_reader.py`); `endpoint.py` says which serves. The command goes wherever docker goes
(ssh, tcp, contexts), at the cost of a process per question and per log.
"""

from __future__ import annotations

from collections.abc import Sequence
from threading import Event
from typing import Any, BinaryIO, Protocol, TypeVar, runtime_checkable

import msgspec

from orchestrator.engines.base import OnLog, Query
from orchestrator.state.labels import LABEL_PROJECT
from orchestrator.state.observed import ObservedContainer, ObservedNode

Json = dict[str, Any]
"""One object as `docker inspect` shows it; the engine's API gives the same."""

T = TypeVar("T", bound=msgspec.Struct)

Filter = tuple[str, str]
"""One of `docker ps --filter`, as name and value."""


def of_project(project: str) -> Filter:
    """Passes what bears a project's label."""
    return "label", f"{LABEL_PROJECT}={project}"


def filters_for(query: Query) -> list[Filter]:
    """Filters that together give the project's containers and any clash of names."""
    filters = [of_project(query.project)]
    if query.node_names:
        # One filter for all names: a regular expression on their common stem.
        filters.append(("name", f"^/?{query.project}-node-[0-9]+$"))
    if query.sidecar:
        filters.append(("name", f"^/?{query.sidecar}$"))
    return filters


class Reader(Protocol):
    """What the engine is asked. Nothing here changes anything.

    Every method ends by a deadline of its own, except `follow_logs`, and raises
    EngineUnavailable or what `cli.to_error` makes of the engine's refusal.
    """

    def containers(self, filters: Sequence[Filter]) -> list[Json]:
        """Every container, in any state, that passes one of the filters; each once."""

    def networks(self, label: str, name: str | None = None) -> list[Json]:
        """Every network that bears the label (`KEY` or `KEY=VALUE`) or the name; each once."""

    def image(self, tag: str) -> Json | None:
        """The image that a tag or digest means; None: it is not here."""

    def version(self) -> str:
        """Which version the engine is."""

    def info(self) -> Json:
        """What the engine says of itself and of its machine."""

    def have_exited(self, ids: Sequence[str], *, within_s: float) -> bool:
        """Wait until none of these containers runs; False when the time is up before."""

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """See `Engine.follow_logs`."""

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """See `Engine.read_logs`."""

    def copy_log(self, node: ObservedContainer, file: BinaryIO) -> None:
        """Append the node's whole output, byte for byte. Raises OSError as the file does."""


@runtime_checkable
class ReadsStats(Protocol):
    """A `Reader` that can ask what containers use, at a price that may be paid all the time."""

    def stats(self, ids: Sequence[str]) -> list[Json | None]:
        """What the engine counts of each container; None of one that is gone."""


def typed(value: T) -> T:
    """The same, once each field is known to be of its type; raises ValueError if one is not.

    What is not Docker but speaks its API may leave out, or write otherwise, what Docker never does.
    """
    return msgspec.convert(msgspec.to_builtins(value), type(value))
