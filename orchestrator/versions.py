"""Which versions of what take part in a run."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from typing import Protocol, runtime_checkable

from orchestrator import __version__
from orchestrator.errors import OrchestrateError


@runtime_checkable
class Versioned(Protocol):
    """An engine that can say which version it is."""

    def version(self) -> str:
        """The engine's own version. Raises as the engine's other calls do."""


@runtime_checkable
class TellsOfItself(Protocol):
    """An engine that can say more of itself: what a report of trouble is read with."""

    def about(self) -> dict[str, object]:
        """Drivers, limits and warnings. Raises as the engine's other calls do."""


def told_by(engine: object) -> dict[str, object]:
    """What an engine says of itself; nothing where it has no word for that."""
    return engine.about() if isinstance(engine, TellsOfItself) else {}


def versions(engine: object) -> dict[str, str]:
    """`{what: version}`: of this program, its Python, the engine and the machine's kernel."""
    machine = os.uname()
    found = {
        "orchestrate": __version__,
        "python": platform.python_version(),
        "os": f"{machine.sysname} {machine.release} {machine.machine}",
    }
    if isinstance(engine, Versioned):
        with suppress(OrchestrateError):  # whoever needs the engine is told by the next call
            found["engine"] = engine.version()
    return found
