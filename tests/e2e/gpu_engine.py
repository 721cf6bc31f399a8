"""A Docker engine of its own that takes `--gpus` on a machine without a GPU.

An engine offers GPUs when it finds NVIDIA's hook on its PATH as it starts. Here that is a
stand-in, so that everything but the hook is real: the command, the engine, its records, and
what a node sees of them.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

START_DEADLINE_S = 60.0
HOOK = "#!/bin/sh\nexec cat > /dev/null\n"


@contextmanager
def gpu_engine(image: str) -> Iterator[str]:
    """A second engine that holds the image, beside the one that runs; gives its DOCKER_HOST.

    It has its own folders, socket and containerd namespaces, and a network namespace, without
    which it would take the default bridge from the engine that runs (`--bridge=none` removes
    it). It takes root, as starting any engine does.
    """
    # A Unix socket's path has at most 107 bytes: pytest's own folders are too deep.
    folder = Path(tempfile.mkdtemp(prefix="gpu-engine-"))
    _put_hook(folder / "bin")
    host = f"unix://{folder}/docker.sock"
    with (folder / "log").open("wb") as log:
        engine = subprocess.Popen(
            _argv(folder, host),
            env=os.environ | {"PATH": f"{folder}/bin{os.pathsep}{os.environ['PATH']}"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        _wait_for(engine, host, folder / "log")
        saved = subprocess.run(["docker", "save", image], stdout=subprocess.PIPE, check=True)
        docker(host, "load", given=saved.stdout)
        yield host
    finally:
        _end(engine)
        shutil.rmtree(folder)


def docker(host: str, *args: str, given: bytes | None = None) -> str:
    """Run a docker command on an engine; its output."""
    argv = ["docker", "--host", host, *args]
    done = subprocess.run(argv, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _put_hook(folder: Path) -> None:
    folder.mkdir()
    hook = folder / "nvidia-container-runtime-hook"
    hook.write_text(HOOK)
    hook.chmod(0o755)


def _argv(folder: Path, host: str) -> list[str]:
    (folder / "daemon.json").write_text("{}")  # not the configuration of the engine that runs
    name = folder.name
    return [
        "unshare",
        "--net",
        "dockerd",
        f"--config-file={folder}/daemon.json",
        f"--host={host}",
        f"--data-root={folder}/data",
        f"--exec-root={folder}/exec",
        f"--pidfile={folder}/pid",
        f"--containerd-namespace={name}",
        f"--containerd-plugins-namespace={name}-plugins",
        "--storage-driver=vfs",  # works on any file system, and the image has 2 MB
    ]


def _wait_for(engine: subprocess.Popen[bytes], host: str, log: Path) -> None:
    deadline_s = time.monotonic() + START_DEADLINE_S
    while time.monotonic() < deadline_s and engine.poll() is None:
        asked = ["docker", "--host", host, "version"]
        if subprocess.run(asked, capture_output=True, timeout=30, check=False).returncode == 0:
            return
        time.sleep(0.05)
    raise AssertionError(f"the second engine did not start:\n{log.read_text()[-3000:]}")


def _end(engine: subprocess.Popen[bytes]) -> None:
    engine.terminate()
    with suppress(subprocess.TimeoutExpired):
        engine.wait(timeout=30)
        return
    engine.kill()
    engine.wait()
