"""Changing what a Docker engine holds through the `docker` command: one process a call.

The many arguments for a container are rendered by python-on-whales, through a client whose
every call is bounded by `timeout`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from threading import Thread
from typing import TYPE_CHECKING

from orchestrator.engines.docker.cli import DockerCli, to_error
from orchestrator.engines.docker.client import make_client, typed
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.options import create_options
from orchestrator.engines.docker.private import hidden_env_file
from orchestrator.state.desired import NetworkSpec

if TYPE_CHECKING:
    from python_on_whales import DockerClient


class CliChanger:
    """A `Changer` that runs the `docker` command: one process a call, however many objects."""

    def __init__(self, cli: DockerCli) -> None:
        self._cli = cli

    def create_network(self, network: NetworkSpec, labels: Mapping[str, str]) -> None:
        """See `Changer.create_network`. python-on-whales has no word for `--internal`."""
        # Nodes are made next: python-on-whales is imported while docker is busy.
        Thread(target=lambda: self._client, name="import", daemon=True).start()
        self._cli.call(
            "network", "create", "--driver", "bridge",
            *(["--internal"] if network.internal else []),
            *(word for key, value in labels.items() for word in ("--label", f"{key}={value}")),
            network.name,
            doing=f"creating network {network.name}",
        )  # fmt: skip

    def remove_network(self, id_: str, name: str) -> None:
        """See `Changer.remove_network`."""
        code, _, err = self._cli.attempt("network", "rm", id_)
        if code != 0 and "not found" not in err:
            raise to_error(err, f"removing network {name}")

    def create(self, creation: Creation) -> None:
        """See `Changer.create`."""
        node, deadline_s = creation.node, self._cli.deadlines.change_s
        doing = f"creating node {node.name}"
        with hidden_env_file(creation) as hidden, typed(doing, deadline_s=deadline_s):
            options = create_options(creation, hidden)
            self._client.container.create(node.image or "", list(node.command), **options)

    @cached_property
    def _client(self) -> DockerClient:
        return make_client(self._cli.prefix, self._cli.deadlines.change_s)

    def start(self, name: str) -> None:
        """See `Changer.start`."""
        self._cli.call("start", name, doing=f"starting node {name}")

    def signal(self, ids: Sequence[str], signal: str) -> None:
        """See `Changer.signal`."""
        self._cli.attempt("kill", "--signal", signal, *ids)

    def unpause(self, ids: Sequence[str]) -> None:
        """See `Changer.unpause`."""
        self._cli.attempt("unpause", *ids)

    def remove(self, ids: Sequence[str]) -> None:
        """See `Changer.remove`."""
        bulk_s = self._cli.deadlines.bulk_s
        code, _, err = self._cli.attempt("rm", "--force", "--volumes", *ids, deadline_s=bulk_s)
        complaints = [line for line in err.splitlines() if not _is_gone(line)]
        if code != 0 and complaints:
            raise to_error("\n".join(complaints), "removing nodes")


def _is_gone(line: str) -> bool:
    return "No such container" in line or "is already in progress" in line
