"""Findings on Docker: its command, its engine, and what that can do. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from orchestrator.doctor import mending
from orchestrator.doctor.facts import Docker, Engine, Facts, System, Unknown
from orchestrator.doctor.finding import Finding, Status, ok, skipped
from orchestrator.doctor.needs import Needs
from orchestrator.errors import ExitCode

OLDEST = (20, 10)
"""The oldest engine that the tests run on."""

_LACKING = (
    ((0, 0), (23, 0), "builds with BuildKit only where buildx is installed"),
    ((0, 0), (25, 0), "two applies at the same moment can make a network twice; no CDI devices"),
    ((25, 0), (28, 2), "CDI devices only where features.cdi is turned on"),
)
"""What engines lack, from one version to another."""

_SKEW_S = 2.0
_LIMITS = ("memory", "cpus", "pids")


def judge_docker(facts: Facts, needs: Needs | None) -> Iterator[Finding]:
    """The command, the engine, and what it can do; nothing where Docker is not meant."""
    docker = facts.docker
    if docker is None:
        yield skipped("docker-command", "not needed: the embedded engine was named")
        return
    yield _command(docker, facts.system)
    yield _answers(docker, facts.system)
    if isinstance(docker.engine, Unknown):
        return
    yield _version(docker.engine, facts.system)
    yield _place(docker, needs)
    yield _limits(docker.engine, needs)
    yield _buildx(docker, needs, facts.system)
    yield _image(docker, needs)
    yield _clock(docker.engine, facts.system)


def _command(docker: Docker, system: System) -> Finding:
    command = docker.command
    if isinstance(command, Unknown):
        return Finding(
            "docker-command",
            Status.PROBLEM,
            command.why,
            "nodes are containers, and images are built with this command;"
            " `--engine local` does without, and without isolation",
            mending.install_docker(system),
            ExitCode.ENGINE_UNAVAILABLE,
        )
    return ok("docker-command", f"{command.path}, version {command.version or 'unknown'}")


def _answers(docker: Docker, system: System) -> Finding:
    engine, place = docker.engine, docker.place
    if not isinstance(engine, Unknown):
        return ok("engine-answers", f"at {place.endpoint}: {engine.name}")
    if isinstance(docker.command, Unknown):
        return skipped("engine-answers", "there is no docker command to ask it with")
    mend = f"start the engine at {place.endpoint}, or `unset DOCKER_HOST DOCKER_CONTEXT`"
    if place.is_denied:
        mend = "sudo usermod -aG docker $USER    (then log in again)"
    elif place.is_usual:
        mend = mending.start_docker(system)
    can_start = place.is_usual and not place.is_denied
    return Finding(
        "engine-answers",
        Status.PROBLEM,
        engine.why,
        "no node can be made without it; `--engine local` runs nodes as plain processes",
        mend,
        engine.code or ExitCode.ENGINE_UNAVAILABLE,
        mending.start_docker_remedy(system) if can_start else (),
    )


def version_of(text: str) -> tuple[int, int]:
    """`20.10.24+dfsg1` as (20, 10); what is no version is the newest."""
    found = re.match(r"([0-9]{1,4})\.([0-9]{1,4})", text)
    return (int(found[1]), int(found[2])) if found else (9999, 0)


def _version(engine: Engine, system: System) -> Finding:
    version = version_of(engine.version)
    lacking = "; ".join(what for since, until, what in _LACKING if since <= version < until)
    found = (engine.version or "unknown") + (f": {lacking}" if lacking else "")
    if version >= OLDEST:
        return ok("engine-version", found)
    return Finding(
        "engine-version",
        Status.WARNING,
        found,
        f"nothing older than {OLDEST[0]}.{OLDEST[1]} is tested; limits do not work there on a"
        " machine with cgroup version 2",
        mending.update_docker(system),
    )


def _place(docker: Docker, needs: Needs | None) -> Finding:
    engine = docker.engine
    if docker.place.is_local:
        is_rootless = not isinstance(engine, Unknown) and engine.is_rootless
        kind = "rootless, " if is_rootless else ""
        return ok("engine-place", f"{kind}on this machine")
    found = f"{docker.place.endpoint} is another machine"
    if needs is None or needs.has_mounts or needs.gpu_mode != "cpu":
        lost = "the probe, ranks.mounts and GPUs are this machine's, and nodes there see none of it"
    else:
        lost = "nodes there run without the probe: checks rest on what the script reports itself"
    mend = "unset DOCKER_HOST DOCKER_CONTEXT; docker context use default"
    return Finding("engine-place", Status.WARNING, found, lost, mend)


def _limits(engine: Engine, needs: Needs | None) -> Finding:
    able = {name: getattr(engine.limiting, name) for name in _LIMITS}
    missing = [name for name in _LIMITS if not able[name]]
    asked = [name for name in missing if needs is not None and name in needs.load.limits]
    found = f"cgroup version {engine.cgroup_version}, {engine.cgroup_driver}"
    if not missing:
        return ok("limits", f"{found}: memory, cpus and pids can be limited")
    found = f"{found}: no limit on {', '.join(missing)}"
    if needs is not None and not asked:
        return skipped("limits", f"{found}, and the playbook asks for none")
    mend = "boot with cgroup_enable=memory on the kernel's command line"
    if engine.is_rootless:
        mend = "delegate them: https://docs.docker.com/engine/security/rootless/tips/"
    return Finding(
        "limits",
        Status.PROBLEM if asked else Status.WARNING,
        found,
        "the engine drops such a limit with a warning, and apply ends as what is there is not"
        " what was asked for",
        mend,
        ExitCode.STILL_DIFFERENT if asked else None,
    )


def _buildx(docker: Docker, needs: Needs | None, system: System) -> Finding:
    command = docker.command
    if isinstance(command, Unknown):
        return skipped("buildx", "there is no docker command")
    if command.has_buildx:
        return ok("buildx", "there: images are built with BuildKit")
    if needs is None or not needs.builds:
        return skipped("buildx", "not there; only building an image has a use for it")
    return Finding(
        "buildx",
        Status.WARNING,
        "not there: the image is built with the legacy builder",
        "that works, step after step, and Docker is about to take it away",
        mending.install_buildx(system),
    )


def _image(docker: Docker, needs: Needs | None) -> Finding:
    """Whether it is here. That it must be, or can be built, planning says."""
    if needs is None or needs.image is None:
        return skipped("image", "no playbook names one")
    size = docker.image_bytes
    if isinstance(size, Unknown):
        return skipped("image", f"{needs.image}: {size.why}")
    if size is not None:
        return ok("image", f"{needs.image} is here, {size / 1e9:.1f} GB")
    how = "built" if needs.builds else "pulled; whether its registry answers was not asked"
    return ok("image", f"{needs.image} is not here: it will be {how}")


def _clock(engine: Engine, system: System) -> Finding:
    if abs(engine.ahead_s) <= _SKEW_S:
        return ok("clock", "the engine's clock is this machine's")
    way = "ahead of" if engine.ahead_s > 0 else "behind"
    mend = mending.as_root(system, "timedatectl set-ntp true")
    return Finding(
        "clock",
        Status.WARNING,
        f"the engine's clock is {abs(engine.ahead_s):.0f} s {way} this machine's",
        "times of logs and of what was kept do not fit together; a virtual machine that slept"
        " does that",
        "restart Docker Desktop" if engine.is_desktop else f"on both machines: {mend}",
    )
