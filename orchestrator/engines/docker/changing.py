"""Changing what a Docker engine holds.

Two ways, as for looking (`reading.py`): the engine's own socket (`socket_changer.py`), and the
docker command's (`command_changer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from orchestrator.engines.docker.creation import Creation
from orchestrator.state.desired import NetworkSpec


class Changer(Protocol):
    """What the engine is told to do.

    Every method ends by a deadline of its own, and raises EngineUnavailable or what
    `cli.to_error` makes of the engine's refusal.
    """

    def create_network(self, network: NetworkSpec, labels: Mapping[str, str]) -> None:
        """Create a bridge network. Raises NameTaken where there is one of its name."""

    def remove_network(self, id_: str, name: str) -> None:
        """Remove a network; one that is gone is no error. `name` is for messages."""

    def create(self, creation: Creation) -> None:
        """Create a container. Its hidden variables stand in no command line.

        Raises NameTaken, ImageUnavailable, NodeNotStarted for a mount that cannot be, and
        FolderUnusable.
        """

    def start(self, name: str) -> None:
        """Start a container that was created; one that runs already is no error."""

    def signal(self, ids: Sequence[str], signal: str) -> None:
        """Send a signal to all at once; those that do not run are passed over."""

    def unpause(self, ids: Sequence[str]) -> None:
        """Thaw containers; those that are not paused are passed over."""

    def remove(self, ids: Sequence[str]) -> None:
        """Remove containers and their volumes, with force; those that are gone are no error."""
