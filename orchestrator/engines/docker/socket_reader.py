"""Looking at what a Docker engine holds over its own Unix socket.

A question costs a fraction of a millisecond here and 20 through a `docker` process, and a
log that is followed costs a file descriptor instead of 30 MB. The paths bear no version, so
that the engine answers with the newest that it knows. What takes logs apart is imported by
who reads one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import BinaryIO
from urllib.parse import quote

from orchestrator.engines.base import OnLog
from orchestrator.engines.docker.cli import DEFAULT_DEADLINES, parse_objects
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.reading import Filter, Json
from orchestrator.engines.docker.wire import OK, Errand, Wire, connected, refusal
from orchestrator.errors import EngineFailed, EngineUnavailable
from orchestrator.loglines import LogEnd
from orchestrator.state.observed import ObservedContainer, ObservedNode

GONE = 404
_DOCKER = re.compile(rb"Docker/([^\s()]{1,64}) \(")


class SocketReader:
    """A `Reader` that asks the engine itself."""

    def __init__(self, path: Path, *, deadlines: Deadlines = DEFAULT_DEADLINES) -> None:
        self._path = path
        self._deadlines = deadlines

    def containers(self, filters: Sequence[Filter]) -> list[Json]:
        """See `Reader.containers`: all over one connection."""
        errand = self._errand("looking at nodes")
        with connected(errand) as wire:
            ids = dict.fromkeys(
                str(each.get("Id"))
                for name, value in filters
                for each in _listed(wire, _filtered(name, value), errand.doing)
            )
            # One that vanishes after it was listed is left out.
            found = [_inspected(wire, f"/containers/{quote(id_)}", errand.doing) for id_ in ids]
        return [each for each in found if each is not None]

    def networks(self, label: str, name: str | None = None) -> list[Json]:
        """See `Reader.networks`: one question, as the list holds all there is to know."""
        errand = self._errand("looking at networks")
        with connected(errand) as wire:
            listed = _listed(wire, "/networks", errand.doing)
        return [each for each in listed if _bears(each, label) or name == each.get("Name")]

    def image(self, tag: str) -> Json | None:
        """See `Reader.image`."""
        errand = self._errand("looking at the image")
        with connected(errand) as wire:
            return _inspected(wire, f"/images/{quote(tag, safe='/:@')}", errand.doing)

    def version(self) -> str:
        """See `Reader.version`."""
        # Docker names it in every answer, and starts three programs for the one about versions.
        doing = "asking for the engine's version"
        with connected(self._errand(doing)) as wire:
            wire.ask("/_ping")
        named = _DOCKER.match(wire.server)
        return named[1].decode() if named else str(self._one("/version", doing).get("Version", ""))

    def info(self) -> Json:
        """See `Reader.info`."""
        return self._one("/info", "asking the engine about itself")

    def _one(self, target: str, doing: str) -> Json:
        """The one object that the engine answers with."""
        with connected(self._errand(doing)) as wire:
            status, body = wire.ask(target)
        if status != OK:
            raise refusal(status, body, doing)
        found = parse_objects(f"[{body.decode(errors='replace')}]", doing)
        if len(found) != 1:
            raise EngineFailed(f"{doing}: docker answered with JSON of an unknown shape")
        return found[0]

    def have_exited(self, ids: Sequence[str], *, within_s: float) -> bool:
        """See `Reader.have_exited`: the engine answers at the very moment, without polling."""
        if within_s <= 0:
            return False
        with connected(Errand(self._path, "waiting for nodes to end", within_s)) as wire:
            try:
                for id_ in ids:
                    _wait_for_exit(wire, id_)
            except EngineUnavailable:
                if wire.is_late:  # some still run
                    return False
                raise
        return True

    def stats(self, ids: Sequence[str]) -> list[Json | None]:
        """See `ReadsStats.stats`: all are asked at once.

        An older engine answers with its next count, which it makes once a second for all.
        """
        errand = self._errand("looking at what nodes use")
        with ExitStack() as stack:
            wires = [stack.enter_context(connected(errand)) for _ in ids]
            for wire, id_ in zip(wires, ids, strict=True):
                wire.send(f"/containers/{quote(id_)}/stats?stream=false&one-shot=true")
            return [_parsed(*wire.answer(), errand.doing) for wire in wires]

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """See `Engine.follow_logs`: a connection per node."""
        from orchestrator.engines.docker import socket_logs

        bulk_s = self._deadlines.bulk_s
        socket_logs.follow(self._errand("following logs"), nodes, on_log, stop, bulk_s=bulk_s)

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """See `Engine.read_logs`."""
        from orchestrator.engines.docker import socket_logs

        for node in nodes:
            socket_logs.read(self._log_errand(node), node, on_log)
            if not node.is_active:
                on_log(LogEnd(node.node_rank))

    def copy_log(self, node: ObservedContainer, file: BinaryIO) -> None:
        """See `Reader.copy_log`."""
        from orchestrator.engines.docker import socket_logs

        socket_logs.copy(self._log_errand(node), node, file)

    def _errand(self, doing: str) -> Errand:
        return Errand(self._path, doing, self._deadlines.answer_s)

    def _log_errand(self, node: ObservedContainer) -> Errand:
        return Errand(self._path, f"reading the log of {node.name}", self._deadlines.bulk_s)


def _wait_for_exit(wire: Wire, id_: str) -> None:
    status, body = wire.ask(f"/containers/{quote(id_)}/wait", method="POST")
    if status not in {OK, GONE}:
        raise refusal(status, body, "waiting for nodes to end")


def _filtered(name: str, value: str) -> str:
    filters = json.dumps({name: {value: True}}, separators=(",", ":"))
    return f"/containers/json?all=1&filters={quote(filters)}"


def _listed(wire: Wire, target: str, doing: str) -> list[Json]:
    status, body = wire.ask(target)
    if status != OK:
        raise refusal(status, body, doing)
    return parse_objects(body.decode(errors="replace"), doing)


def _inspected(wire: Wire, target: str, doing: str) -> Json | None:
    return _parsed(*wire.ask(f"{target}/json"), doing)


def _parsed(status: int, body: bytes, doing: str) -> Json | None:
    """The one object that was asked for; None where it is gone."""
    if status == GONE:
        return None
    if status != OK:
        raise refusal(status, body, doing)
    found = parse_objects(f"[{body.decode(errors='replace')}]", doing)
    if len(found) != 1:
        raise EngineFailed(f"{doing}: docker answered with JSON of an unknown shape")
    return found[0]


def _bears(network: Json, label: str) -> bool:
    key, is_given, value = label.partition("=")
    labels = network.get("Labels")
    found = labels.get(key) if isinstance(labels, dict) else None
    return found is not None and (not is_given or found == value)
