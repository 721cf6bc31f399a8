"""The docker command line with a deadline on every call and its texts mapped to types.

python-on-whales renders the arguments of what has many (see `command_changer.py`); this module
serves what it cannot do: one `docker inspect` for many objects, output that is not
UTF-8, and calls that must not outlive their deadline.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from msgspec import Struct

from orchestrator.engines.docker.child import EndlessOutput, end_session, read_outputs
from orchestrator.engines.docker.deadlines import Deadlines
from orchestrator.errors import (
    AddressUnavailable,
    EngineFailed,
    EngineUnavailable,
    GpuUnavailable,
    ImageUnavailable,
    NameTaken,
    NodeNotStarted,
    OrchestrateError,
    OutOfSpace,
)

INSTALL_DOCKER = (
    "install Docker (`docker/setup.sh` does on Debian and Ubuntu) or use `--engine local`"
)
START_ENGINE = "start it (`docker/setup.sh` does on Debian and Ubuntu) or use `--engine local`"

DEFAULT_DEADLINES = Deadlines()


class _Symptom(Struct, frozen=True):
    pattern: str  # whatever the case of letters
    error: type[OrchestrateError]
    fix: str


# Order matters: the first that matches names the error.
SYMPTOMS = (
    _Symptom(
        # The daemon's complaint about a registry, which may well be "connection refused".
        r"error response from daemon: .*\b(get|head) \"?https?://[^ ]*/v2/",
        ImageUnavailable,
        "check image.tag and the way to its registry, load the image, or give image.build",
    ),
    _Symptom(
        r"permission denied while trying to connect|dial unix .*: permission denied",
        EngineUnavailable,
        "add yourself to the docker group (`sudo usermod -aG docker $USER`, then log in again)",
    ),
    _Symptom(
        r"cannot connect to the docker daemon|failed to connect to the docker api"
        r"|error during connect|connection refused|is the docker daemon running",
        EngineUnavailable,
        START_ENGINE,
    ),
    _Symptom(
        r"no space left on device",
        OutOfSpace,
        "free some space, for example with `docker system prune`",
    ),
    _Symptom(
        # Two clients that make a network at once can both succeed, up to engine 24.
        r"the container name .* is already in use|network with name .* already exists"
        r"|network .* is ambiguous \(\d+ matches found on name\)",
        NameTaken,
        "remove or rename that object, or choose another `name` in the playbook",
    ),
    _Symptom(
        # Also of a network that nothing is on: the engine counts, and can miscount (seen on 20.10).
        r"network .* has active endpoints",
        EngineFailed,
        "take off what `docker network inspect` lists as on it; if that is nothing, the engine "
        "has miscounted: restart it",
    ),
    _Symptom(
        r"port is already allocated|address already in use|pool overlaps with other one"
        r"|predefined address pools have been fully subnetted|could not find an available",
        AddressUnavailable,
        "remove networks that are not in use (`docker network prune`)",
    ),
    _Symptom(
        r"no such image|pull access denied|manifest .*(unknown|not found)|repository does not exist"
        r"|failed to resolve reference|no matching manifest|invalid reference format",
        ImageUnavailable,
        "check image.tag, or give image.build in the playbook",
    ),
    _Symptom(
        r"executable file not found|exec: .*: no such file or directory"
        r"|exec: .*permission denied|exec format error",
        NodeNotStarted,
        "check ranks.command: the image must contain its first word",
    ),
    _Symptom(
        r"bind source path does not exist: .*/probe/[0-9a-f]{16}\b",
        NodeNotStarted,
        "the engine does not see this machine's folders: say probe: off",
    ),
    _Symptom(
        r"invalid mount config|bind source path does not exist|error mounting|not a directory",
        NodeNotStarted,
        "check ranks.mounts: the source must be visible to the engine",
    ),
    _Symptom(
        r"unable to find user|no matching entries in passwd file",
        NodeNotStarted,
        "check ranks.user: give a numeric uid",
    ),
    _Symptom(
        r"unresolvable cdi devices",
        GpuUnavailable,
        "describe the GPUs anew: `sudo nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`",
    ),
    _Symptom(
        r"could not select device driver|nvidia-container-cli",
        GpuUnavailable,
        "install the NVIDIA Container Toolkit, run `nvidia-ctk runtime configure`, restart Docker",
    ),
    _Symptom(
        r"error setting rlimit",  # Linux's number of memlock is 8, and it is the only one we set
        NodeNotStarted,
        "this engine may not raise that limit (rootless?): lower gpu.memlock, for example to 8MiB",
    ),
    _Symptom(
        r"minimum memory limit|range of cpus is from|cgroup|oci runtime|shim task",
        NodeNotStarted,
        "check ranks.resources against what this machine has",
    ),
)

_PREFIX = re.compile(
    r"^(docker: )?(Error response from daemon: |Error: |error: )?"
    # The way of an error through the engine's parts says nothing to whoever wrote the playbook.
    r"(failed to create (shim )?task[^:]*: )*(OCI runtime create failed: )?"
    r"(runc create failed: )?(unable to start container process: )?",
    re.IGNORECASE,
)

_EMPTY_WORDS = (
    "See 'docker",
    "Run 'docker",
    "Usage: ",
    "WARNING: ",
    "exit status ",
    "Error: failed to start containers: ",
)
"""Lines beside the reason that do not say it."""


def to_error(stderr: str, doing: str) -> OrchestrateError:
    """Map what docker printed to a typed error. The only place that reads its texts."""
    said = _last_words(stderr)
    for symptom in SYMPTOMS:
        # Compiled when something went wrong: that would be a fiftieth of every start.
        if re.search(symptom.pattern, stderr, re.IGNORECASE):
            return symptom.error(f"{doing}: {said}", fix=symptom.fix)
    return EngineFailed(f"{doing}: {said}", fix="see `docker info` and the engine's own log")


def _last_words(stderr: str) -> str:
    """The line that says most: the daemon's own error if there is one, else the last."""
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith(_EMPTY_WORDS)]
    daemon = [line for line in lines if "error response from daemon" in line.lower()]
    other = [line for line in lines if "error" in line.lower()]
    chosen = (daemon or other or lines or ["docker failed without a word"])[-1]
    return _PREFIX.sub("", chosen).removesuffix(": unknown")[:500].rstrip(".")


