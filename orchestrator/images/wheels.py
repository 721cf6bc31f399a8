"""Fetches the wheels of an image on the host, where the build itself has no network."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from orchestrator.errors import ImageUnavailable
from orchestrator.images.build_cli import BuildCli
from orchestrator.images.buildlog import BuildLog
from orchestrator.images.command import Limits, stream
from orchestrator.images.failures import failure, io_failure

# Oldest C library that wheels are tagged for by number.
_OLDEST_GLIBC_MINOR = 5
_SETS_KEPT = 3
_ASK_TARGET = (
    "import json, os, platform, sys; "
    "print(json.dumps([sys.version_info[0], sys.version_info[1], platform.machine(), "
    "os.confstr('CS_GNU_LIBC_VERSION')]))"
)


class Target(Struct, frozen=True):
    """What the wheels must fit: the Python and the C library of the base image."""

    python: str  # e.g. `3.11`
    machine: str  # e.g. `x86_64`
    glibc_minor: int  # 36 for glibc 2.36

    @property
    def platforms(self) -> list[str]:
        """Platform tags that fit, newest first."""
        minors = range(self.glibc_minor, _OLDEST_GLIBC_MINOR - 1, -1)
        numbered = [f"manylinux_2_{minor}_{self.machine}" for minor in minors]
        old_names = [f"manylinux{name}_{self.machine}" for name in ("2014", "2010", "1")]
        return [*numbered, *old_names, f"linux_{self.machine}"]


class WheelRequest(Struct, frozen=True):
    """One set of wheels."""

    requirements: Path
    target: Target
    index_args: tuple[str, ...]  # what the recipe's PIP_INDEX_ARGS says, split

    @property
    def key(self) -> str:
        """Name of the set: the same key means the same wheels will do."""
        parts = [self.requirements.read_text("utf-8"), *self.index_args, repr(self.target)]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]


def ask_target(docker: BuildCli, image: str, log: BuildLog) -> Target:
    """Ask a base image for its Python and C library.

    Raises:
        ImageUnavailable: it has no python3, or not the GNU C library.
    """
    outcome = docker.run_once(image, "none", ["python3", "-c", _ASK_TARGET], deadline_s=60)
    log.record(outcome.text)
    if not outcome.ok:
        raise failure(f"asking base image {image} for its Python", outcome, log.path)
    major, minor, machine, libc = json.loads(outcome.lines[-1])
    found = re.fullmatch(r"glibc 2\.(\d+).*", libc or "")
    if found is None:
        raise ImageUnavailable(
            f"base image {image} has no GNU C library, which offline wheels are fetched for",
            fix="use a base image of Debian or Ubuntu",
        )
    return Target(f"{major}.{minor}", machine, int(found[1]))


def download_argv(python: str, request: WheelRequest, destination: Path) -> list[str]:
    """Make the command that fetches the wheels. Pure."""
    target = request.target
    argv = [python, "-m", "pip", "download", "--disable-pip-version-check"]
    argv += ["--progress-bar", "off", "--no-input", "--only-binary", ":all:"]
    argv += ["--implementation", "cp", "--python-version", target.python]
    for abi in (f"cp{target.python.replace('.', '')}", "abi3", "none"):
        argv += ["--abi", abi]
    for platform in target.platforms:
        argv += ["--platform", platform]
    argv += ["--dest", str(destination), "--requirement", str(request.requirements)]
    return [*argv, *request.index_args]


def fetch_wheels(request: WheelRequest, cache: Path, scratch: Path, log: BuildLog) -> Path:
    """Fetch a set of wheels unless it is in the cache; return its folder.

    A set is in the cache whole or not at all: it is renamed into place when it is complete.

    Args:
        request: which wheels.
        cache: where the sets lie.
        scratch: a folder on the same file system as the cache.
        log: gets the progress.

    Raises:
        ImageUnavailable: pip could not be run, or did not find a wheel.
    """
    ready = cache / request.key
    if ready.is_dir():
        ready.touch()
        return ready
    python = _python_with_pip(scratch, log)
    destination = scratch / "wheels"
    log.say("fetching wheels on this machine, for a build without network")
    outcome = stream(download_argv(python, request, destination), Limits(3600), log.say)
    if not outcome.ok:
        raise failure(f"`pip download -r {request.requirements.name}`", outcome, log.path)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        destination.rename(ready)
        _drop_old_sets(cache)
    except OSError as exc:
        raise io_failure(f"keeping the wheels in {cache}", exc) from exc
    return ready


def _python_with_pip(scratch: Path, log: BuildLog) -> str:
    """Find or make a Python that can run pip: this one, else a venv in the scratch folder."""
    if stream([sys.executable, "-m", "pip", "--version"], Limits(60), log.record).ok:
        return sys.executable
    venv = scratch / "pip"
    argv: Sequence[str] = [sys.executable, "-m", "venv", str(venv)]
    outcome = stream(argv, Limits(120), log.say)
    if not outcome.ok:
        raise ImageUnavailable(
            "wheels must be fetched on this machine, but its Python has neither pip nor venv",
            fix="install one of them, e.g. `sudo apt-get install python3-venv`",
        )
    return str(venv / "bin" / "python")


def _drop_old_sets(cache: Path) -> None:
    """Keep the sets used last; one is 240 MB and more."""
    by_use = sorted(cache.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in by_use[_SETS_KEPT:]:
        shutil.rmtree(old)
