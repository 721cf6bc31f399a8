"""Finds out how a build can get its base images and its packages."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import ImageUnavailable
from orchestrator.images.build_cli import BuildCli
from orchestrator.images.buildlog import BuildLog
from orchestrator.images.command import Limits
from orchestrator.images.debian_base import can_replace, ensure_base
from orchestrator.images.failures import PullRefusal, failure, pull_refusal
from orchestrator.images.reach import Reach, Route

# A registry that answers names the layers within seconds; the layers may then take their time.
_PULL = Limits(deadline_s=3600, first_output_s=20)
_PROBE_DEADLINE_S = 25.0
# 77 from the script below, 125 to 127 from docker and the shell: the base image lacks what the
# question needs, which does not say that the index is out of reach.
_CANNOT_ASK = {77, 125, 126, 127}
# The base's own pip, else the one that a venv brings. One small package that every index has.
_ASK_INDEX = """\
python=python3
python3 -m pip --version > /dev/null 2>&1 || {
    python3 -m venv /tmp/venv || exit 77
    python=/tmp/venv/bin/python
}
exec $python -m pip --disable-pip-version-check download --no-deps --no-cache-dir \\
    --timeout 5 --retries 0 --dest /tmp/probe "$@" pip
"""


class Needs(Struct, frozen=True):
    """What a build takes from outside."""

    bases: tuple[str, ...]  # images that the Dockerfile names, in order
    packages: bool  # whether it installs from a package index
    index_args: tuple[str, ...]  # pip arguments that say which index


class Scout(Struct, frozen=True):
    """Asks the engine, the registry and the package index."""

    docker: BuildCli
    scratch: Path
    log: BuildLog

    def find_route(self, needs: Needs, reach: Reach) -> Route:
        """Decide how to build.

        Raises:
            ImageUnavailable: a base image cannot be had in any way.
        """
        if reach is Reach.ONLINE:
            return Route(offline=False)
        missing = [base for base in needs.bases if not self._is_here(base, reach)]
        if missing:
            base = self._stand_in(missing)
            return Route(offline=True, instead=tuple((image, base) for image in missing))
        return Route(offline=reach is Reach.OFFLINE or not self._packages_in_reach(needs))

    def _is_here(self, image: str, reach: Reach) -> bool:
        """True when the image is local, or could be pulled just now."""
        if self.docker.image_id(image) is not None:
            return True
        if reach is Reach.OFFLINE:
            return False
        self.log.say(f"pulling base image {image}")
        outcome = self.docker.pull(image, _PULL, self.log)
        if not outcome.ok and pull_refusal(outcome) is PullRefusal.NO_SUCH_IMAGE:
            raise failure(f"pulling base image {image}", outcome, self.log.path)
        return outcome.ok

    def _stand_in(self, missing: Sequence[str]) -> str:
        for image in missing:
            if not can_replace(image):
                raise ImageUnavailable(
                    f"base image {image} is not here and no registry can be reached for it",
                    fix=f"bring it with `docker save {image}` there and `docker load` here",
                )
        self.log.say(f"offline build: no registry can be reached for {', '.join(missing)}")
        return ensure_base(self.docker, self.scratch, self.log)

    def _packages_in_reach(self, needs: Needs) -> bool:
        """Fetch one small package from inside a container, on the network that a build has."""
        if not needs.packages:
            return True
        self.log.say("trying whether a build can reach the package index")
        argv = ["sh", "-c", _ASK_INDEX, "ask", *needs.index_args]
        outcome = self.docker.run_once(needs.bases[0], "default", argv, _PROBE_DEADLINE_S)
        self.log.record(outcome.text)
        could_not_ask = not outcome.timed_out and outcome.returncode in _CANNOT_ASK
        in_reach = outcome.ok or could_not_ask
        if not in_reach:
            self.log.say("offline build: no package index can be reached from inside a build")
        return in_reach
