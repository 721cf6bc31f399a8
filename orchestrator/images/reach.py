"""Whether a registry and a package index can be used: what the user says, what was found."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import ImageUnavailable

VARIABLE = "ORCHESTRATE_OFFLINE"
# Long enough for an afternoon's rebuilds, short enough for a laptop that changes its network.
REMEMBERED_S = 3600.0


class Reach(Enum):
    """The one switch; its values are those of the environment variable ORCHESTRATE_OFFLINE."""

    AUTO = "auto"  # find out
    OFFLINE = "1"  # ask neither a registry nor, from inside a build, a package index
    ONLINE = "0"  # build in the ordinary way, and fail when that fails


def reach_from_environment(environ: Mapping[str, str]) -> Reach:
    """Read the switch; unset or empty means auto.

    Raises:
        ImageUnavailable: it holds something else than auto, 1 or 0.
    """
    value = environ.get(VARIABLE, "") or Reach.AUTO.value
    try:
        return Reach(value)
    except ValueError as exc:
        raise ImageUnavailable(
            f"{VARIABLE}={value} means nothing", fix=f"set {VARIABLE} to auto, 1 or 0"
        ) from exc


class Route(Struct, frozen=True):
    """How a build gets its base images and packages."""

    offline: bool
    # (image named by the Dockerfile, image that takes its place)
    instead: tuple[tuple[str, str], ...] = ()


class ReachMemory:
    """Remembers routes for an hour, in files, so that a rebuild is not slowed by finding them."""

    def __init__(self, folder: Path, clock: Callable[[], float]) -> None:
        self._folder = folder
        self._clock = clock

    def recall(self, key: str) -> Route | None:
        """Return what was found in the last hour, if anything; a damaged file is nothing."""
        try:
            found = json.loads((self._folder / key).read_text(encoding="utf-8"))
            instead = tuple((str(old), str(new)) for old, new in found["instead"])
            age_s = self._clock() - float(found["at_s"])
            # a clock that was set back must not keep a finding for ever
            return Route(bool(found["offline"]), instead) if 0 <= age_s < REMEMBERED_S else None
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def remember(self, key: str, route: Route) -> None:
        """Keep a route for an hour."""
        self._folder.mkdir(parents=True, exist_ok=True)
        found = {"offline": route.offline, "instead": route.instead, "at_s": self._clock()}
        fresh = self._folder / f"{key}.new"
        fresh.write_text(json.dumps(found), encoding="utf-8")
        os.replace(fresh, self._folder / key)

    def forget(self, key: str) -> None:
        """Drop what was found."""
        (self._folder / key).unlink(missing_ok=True)


def memory_key(*parts: Sequence[str]) -> str:
    """Name one question: which engine, which base images, which package index."""
    return hashlib.sha256(json.dumps([list(part) for part in parts]).encode()).hexdigest()[:24]