class DockerCli:
    """Runs docker commands; every one ends by its deadline, and its process with it."""

    def __init__(
        self, prefix: Sequence[str] = ("docker",), *, deadlines: Deadlines = DEFAULT_DEADLINES
    ) -> None:
        self.prefix = tuple(prefix)
        self.deadlines = deadlines

    def call(self, *args: str, doing: str, deadline_s: float | None = None) -> str:
        """Run one command and return its standard output.

        Raises:
            EngineUnavailable: there is no docker, no daemon, or no answer by the deadline.
            OrchestrateError: whatever `to_error` makes of a non-zero exit.
        """
        code, out, err = self.attempt(*args, deadline_s=deadline_s)
        if code != 0:
            raise to_error(err, doing)
        return out

    def attempt(self, *args: str, deadline_s: float | None = None) -> tuple[int, str, str]:
        """Run one command; return exit code, stdout and stderr."""
        deadline_s = self.deadlines.answer_s if deadline_s is None else deadline_s
        with self._started(args) as child:
            try:
                out, err = read_outputs(child, deadline_s)
            except subprocess.TimeoutExpired as exc:
                raise EngineUnavailable(
                    f"docker did not answer `{' '.join(args[:2])}` within {deadline_s:g} s",
                    fix="see whether the engine is overloaded or hangs (`docker info`)",
                ) from exc
            except EndlessOutput as exc:
                raise EngineFailed(
                    f"docker's answer to `{' '.join(args[:2])}` has no end",
                    fix="see whether the `docker` on your PATH is the real one",
                ) from exc
        return child.returncode, out.decode(errors="replace"), err.decode(errors="replace")

    @contextmanager
    def _started(self, args: Sequence[str]) -> Iterator[subprocess.Popen[bytes]]:
        """One command in a session of its own, of which nothing is left after the block."""
        try:
            child = subprocess.Popen(
                [*self.prefix, *args],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                # A Ctrl-C is for this program, which then decides; not for a docker in flight.
                start_new_session=True,
            )
        except FileNotFoundError as exc:
            raise EngineUnavailable(
                f"there is no `{self.prefix[0]}` command on this machine", fix=INSTALL_DOCKER
            ) from exc
        except OSError as exc:
            raise EngineUnavailable(
                f"`{self.prefix[0]}` cannot be started: {exc.strerror}", fix=INSTALL_DOCKER
            ) from exc
        try:
            yield child
        finally:
            end_session(child)

    def inspect(self, kind: str, names: Sequence[str], *, doing: str) -> list[dict[str, Any]]:
        """`docker KIND inspect NAME…` in one process; names that are not there are left out."""
        if not names:
            return []
        code, out, err = self.attempt(kind, "inspect", *names)
        if code != 0 and not _only_missing(err):
            raise to_error(err, doing)
        return parse_objects(out, doing)


def is_missing(text: str) -> bool:
    """True when docker says that an object is not there, or is about to go."""
    return bool(_MISSING.search(text))


# Not any "no such …": a daemon whose host has no address is "no such host".
_MISSING = re.compile(
    r"no such (object|container|image|network)\b|network .* not found"
    r"|dead or marked for removal",
    re.IGNORECASE,
)


def _only_missing(stderr: str) -> bool:
    """True when every complaint is that an object is not there."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    return bool(lines) and all(is_missing(line) for line in lines)


def parse_objects(out: str, doing: str) -> list[dict[str, Any]]:
    """The JSON list that `docker inspect` prints; anything else is EngineFailed."""
    try:
        objects = json.loads(out or "[]")
    except (ValueError, RecursionError) as exc:
        raise EngineFailed(
            f"{doing}: docker answered with something that is not JSON: {out[:80]!r}",
            fix="see whether the `docker` on your PATH is the real one",
        ) from exc
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise EngineFailed(f"{doing}: docker answered with JSON of an unknown shape")
    return objects
