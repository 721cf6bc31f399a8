"""Rules on files and folders of this machine: mounts and the inputs of the image's build."""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from orchestrator.playbook.models import Build, Mount, Playbook
from orchestrator.playbook.rules.base import Rule, Site, lists_of_mounts
from orchestrator.playbook.tree import Also, Complaint, Loc, printable

# Separators of Docker's mount syntax: a path with one of them would mean another path.
_SEPARATORS = frozenset(',:"\n\r')
_PROBE = PurePosixPath("/opt/orchestrate/probe")
_KERNEL_FOLDERS = ("/proc", "/sys", "/dev")


def _mount_sources(playbook: Playbook, site: Site) -> Iterator[Complaint]:
    for at, mounts in lists_of_mounts(playbook):
        for index, mount in enumerate(mounts):
            if fault := _separator(mount.source) or _source_fault(mount, site):
                yield Complaint((*at, index, "source"), *fault)


def _separator(path: str) -> tuple[str, str] | None:
    if _SEPARATORS.isdisjoint(path):
        return _unnameable(path)
    return f"{printable(path)} has a character that Docker's mounts cannot carry", "rename it"


def _unnameable(path: str) -> tuple[str, str] | None:
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return f"{printable(path)} cannot be a file name in this locale", "use a UTF-8 locale"
    return None


def _source_fault(mount: Mount, site: Site) -> tuple[str, str] | None:
    real = os.path.realpath(site.folder / mount.source)
    if socket := _engine_socket(real, site):
        return f"{socket}, which gives a node the whole machine", "mount something else"
    try:
        os.stat(real)
    except OSError as exc:
        reason = (exc.strerror or "not readable").lower()
        home = mount.source.startswith("~")
        return f"{printable(mount.source)}: {reason}", "write ~ out" if home else "create it first"
    if not mount.outside and not Path(real).is_relative_to(site.folder):
        return f"{printable(mount.source)} {_way_out(mount.source)}", "say outside: true if meant"
    return None


def _way_out(source: str) -> str:
    if os.path.isabs(source) or ".." in Path(source).parts:
        return "leaves the playbook's folder"
    return "leaves the playbook's folder through a link"


def _engine_socket(real: str, site: Site) -> str:
    if os.path.basename(real) == "docker.sock" or real in site.engine_sockets:
        return "the Docker socket"
    if any(Path(socket).is_relative_to(real) for socket in site.engine_sockets):
        return "a folder with the Docker socket in it"
    return "the Docker socket" if _same_socket(real, site) else ""


def _same_socket(real: str, site: Site) -> bool:
    # A hard link, or a second mount of it, is the same socket under another name.
    try:
        mine = os.stat(real)
    except OSError:
        return False
    return stat.S_ISSOCK(mine.st_mode) and any(
        os.path.samestat(mine, os.stat(socket))
        for socket in site.engine_sockets
        if os.path.exists(socket)
    )


def _mount_targets(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    for at, mounts in lists_of_mounts(playbook):
        seen: dict[str, int] = {}
        for index, mount in enumerate(mounts):
            loc = (*at, index, "target")
            target = posixpath.normpath("/" + mount.target.lstrip("/"))
            if fault := _separator(mount.target) or _target_fault(mount.target, target):
                yield Complaint(loc, *fault)
            elif seen.setdefault(target, index) != index:
                first = Also((*at, seen[target], "target"), "first mounted here")
                what, fix = f"{target} is the target of two mounts", "change one of them"
                yield Complaint(loc, what, fix, also=(first,))


def _target_fault(written: str, target: str) -> tuple[str, str] | None:
    if not written.startswith("/") or ".." in written.split("/"):
        return f"{printable(written)} is not an absolute path", "write it like /data"
    if target == "/":
        return "a mount on / would hide the whole image", "use a folder such as /data"
    for folder in _KERNEL_FOLDERS:
        if target == folder or target.startswith(f"{folder}/"):
            return f"{folder} belongs to the kernel", "use a folder such as /data"
    return None


def _probe_targets(playbook: Playbook, _: Site) -> Iterator[Complaint]:
    if playbook.probe == "off":
        return
    for at, mounts in lists_of_mounts(playbook):
        for index, mount in enumerate(mounts):
            target = PurePosixPath(posixpath.normpath(mount.target))
            if target.parts[1:] and (target in _PROBE.parents or target.is_relative_to(_PROBE)):
                what = f"{target} would be in the way of {_PROBE}"
                yield Complaint((*at, index, "target"), what, "use another folder, or probe: off")


def _build_files(playbook: Playbook, site: Site) -> Iterator[Complaint]:
    build = playbook.image.build
    if build is None:
        return
    unnameable = [
        Complaint(("image", "build", key), *fault)
        for key, path in _paths(build)
        if (fault := _unnameable(path))
    ]
    if unnameable:
        yield from unnameable
        return
    context = os.path.realpath(site.folder / build.context)
    if os.path.isdir(context):
        yield from _build_inputs(build, context)
    else:
        what = f"no folder {printable(build.context)} beside the playbook"
        yield Complaint(("image", "build", "context"), what, "write it relative to the playbook")


def _paths(build: Build) -> Iterator[tuple[str, str]]:
    yield "context", build.context
    yield "dockerfile", build.dockerfile
    if build.requirements is not None:
        yield "requirements", build.requirements


def _build_inputs(build: Build, context: str) -> Iterator[Complaint]:
    for key, path in _paths(build):
        if key == "context":
            continue
        loc: Loc = ("image", "build", key)
        real = os.path.realpath(os.path.join(context, path))
        if not Path(real).is_relative_to(context):
            what = f"{printable(path)} leaves the build's context"
            yield Complaint(loc, what, "move it below build.context")
        elif not os.path.isfile(real):
            what = f"no file {printable(path)} in the build's context"
            yield Complaint(loc, what, "write it relative to build.context")


MOUNT_SOURCES = Rule(_mount_sources)
MOUNT_TARGETS = Rule(_mount_targets)
PROBE_TARGETS = Rule(_probe_targets, reads=(("probe",),))
BUILD_FILES = Rule(
    _build_files,
    reads=(
        ("image", "build", "context"),
        ("image", "build", "dockerfile"),
        ("image", "build", "requirements"),
    ),
)
