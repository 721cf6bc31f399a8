"""What docker prints when it refuses, captured (see captures/errors.sh), as typed errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engines.docker.cli import SYMPTOMS, to_error
from orchestrator.errors import (
    AddressUnavailable,
    EngineFailed,
    EngineUnavailable,
    ExitCode,
    GpuUnavailable,
    ImageUnavailable,
    NameTaken,
    NodeNotStarted,
    OrchestrateError,
    OutOfSpace,
)

CAPTURES = Path(__file__).parent / "captures" / "errors"

START = "start it (`docker/setup.sh` does on Debian and Ubuntu) or use `--engine local`"
GROUP = "add yourself to the docker group (`sudo usermod -aG docker $USER`, then log in again)"
NAME = "remove or rename that object, or choose another `name` in the playbook"
ADDRESS = "remove networks that are not in use (`docker network prune`)"
TAG = "check image.tag, or give image.build in the playbook"
REGISTRY = "check image.tag and the way to its registry, load the image, or give image.build"
COMMAND = "check ranks.command: the image must contain its first word"
MOUNTS = "check ranks.mounts: the source must be visible to the engine"
USER = "check ranks.user: give a numeric uid"
RESOURCES = "check ranks.resources against what this machine has"
TOOLKIT = "install the NVIDIA Container Toolkit, run `nvidia-ctk runtime configure`, restart Docker"
IN_USE = (
    "take off what `docker network inspect` lists as on it; if that is nothing, the engine has "
    "miscounted: restart it"
)
LOOK = "see `docker info` and the engine's own log"

Kind = type[OrchestrateError]

ERRORS: dict[str, tuple[Kind, str, str]] = {
    "name-conflict": (
        NameTaken,
        'Conflict. The container name "/utest-first" is already in use by container '
        '"69274594485e978087f9c30809ee7fd2da0c0b101b479a484d0ea44b39c4cd70". '
        "You have to remove (or rename) that container to be able to reuse that name",
        NAME,
    ),
    "network-exists": (NameTaken, "network with name utest-net already exists", NAME),
    "network-twice": (
        NameTaken,
        "network rel-f3334e-db541-net is ambiguous (2 matches found on name)",
        NAME,
    ),
    "no-image": (ImageUnavailable, "No such image: nosuch-image:1", TAG),
    "bad-reference": (
        ImageUnavailable,
        "invalid reference format: repository name (library/BAD) must be lowercase",
        TAG,
    ),
    "pull-refused": (
        ImageUnavailable,
        'Get "http://127.0.0.1:1/v2/": dial tcp 127.0.0.1:1: connect: connection refused',
        REGISTRY,
    ),
    "pull-no-host": (
        ImageUnavailable,
        'Get "https://registry.invalid/v2/": dial tcp: '
        "lookup registry.invalid on 192.0.2.53:53: no such host",
        REGISTRY,
    ),
    "no-container": (EngineFailed, "No such container: utest-nosuch", LOOK),
    "no-network": (EngineFailed, "network utest-nosuch not found", LOOK),
    "pool-overlap": (
        AddressUnavailable,
        "Pool overlaps with other one on this address space",
        ADDRESS,
    ),
    "port-taken": (
        AddressUnavailable,
        "driver failed programming external connectivity on endpoint utest-made "
        "(0f9c4bb5c9e9234db4e8a3e77d07a41ae432193ca83f78f5481439a0cd0dc92d): "
        "Bind for 0.0.0.0:29999 failed: port is already allocated",
        ADDRESS,
    ),
    "bad-mount": (
        NodeNotStarted,
        'invalid mount config for type "bind": bind source path does not exist: /nosuch',
        MOUNTS,
    ),
    "mount-on-file": (
        NodeNotStarted,
        'error during container init: error mounting "/etc" to rootfs at "/bin/busybox": '
        "mount /etc:/bin/busybox (via /proc/self/fd/6), flags: 0x5000: not a directory: "
        "unknown: Are you trying to mount a directory onto a file (or vice-versa)? "
        "Check if the specified host path exists and is the expected type",
        MOUNTS,
    ),
    "low-memory": (NodeNotStarted, "Minimum memory limit allowed is 6MB", RESOURCES),
    "many-cpus": (
        NodeNotStarted,
        "Range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
        RESOURCES,
    ),
    "no-command": (
        NodeNotStarted,
        'exec: "trian": executable file not found in $PATH',
        COMMAND,
    ),
    "no-command-path": (
        NodeNotStarted,
        'exec: "/nosuch/train": stat /nosuch/train: no such file or directory',
        COMMAND,
    ),
    "command-is-folder": (NodeNotStarted, 'exec: "/etc": permission denied', COMMAND),
    "no-user": (
        NodeNotStarted,
        "unable to find user nosuch: no matching entries in passwd file",
        USER,
    ),
    "no-gpu": (
        GpuUnavailable,
        'could not select device driver "" with capabilities: [[gpu]]',
        TOOLKIT,
    ),
    "network-in-use": (
        EngineFailed,
        "error while removing network: network utest-net id "
        "4103877738eae0cfa719f5d25930ff4853bf07d876db324c78ade70ef1646731 has active endpoints",
        IN_USE,
    ),
    "no-daemon": (
        EngineUnavailable,
        "Cannot connect to the Docker daemon at unix:///nonexistent. Is the docker daemon running?",
        START,
    ),
    "no-daemon-tcp": (
        EngineUnavailable,
        "Cannot connect to the Docker daemon at tcp://127.0.0.1:1. Is the docker daemon running?",
        START,
    ),
    "no-daemon-name": (
        EngineUnavailable,
        'error during connect: Get "http://engine.invalid:2375/v1.50/containers/x/json": '
        "dial tcp: lookup engine.invalid on 192.0.2.53:53: no such host",
        START,
    ),
    "no-permission": (
        EngineUnavailable,
        "permission denied while trying to connect to the Docker daemon socket at "
        'unix:///var/run/docker.sock: Get "http://%2Fvar%2Frun%2Fdocker.sock/v1.50/'
        'containers/json": dial unix /var/run/docker.sock: connect: permission denied',
        GROUP,
    ),
    "bad-flag": (EngineFailed, "unknown flag: --nosuch", LOOK),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_captured_refusal(name: str) -> None:
    error = to_error((CAPTURES / f"{name}.txt").read_text(), "starting node pair-node-0")
    kind, said, fix = ERRORS[name]
    told = (type(error), error.what, error.fix)
    assert told == (kind, f"starting node pair-node-0: {said}", fix)


def test_every_capture_is_in_the_table() -> None:
    assert {path.stem for path in CAPTURES.glob("*.txt")} == set(ERRORS)


# Not to be had here: a full disk, and more networks than the engine has addresses for. The
# texts are those of moby's source.
WRITTEN: dict[str, tuple[Kind, str]] = {
    "Error response from daemon: write /var/lib/docker/tmp/x: no space left on device": (
        OutOfSpace,
        "d: write /var/lib/docker/tmp/x: no space left on device",
    ),
    "Error response from daemon: all predefined address pools have been fully subnetted": (
        AddressUnavailable,
        "d: all predefined address pools have been fully subnetted",
    ),
    "docker: Error response from daemon: pull access denied for x.\nSee 'docker run --help'.": (
        ImageUnavailable,
        "d: pull access denied for x",
    ),
    # An engine inside a container without CAP_SYS_RESOURCE.
    "Error response from daemon: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: error during container init: error setting "
    "rlimits for ready process: error setting rlimit type 8: operation not permitted: unknown": (
        NodeNotStarted,
        "d: error during container init: error setting rlimits for ready process: error setting "
        "rlimit type 8: operation not permitted",
    ),
    # NVIDIA's hook, for a GPU that has gone since the driver was asked.
    "Error response from daemon: failed to create shim task: OCI runtime create failed: runc "
    "create failed: unable to start container process: error during container init: error running "
    "hook #0: error running hook: exit status 1, stdout: , stderr: Auto-detected mode as 'legacy'\n"
    "nvidia-container-cli: device error: GPU-a: unknown device: unknown": (
        GpuUnavailable,
        "d: error during container init: error running hook #0: error running hook: exit status 1, "
        "stdout: , stderr: Auto-detected mode as 'legacy'",
    ),
    "": (EngineFailed, "d: docker failed without a word"),
    "\n \n": (EngineFailed, "d: docker failed without a word"),
    "boom\n": (EngineFailed, "d: boom"),
    "first\nERROR: second\nthird": (EngineFailed, "d: second"),
}


@pytest.mark.parametrize("text", WRITTEN)
def test_a_written_refusal(text: str) -> None:
    error = to_error(text, "d")
    assert (type(error), error.what) == WRITTEN[text]


def test_an_engine_that_does_not_see_the_probe_is_told_from_a_mount_that_is_not_there() -> None:
    text = 'invalid mount config for type "bind": bind source path does not exist: '
    fixes = [
        to_error(f"{text}{path}", "d").fix
        for path in ("/home/x/.local/state/orchestrate/probe/0123456789abcdef", "/home/x/probe/1")
    ]
    assert fixes == ["the engine does not see this machine's folders: say probe: off", MOUNTS]


def test_kinds_have_their_own_exit_codes() -> None:
    codes = {symptom.error: symptom.error.exit_code for symptom in SYMPTOMS}
    assert codes == {
        EngineUnavailable: ExitCode.ENGINE_UNAVAILABLE,
        EngineFailed: ExitCode.ENGINE_FAILED,
        OutOfSpace: ExitCode.OUT_OF_SPACE,
        NameTaken: ExitCode.NAME_TAKEN,
        AddressUnavailable: ExitCode.ADDRESS_UNAVAILABLE,
        ImageUnavailable: ExitCode.IMAGE_UNAVAILABLE,
        NodeNotStarted: ExitCode.NODE_NOT_STARTED,
        GpuUnavailable: ExitCode.GPU_UNAVAILABLE,
    }


@given(st.text())
def test_any_text_becomes_one_bounded_line(text: str) -> None:
    error = to_error(text, "d")
    assert isinstance(error, OrchestrateError)
    assert len(error.what) <= 503
    assert error.what.splitlines() == [error.what]
