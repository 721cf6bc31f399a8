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
