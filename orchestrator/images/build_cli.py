"""The docker command line, as far as building needs it. The only module here that starts it.

python-on-whales is not used: its builds have no deadline, and its output is decoded strictly.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import EngineFailed, EngineUnavailable
from orchestrator.images.buildlog import BuildLog
from orchestrator.images.command import Limits, Outcome, stream
from orchestrator.images.failures import failure

_QUICK = Limits(deadline_s=20)


class BuildCall(Struct, frozen=True):
    """One call of `docker build`."""

    tag: str
    context: Path
    dockerfile: Path
    args: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]
    network: str | None  # `none`, or the builder's default


def build_argv(call: BuildCall, *, buildx: bool) -> list[str]:
    """Make the arguments after `docker`. Pure."""
    argv = ["build", "--tag", call.tag, "--file", str(call.dockerfile)]
    # without buildx the containers of failed steps stay behind unless told otherwise
    argv += ["--progress", "plain"] if buildx else ["--force-rm"]
    for name, value in call.args:
        argv += ["--build-arg", f"{name}={value}"]
    for name, value in call.labels:
        argv += ["--label", f"{name}={value}"]
    if call.network is not None:
        argv += ["--network", call.network]
    return [*argv, str(call.context)]


class BuildCli:
    """Calls the docker command line, every call with a deadline."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    @property
    def command(self) -> tuple[str, ...]:
        """The argv prefix; it decides which engine answers."""
        return self._command

    @cached_property
    def has_buildx(self) -> bool:
        """True when `docker build` can use BuildKit."""
        return self._call(["buildx", "version"], _QUICK, _ignore).ok

    def image_label(self, reference: str, label: str) -> str | None:
        """Read a label of a local image: empty when it has none, None when there is no image."""
        template = f'{{{{.Id}}}} {{{{index .Config.Labels "{label}"}}}}'
        line = self._inspect(reference, template)
        return None if line is None else line.partition(" ")[2]

    def image_id(self, reference: str) -> str | None:
        """Look up the id of a local image; None when it is not here."""
        return self._inspect(reference, "{{.Id}}")

    def pull(self, reference: str, limits: Limits, log: BuildLog) -> Outcome:
        """Pull an image; how it went is for the caller to judge."""
        return self._call(["pull", reference], limits, log.say)

    def build(self, call: BuildCall, limits: Limits, log: BuildLog) -> Outcome:
        """Build an image; how it went is for the caller to judge."""
        # `docker build`, never `docker buildx build`: it takes the engine's own builder, which
        # sees local base images, whatever builder `buildx use` chose.
        env = {"DOCKER_BUILDKIT": "1" if self.has_buildx else "0"}
        return self._call(build_argv(call, buildx=self.has_buildx), limits, log.say, env)

    def import_image(self, archive: Path, changes: Sequence[str], tag: str) -> Outcome:
        """Make an image out of a root file system in a tar file."""
        options = [part for change in changes for part in ("--change", change)]
        return self._call(["import", *options, str(archive), tag], Limits(300), _ignore)

    def run_once(self, image: str, network: str, argv: Sequence[str], deadline_s: float) -> Outcome:
        """Run a command in a container that is gone afterwards, whatever happens."""
        name = f"orchestrate-probe-{uuid.uuid4().hex[:12]}"
        run = ["run", "--rm", "--name", name, "--network", network, "--entrypoint", argv[0]]
        done = False
        try:
            outcome = self._call([*run, image, *argv[1:]], Limits(deadline_s), _ignore)
            done = not outcome.timed_out
        finally:
            if not done:
                self._call(["rm", "--force", name], _QUICK, _ignore)
        return outcome

    def _inspect(self, reference: str, template: str) -> str | None:
        argv = ["image", "inspect", "--format", template, reference]
        outcome = self._call(argv, _QUICK, _ignore)
        if outcome.ok:
            return outcome.lines[-1] if outcome.lines else ""
        if "No such image" in outcome.text:
            return None
        error = failure(f"looking for image {reference}", outcome, Path("empty"))
        if isinstance(error, EngineUnavailable) or outcome.timed_out:
            raise EngineUnavailable(error.what, fix="start the engine: docker/setup.sh")
        raise EngineFailed(error.what)

    def _call(
        self,
        args: Sequence[str],
        limits: Limits,
        on_line: Callable[[str], None],
        env: Mapping[str, str] | None = None,
    ) -> Outcome:
        try:
            return stream([*self._command, *args], limits, on_line, env)
        except FileNotFoundError as exc:
            raise EngineUnavailable(
                f"there is no `{self._command[0]}` command", fix="run docker/setup.sh"
            ) from exc


def _ignore(_line: str) -> None:
    """Drop a line that nobody waits for."""
