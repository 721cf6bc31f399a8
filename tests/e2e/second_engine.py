"""A Docker engine of a test's own: one may stop it, and it takes `--gpus` without a GPU.

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
from dataclasses import dataclass, field
from pathlib import Path

START_DEADLINE_S = 60.0
HOOK = "#!/bin/sh\nexec cat > /dev/null\n"


@dataclass
class SecondEngine:
    """An engine beside the one that runs.

    It has its own folders, socket and containerd namespaces, and a network namespace, without
    which it would take the default bridge from the engine that runs (`--bridge=none` removes
    it). It takes root, as starting any engine does.
    """

    folder: Path
    _process: subprocess.Popen[bytes] = field(init=False)

    @property
    def host(self) -> str:
        """Its DOCKER_HOST."""
        return f"unix://{self.folder}/docker.sock"

    def start(self) -> None:
        """Start it, anew or for the first time; it answers when this returns."""
        log = self.folder / "log"
        path = f"{self.folder}/bin{os.pathsep}{os.environ['PATH']}"
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                _argv(self.folder, self.host),
                env=os.environ | {"PATH": path},
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
            )
        _wait_for(self._process, self.host, log)

    def stop(self) -> None:
        """Stop it as an administrator does; its containers end with it."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=30)
            return
        self._process.kill()
        self._process.wait()


@contextmanager
def second_engine(image: str) -> Iterator[SecondEngine]:
    """An engine that runs and holds the image."""
    # A Unix socket's path has at most 107 bytes: pytest's own folders are too deep.
    engine = SecondEngine(Path(tempfile.mkdtemp(prefix="second-engine-")))
    _put_hook(engine.folder / "bin")
    try:
        engine.start()
        saved = subprocess.run(["docker", "save", image], stdout=subprocess.PIPE, check=True)
        docker(engine.host, "load", given=saved.stdout)
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(engine.folder)


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
