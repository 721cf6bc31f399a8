"""A Docker engine of a test's own: one may stop it, configure it, and put programs on its PATH."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

START_DEADLINE_S = 60.0

Prepare = Callable[[Path], Mapping[str, object]]
"""Puts files into a folder that is on the engine's PATH; gives the engine's configuration."""


@dataclass
class SecondEngine:
    """An engine beside the one that runs.

    It has its own folders, socket and containerd namespaces, and a network namespace, without
    which it would take the default bridge from the engine that runs (`--bridge=none` removes
    it). It takes root, as starting any engine does.
    """

    folder: Path
    dockerd: str = "dockerd"
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
                _argv(self.dockerd, self.folder, self.host),
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
def second_engine(
    image: str, *, dockerd: str = "dockerd", prepare: Prepare = lambda _: {}
) -> Iterator[SecondEngine]:
    """An engine that runs and holds the image."""
    # A Unix socket's path has at most 107 bytes: pytest's own folders are too deep. The name is
    # containerd's namespace as well, which takes no `_` beside a `-`: not one of mkdtemp's.
    folder = Path(tempfile.gettempdir()) / f"second-engine-{secrets.token_hex(4)}"
    engine = SecondEngine(folder, dockerd)
    folder.mkdir(mode=0o700)
    (folder / "bin").mkdir()
    # Of its own, whatever it says: not that of the engine that runs.
    config = json.dumps(prepare(folder / "bin"))
    (folder / "daemon.json").write_text(config)
    try:
        engine.start()
        saved = subprocess.run(["docker", "save", image], stdout=subprocess.PIPE, check=True)
        docker(engine.host, "load", given=saved.stdout)
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(folder)


def docker(host: str, *args: str, given: bytes | None = None) -> str:
    """Run a docker command on an engine; its output."""
    argv = ["docker", "--host", host, *args]
    done = subprocess.run(argv, input=given, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def _argv(dockerd: str, folder: Path, host: str) -> list[str]:
    # containerd takes no name with two signs in a row, and a random one may begin with `_`.
    name = folder.name.replace("_", "x")
    return [
        "unshare",
        "--net",
        dockerd,
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
