"""Sidecars as containers: made like nodes, and ready once their health command has passed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from orchestrator.engines.base import Restores
from orchestrator.engines.docker.creation import Creation
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.engines.docker.endpoint import Ways
from orchestrator.engines.docker.ownership import Ownership
from orchestrator.engines.docker.reading import of_project
from orchestrator.engines.docker.threads import to_its_end
from orchestrator.errors import SidecarNotStarted
from orchestrator.state.desired import RunIdentity
from orchestrator.state.observed import ObservedSidecar
from orchestrator.state.spec import SidecarSpec

POLL_S = 0.1

MAX_LAST_BYTES = 1024 * 1024
"""Of the log of a sidecar that gave up as it started, so much is looked at for its last line."""

_FIX = "no node was started; docs/gpu.md says what it needs"


class Sidecars(Struct, frozen=True):
    """The sidecars of one engine."""

    ways: Ways
    ownership: Ownership
    deadlines: Deadlines

    def observe(self, project: str) -> tuple[ObservedSidecar, ...]:
        """The project's sidecars."""
        return self.ownership.sidecars(self.ways.reader.containers([of_project(project)]), project)

    def start(self, sidecar: SidecarSpec, identity: RunIdentity, restores: Restores) -> None:
        """Create a sidecar, start it, and wait until it is ready. Raises SidecarNotStarted."""
        creation = Creation(sidecar, identity, self.ownership.owner, restores=restores)
        to_its_end(lambda: self.ways.changer.create(creation))
        to_its_end(lambda: self.ways.changer.start(sidecar.name))
        deadline_s = time.monotonic() + self.deadlines.change_s
        while True:
            found = next(iter(self.observe(identity.project)), None)
            if _is_ready(found):
                return
            if not _may_become_ready(found) or time.monotonic() > deadline_s:
                raise self._not_started(sidecar, found)
            time.sleep(POLL_S)

    def remove(self, sidecars: Sequence[ObservedSidecar]) -> None:
        """Remove sidecars, with force."""
        if sidecars:
            self.ways.changer.remove([each.id for each in sidecars])

    def _not_started(
        self, sidecar: SidecarSpec, found: ObservedSidecar | None
    ) -> SidecarNotStarted:
        who = f"the {sidecar.title} {sidecar.name}"
        if found is None:
            return SidecarNotStarted(f"{who} was removed as it started", fix="apply again")
        if not found.is_active:
            said = f": {words}" if (words := self._last_words(found)) else ""
            return SidecarNotStarted(f"{who} {found.ending}{said}", fix=_FIX)
        output = f": {found.health.output}" if found.health and found.health.output else ""
        within = f"{self.deadlines.change_s:g} s"
        return SidecarNotStarted(f"{who} did not answer within {within}{output}", fix=_FIX)

    def _last_words(self, sidecar: ObservedSidecar) -> str:
        import tempfile  # a sidecar that starts has no need of it

        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "log"
            with path.open("wb") as file:
                self.ways.reader.copy_log(sidecar, file)
            with path.open("rb") as file:
                lines = file.read(MAX_LAST_BYTES).decode(errors="replace").splitlines()
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def _is_ready(found: ObservedSidecar | None) -> bool:
    return found is not None and found.is_active and bool(found.health and found.health.has_passed)


def _may_become_ready(found: ObservedSidecar | None) -> bool:
    return found is not None and found.is_active and found.health is not None
