"""Changing what a Docker engine holds over its own Unix socket.

As quick as the engine itself: a `docker` process costs 20 ms, which is a good part of what
two nodes take to be made or removed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

from orchestrator.engines.docker.body import create_body
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.wire import Errand, connected, refusal
from orchestrator.state.desired import NetworkSpec

PARALLEL = 16
"""Questions asked at once; the docker command asks up to 50."""

CREATED = 201
DONE = frozenset({200, 204})
STARTED = DONE | {304}
GONE = 404
IN_THE_WAY = 409  # a container that does not run, is not paused, or is being removed already


class SocketChanger:
    """A `Changer` that tells the engine itself.

    Args:
        path: the socket.
        deadlines: how long the engine may take.
        platform: the one that containers are for, as the docker command takes it from
            DOCKER_DEFAULT_PLATFORM; empty: the image's own.
    """

    def __init__(self, path: Path, *, deadlines: Deadlines, platform: str = "") -> None:
        self._path = path
        self._deadlines = deadlines
        self._platform = f"&platform={quote(platform, safe='')}" if platform else ""

    def create_network(self, network: NetworkSpec, labels: Mapping[str, str]) -> None:
        """See `Changer.create_network`."""
        wanted = {
            "Name": network.name,
            "Driver": "bridge",
            "Internal": network.internal,
            # Without it the engines up to 24 make a second network of the same name.
            "CheckDuplicate": True,
            "Labels": dict(labels),
        }
        errand = Errand(self._path, f"creating network {network.name}", self._deadlines.change_s)
        self._tell(errand, "POST", "/networks/create", frozenset({CREATED}), body=wanted)

    def remove_network(self, id_: str, name: str) -> None:
        """See `Changer.remove_network`."""
        errand = Errand(self._path, f"removing network {name}", self._deadlines.change_s)
        self._tell(errand, "DELETE", f"/networks/{quote(id_)}", DONE | {GONE})

    def create(self, creation: Creation) -> None:
        """See `Changer.create`."""
        name = creation.node.name
        errand = Errand(self._path, f"creating node {name}", self._deadlines.change_s)
        target = f"/containers/create?name={quote(name)}{self._platform}"
        self._tell(errand, "POST", target, frozenset({CREATED}), body=create_body(creation))

    def start(self, name: str) -> None:
        """See `Changer.start`."""
        errand = Errand(self._path, f"starting node {name}", self._deadlines.change_s)
        self._tell(errand, "POST", f"/containers/{quote(name)}/start", STARTED)

    def signal(self, ids: Sequence[str], signal: str) -> None:
        """See `Changer.signal`."""
        errand = Errand(self._path, "stopping nodes", self._deadlines.change_s)
        taken = DONE | {GONE, IN_THE_WAY}

        def send(id_: str) -> None:
            self._tell(errand, "POST", f"/containers/{quote(id_)}/kill?signal={signal}", taken)

        _at_once(send, ids)

    def unpause(self, ids: Sequence[str]) -> None:
        """See `Changer.unpause`."""
        errand = Errand(self._path, "thawing nodes", self._deadlines.change_s)
        # 500 "is not paused" is what engines say of one that was thawed meanwhile.
        taken = DONE | {GONE, IN_THE_WAY, 500}

        def thaw(id_: str) -> None:
            self._tell(errand, "POST", f"/containers/{quote(id_)}/unpause", taken)

        _at_once(thaw, ids)

    def remove(self, ids: Sequence[str]) -> None:
        """See `Changer.remove`: all are tried, then the first refusal is raised."""
        errand = Errand(self._path, "removing nodes", self._deadlines.bulk_s)
        taken = DONE | {GONE, IN_THE_WAY}

        def remove(id_: str) -> None:
            self._tell(errand, "DELETE", f"/containers/{quote(id_)}?force=1&v=1", taken)

        _at_once(remove, ids)

    def _tell(
        self,
        errand: Errand,
        method: str,
        target: str,
        taken: frozenset[int],
        *,
        body: Mapping[str, object] | None = None,
    ) -> None:
        with connected(errand) as wire:
            data = json.dumps(body).encode() if body is not None else b""
            status, answer = wire.ask(target, method=method, body=data)
        if status not in taken:
            raise refusal(status, answer, errand.doing)


def _at_once(work: Callable[[str], None], ids: Sequence[str]) -> None:
    """Do `work` for every id; an error is raised when all were tried."""
    with ThreadPoolExecutor(min(PARALLEL, len(ids) or 1)) as pool:
        futures = [pool.submit(work, id_) for id_ in ids]
    for future in futures:
        future.result()
