"""Finds out how a build can get its base images and its packages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.errors import ImageUnavailable
from orchestrator.images.buildlog import BuildLog
from orchestrator.images.command import Limits
from orchestrator.images.debian_base import can_replace, ensure_base
from orchestrator.images.docker_cli import DockerCli
from orchestrator.images.failures import PullRefusal, failure, pull_refusal
from orchestrator.images.reach import Reach, Route

# A registry that answers names the layers within seconds; the layers may then take their time.
_PULL = Limits(deadline_s=3600, first_output_s=20)
_PROBE_DEADLINE_S = 25.0
# A base image that lacks what the question needs has not said that the index is out of reach.
_CANNOT_ASK = ("No module named pip", "executable file not found", "no such file or directory")


@dataclass(frozen=True, slots=True)
class Needs:
    """What a build takes from outside."""

    bases: tuple[str, ...]  # images that the Dockerfile names, in order
    packages: bool  # whether it installs from a package index
    index_args: tuple[str, ...]  # pip arguments that say which index


@dataclass(frozen=True, slots=True)
class Scout:
    """Asks the engine, the registry and the package index."""

    docker: DockerCli
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
        """Fetch one small package from inside a container; every index has pip."""
        if not needs.packages:
            return True
        self.log.say("trying whether a build can reach the package index")
        pip = ["python3", "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
        pip += ["--no-cache-dir", "--timeout", "5", "--retries", "0", "--dest", "/tmp/probe"]  # noqa: S108 - in a container of its own
        argv = [*pip, *needs.index_args, "pip"]
        outcome = self.docker.run_once(needs.bases[0], "default", argv, _PROBE_DEADLINE_S)
        self.log.record(outcome.text)
        in_reach = outcome.ok or any(text in outcome.text for text in _CANNOT_ASK)
        if not in_reach:
            self.log.say("offline build: no package index can be reached from inside a build")
        return in_reach
