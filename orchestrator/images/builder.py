"""Builds one image out of a recipe: in the ordinary way, or without any network."""

from __future__ import annotations

import os
import shlex
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from orchestrator.errors import ImageUnavailable
from orchestrator.images.build_cli import BuildCall, BuildCli
from orchestrator.images.buildlog import BuildLog, open_build_log
from orchestrator.images.command import Limits, Outcome
from orchestrator.images.dockerfile import base_images, with_bases
from orchestrator.images.failures import failure, is_index_out_of_reach
from orchestrator.images.labels import LABEL_INPUTS
from orchestrator.images.reach import Reach, ReachMemory, Route, memory_key, reach_from_environment
from orchestrator.images.recipe import BuildRecipe, inputs_digest, requirements_of
from orchestrator.images.scout import Needs, Scout
from orchestrator.images.scratch import exclusive_scratch
from orchestrator.images.staging import make_stage
from orchestrator.images.wheels import WheelRequest, ask_target, fetch_wheels

INDEX_ARGS = "PIP_INDEX_ARGS"
_OFFLINE_INDEX_ARGS = "--no-index --find-links /deps"
DEFAULT_DEADLINE_S = 3600.0


class _Job(Struct, frozen=True):
    """One build under way."""

    recipe: BuildRecipe
    digest: str
    dockerfile: str
    needs: Needs
    scratch: Path
    log: BuildLog


class ImageBuilder:
    """Builds images with the docker command line.

    Args:
        docker_cmd: argv prefix of the docker command line; it decides which engine builds.
        reach: what may be asked for base images and packages; None means as the environment
            variable ORCHESTRATE_OFFLINE says.
        cache_dir: wheels, logs and what was found out about the network; one per user will do.
        deadline_s: the longest that `docker build` itself may take.
        first_word_s: how long it may say nothing at all before the engine is given up.

    Raises:
        ImageUnavailable: ORCHESTRATE_OFFLINE holds something that means nothing.
    """

    def __init__(
        self,
        docker_cmd: Sequence[str],
        *,
        reach: Reach | None = None,
        cache_dir: Path,
        deadline_s: float = DEFAULT_DEADLINE_S,
        first_word_s: float | None = None,
    ) -> None:
        self._docker = BuildCli(docker_cmd)
        self._reach = reach_from_environment(os.environ) if reach is None else reach
        self._cache = cache_dir
        self._limits = Limits(deadline_s, first_output_s=first_word_s)
        self._memory = ReachMemory(cache_dir / "reach", time.time)

    def build(self, recipe: BuildRecipe, on_line: Callable[[str], None]) -> str:
        """Build the image, tag it, label it with the digest of its inputs; return its id.

        Whether a build is needed is for the caller to decide, by LABEL_INPUTS. Builds that share
        a cache folder wait for each other.

        Args:
            recipe: what to build.
            on_line: gets progress lines, printable and bounded.

        Raises:
            ImageUnavailable: it could not be built; names the step, and the file with the log.
            OutOfSpace: the engine's disk is full.
            EngineUnavailable: the engine does not answer.
        """
        digest = inputs_digest(recipe)
        text = _read_dockerfile(recipe)
        with (
            exclusive_scratch(self._cache, self._limits.deadline_s, on_line) as scratch,
            open_build_log(self._cache / "logs", recipe.tag, on_line) as log,
        ):
            job = _Job(recipe, digest, text, _needs(recipe, text), scratch, log)
            outcome = self._build_by_some_route(job)
            if not outcome.ok:
                raise failure(f"building image {recipe.tag}", outcome, log.path)
            return self._built_id(recipe.tag)

    def _build_by_some_route(self, job: _Job) -> Outcome:
        """Build as remembered; when that fails, look again and build as found."""
        key = memory_key(self._docker.command, job.needs.bases, job.needs.index_args)
        recalled = self._recall(key)
        if recalled is not None:
            outcome = self._attempt(job, recalled)
            if outcome.ok:
                return outcome
            self._memory.forget(key)
        found = Scout(self._docker, job.scratch, job.log).find_route(job.needs, self._reach)
        if recalled is not None and found == recalled:
            return outcome
        outcome = self._attempt(job, found)
        if self._reach is not Reach.AUTO:
            return outcome
        # a base without pip could not be asked; then the build itself has found out
        if not found.offline and is_index_out_of_reach(outcome):
            job.log.say("offline build: the package index could not be reached from the build")
            found = replace(found, offline=True)
            outcome = self._attempt(job, found)
        if outcome.ok:
            self._memory.remember(key, found)
        return outcome

    def _recall(self, key: str) -> Route | None:
        """Return the remembered route, if it may be used and its images are still here."""
        route = self._memory.recall(key) if self._reach is Reach.AUTO else None
        if route is None:
            return None
        stand_ins = {new for _old, new in route.instead}
        return route if all(self._docker.image_id(image) for image in stand_ins) else None

    def _attempt(self, job: _Job, route: Route) -> Outcome:
        instead = dict(route.instead)
        args = dict(job.recipe.args)
        wheels = None
        requirements = requirements_of(job.recipe)
        if route.offline and job.needs.packages and requirements is not None:
            base = instead.get(job.needs.bases[0], job.needs.bases[0])
            wheels = self._wheels(job, requirements, base)
            args[INDEX_ARGS] = _OFFLINE_INDEX_ARGS
        room = Path(tempfile.mkdtemp(dir=job.scratch))
        text = with_bases(job.dockerfile, dict(job.recipe.args), instead)
        stage = make_stage(job.recipe, text, wheels, room)
        call = BuildCall(
            tag=job.recipe.tag,
            context=stage.context,
            dockerfile=stage.dockerfile,
            args=tuple(args.items()),
            labels=((LABEL_INPUTS, job.digest),),
            network="none" if route.offline else None,
        )
        job.log.say(f"building image {job.recipe.tag}{' offline' if route.offline else ''}")
        return self._docker.build(call, self._limits, job.log)

    def _wheels(self, job: _Job, requirements: Path, base: str) -> Path:
        target = ask_target(self._docker, base, job.log)
        request = WheelRequest(requirements, target, job.needs.index_args)
        return fetch_wheels(request, self._cache / "wheels", job.scratch, job.log)

    def _built_id(self, tag: str) -> str:
        image_id = self._docker.image_id(tag)
        if image_id is None:
            raise ImageUnavailable(
                f"image {tag} was built, but the engine does not have it",
                fix="look whether another program removes images",
            )
        return image_id


def _read_dockerfile(recipe: BuildRecipe) -> str:
    try:
        return recipe.dockerfile.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise ImageUnavailable(
            f"{recipe.dockerfile} cannot be read: {exc}", fix="correct image.build.dockerfile"
        ) from exc


def _needs(recipe: BuildRecipe, text: str) -> Needs:
    args = dict(recipe.args)
    bases = base_images(text, args)
    return Needs(
        bases=bases,
        # nothing can run, so nothing be installed, in an image that stands on `scratch` alone
        packages=bool(bases) and requirements_of(recipe) is not None,
        index_args=_index_args(args.get(INDEX_ARGS, "")),
    )


def _index_args(text: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(text))
    except ValueError as exc:
        raise ImageUnavailable(
            f"build argument {INDEX_ARGS} cannot be split into words: {exc}",
            fix="mend its quotes in image.build.args",
        ) from exc
