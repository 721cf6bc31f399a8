"""Looking at what a Docker engine holds through the `docker` command."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import BinaryIO

from orchestrator.engines.base import OnLog
from orchestrator.engines.docker import logs
from orchestrator.engines.docker.cli import DockerCli, parse_objects
from orchestrator.engines.docker.reading import Filter, Json
from orchestrator.errors import EngineUnavailable
from orchestrator.loglines import LogEnd, LogLine
from orchestrator.state.observed import ObservedContainer, ObservedNode

_PARALLEL_READS = 8


class CliReader:
    """A `Reader` that asks the `docker` command."""

    def __init__(self, cli: DockerCli) -> None:
        self._cli = cli

    def containers(self, filters: Sequence[Filter]) -> list[Json]:
        """See `Reader.containers`: one process per filter and one for all that was found."""
        ids: list[str] = []
        for name, value in filters:
            listed = self._cli.call(
                "ps", "--all", "--quiet", "--no-trunc", "--filter", f"{name}={value}",
                doing="listing nodes",
            )  # fmt: skip
            ids += [each for each in listed.split() if each not in ids]
        return self._cli.inspect("container", ids, doing="looking at nodes")

    def networks(self, label: str, name: str | None = None) -> list[Json]:
        """See `Reader.networks`: two processes at most."""
        listed = self._cli.call(
            "network", "ls", "--quiet", "--no-trunc", "--filter", f"label={label}",
            doing="listing networks",
        )  # fmt: skip
        wanted = [*listed.split(), *([name] if name else [])]
        found = self._cli.inspect("network", wanted, doing="looking at networks")
        return list({each["Id"]: each for each in found}.values())

    def image(self, tag: str) -> Json | None:
        """See `Reader.image`."""
        found = self._cli.inspect("image", [tag], doing="looking at the image")
        return found[0] if found else None

    def version(self) -> str:
        """See `Reader.version`."""
        doing = "asking for the engine's version"
        return self._cli.call("version", "--format", "{{.Server.Version}}", doing=doing).strip()

    def info(self) -> Json:
        """See `Reader.info`."""
        doing = "asking the engine about itself"
        text = self._cli.call("info", "--format", "{{json .}}", doing=doing)
        return parse_objects(f"[{text}]", doing)[0]

    def have_exited(self, ids: Sequence[str], *, within_s: float) -> bool:
        """See `Reader.have_exited`."""
        try:
            self._cli.attempt("wait", *ids, deadline_s=within_s)
        except EngineUnavailable:  # the deadline passed: some still run
            return False
        return True

    def follow_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog, stop: Event) -> None:
        """See `Engine.follow_logs`: a process per node."""
        logs.follow(self._cli.prefix, nodes, on_log, stop, bulk_s=self._cli.deadlines.bulk_s)

    def read_logs(self, nodes: Sequence[ObservedNode], on_log: OnLog) -> None:
        """See `Engine.read_logs`: a process per node, a few at once."""
        bulk_s = self._cli.deadlines.bulk_s

        def read(node: ObservedNode) -> list[LogLine | LogEnd]:
            lines: list[LogLine | LogEnd] = []
            logs.read(self._cli.prefix, node, lines.append, deadline_s=bulk_s)
            if not node.is_active:
                lines.append(LogEnd(node.node_rank))
            return lines

        with ThreadPoolExecutor(_PARALLEL_READS) as pool:
            for lines in pool.map(read, nodes):
                for line in lines:
                    on_log(line)

    def copy_log(self, node: ObservedContainer, file: BinaryIO) -> None:
        """See `Reader.copy_log`."""
        logs.copy(self._cli.prefix, node, file, deadline_s=self._cli.deadlines.bulk_s)
