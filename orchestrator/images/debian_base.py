"""A Python base image out of Debian packages, where no registry can be reached."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from orchestrator.errors import ImageUnavailable
from orchestrator.images.build_cli import BuildCli
from orchestrator.images.buildlog import BuildLog
from orchestrator.images.command import Limits, stream
from orchestrator.images.failures import failure

BASE_TAG = "orchestrate-base:bookworm-py311"
LABEL_BASE = "orchestrate.base"
# Raise it whenever the recipe below changes: an image with another one is made again.
_RECIPE = "v1"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_TOOLS = ("mmdebstrap", "debian-archive-keyring")
# Only what this base can stand in for: the same Python, the same C library.
_REPLACEABLE = re.compile(
    r"(?:\S*/)?library/(?P<long>\S+)|(?P<short>[^/\s]+)",
)
_SAME_AS_BASE = re.compile(
    r"python:3\.11(?:\.\d+)?(?:-slim)?(?:-bookworm)?|debian:(?:bookworm|12(?:\.\d+)?)(?:-slim)?"
)


def can_replace(image: str) -> bool:
    """True for images of Python 3.11 or Debian 12, which the Debian base can stand in for."""
    match = _REPLACEABLE.fullmatch(image)
    return match is not None and bool(_SAME_AS_BASE.fullmatch(match["long"] or match["short"]))


def mmdebstrap_argv(archive: Path) -> list[str]:
    """Make the command that packs the root file system. Pure."""
    unread = ("doc", "man", "info", "locale")
    return [
        "mmdebstrap",
        "--variant=minbase",
        # usr-is-merged and the hook keep usrmerge out, which would bring 50 MB of Perl
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        "--include=python3,python3-venv,usr-is-merged",
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in unread),
        "bookworm",
        str(archive),
    ]


def ensure_base(docker: BuildCli, scratch: Path, log: BuildLog) -> str:
    """Make the base image unless it is here; return its tag.

    Args:
        docker: where the image goes.
        scratch: a folder for the root file system on its way (130 MB).
        log: gets the progress.

    Raises:
        ImageUnavailable: no mmdebstrap, or it failed, for instance without a Debian mirror.
    """
    if docker.image_label(BASE_TAG, LABEL_BASE) == _RECIPE:
        return BASE_TAG
    _ensure_tool(log)
    log.say(f"making base image {BASE_TAG} out of Debian packages, about half a minute")
    archive = scratch / "base.tar"
    outcome = stream(mmdebstrap_argv(archive), Limits(900), log.say)
    if not outcome.ok:
        raise failure("making a base image with mmdebstrap", outcome, log.path)
    changes = (f"ENV PATH={_PATH}", f"LABEL {LABEL_BASE}={_RECIPE}", 'CMD ["python3"]')
    outcome = docker.import_image(archive, changes, BASE_TAG)
    archive.unlink()
    if not outcome.ok:
        raise failure(f"importing base image {BASE_TAG}", outcome, log.path)
    return BASE_TAG


def _ensure_tool(log: BuildLog) -> None:
    """Install mmdebstrap where that can be done without asking."""
    if shutil.which("mmdebstrap"):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ImageUnavailable(
            "no registry can be reached, and there is no mmdebstrap to make a base image with",
            fix=f"run `sudo apt-get install {' '.join(_TOOLS)}`, or `docker load` the base image",
        )
    log.say(f"installing {' and '.join(_TOOLS)} with apt-get")
    env = {"DEBIAN_FRONTEND": "noninteractive"}
    for argv in (["apt-get", "update"], _install_argv()):
        outcome = stream(argv, Limits(600), log.say, env)
        if not outcome.ok:
            raise failure(f"`{' '.join(argv)}`", outcome, log.path)


def _install_argv() -> list[str]:
    return ["apt-get", "install", "--yes", "--no-install-recommends", *_TOOLS]
