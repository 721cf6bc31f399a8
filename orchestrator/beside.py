"""Looking at what stands beside a run's nodes, on engines that keep such a thing."""

from __future__ import annotations

from orchestrator.engines.base import Engine, RunsSidecars
from orchestrator.state.desired import DesiredState
from orchestrator.state.observed import ObservedSidecar


def sidecars_of(engine: Engine, project: str) -> tuple[ObservedSidecar, ...]:
    """A project's sidecars; none on an engine that keeps none."""
    return engine.observe_sidecars(project) if isinstance(engine, RunsSidecars) else ()


def sidecar_for(engine: Engine, desired: DesiredState) -> ObservedSidecar | None:
    """The sidecar that a run wants, as it is now; None where it is gone, or none is wanted."""
    if desired.sidecar is None:
        return None
    return next(iter(sidecars_of(engine, desired.project)), None)
