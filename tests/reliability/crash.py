"""Ways to kill orchestrate at one exact step: by a docker in its place, by its engine's socket,
and by Python's own audit events."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.conftest import Desk
from tests.e2e.wiretap import Wiretap

_CHANGE = re.compile(
    rb"^(?:POST|PUT|DELETE) (?:/v[0-9.]+)?(?!/containers/[^/ ]+/wait|/auth|/session|/_ping)"
    rb"[^ ]+ HTTP/1\.[01]\r$",
    re.MULTILINE,
)


class Trap:
    """Kills the one process that it was set for, once."""

    def __init__(self) -> None:
        self._victim: subprocess.Popen[str] | None = None
        self._is_set = threading.Event()

    def set_for(self, victim: subprocess.Popen[str]) -> None:
        """Name the victim; whoever springs the trap before waits for that."""
        self._victim = victim
        self._is_set.set()

    def spring(self) -> None:
        """Kill it as `kill -9` does."""
        assert self._is_set.wait(timeout=60)
        assert self._victim is not None
        self._victim.kill()


class Tripwire(Wiretap):
    """A socket in front of the engine that kills the client at the engine's k-th change.

    Args:
        at: which request that changes something, from 1; 0: only count them.
        moment: `before` it reaches the engine, or `after` the engine has begun to answer.
    """

    def __init__(self, at: int, moment: str) -> None:
        self.trap = Trap()
        self.num_changes = 0
        self._at = at
        self._moment = moment
        self._counting = threading.Lock()
        self._awaited: socket.socket | None = None

    def on_question(self, engine: socket.socket, data: bytes) -> None:
        """Count changes; at the k-th keep it from the engine, or wait for its answer."""
        for _ in _CHANGE.finditer(data):
            with self._counting:
                self.num_changes += 1
                is_it = self.num_changes == self._at
            if not is_it:
                continue
            if self._moment == "before":
                self.trap.spring()
                raise ConnectionAbortedError("the tripwire was touched")
            self._awaited = engine

    def on_answer(self, engine: socket.socket, data: bytes) -> None:
        """Kill before the client hears the answer."""
        if self._awaited is engine:
            self._awaited = None
            self.trap.spring()
            raise ConnectionAbortedError("the tripwire was touched")


STAND_IN = """\
#!/bin/sh
case "$1 $2" in
    "network create"*|"network rm"*|"container create"*|"container start"*) ;;
    create\\ *|start\\ *|kill\\ *|unpause\\ *|rm\\ *|build\\ *|pull\\ *) ;;
    *) exec {docker} "$@" ;;
esac
n=1
while ! mkdir "{folder}/calls/$n" 2>/dev/null; do n=$((n + 1)); done
[ "$n" = {at} ] || exec {docker} "$@"
while ! [ -s "{folder}/victim" ]; do sleep 0.01; done
{moment}
"""

MOMENTS = {
    "before": 'kill -9 "$(cat "{folder}/victim")"; exit 1',
    # The call is made all the same, by a docker that nobody waits for any more, when orchestrate
    # may have been started again.
    "late": 'kill -9 "$(cat "{folder}/victim")"; sleep 0.4; exec {docker} "$@"',
    "after": '{docker} "$@"; kill -9 "$(cat "{folder}/victim")"',
}


class StandIn:
    """A `docker` on PATH that kills orchestrate at its k-th changing call.

    Starting goes by the command too: it is reached through a docker context, which
    orchestrate does not follow itself.
    """

    def __init__(self, folder: Path, at: int, moment: str) -> None:
        self._folder = folder / f"stand-in-{at}"
        (self._folder / "calls").mkdir(parents=True)
        (self._folder / "bin").mkdir()
        names = {"docker": shutil.which("docker"), "folder": self._folder}
        script = STAND_IN.format(at=at, moment=MOMENTS[moment].format(**names), **names)
        command = self._folder / "bin" / "docker"
        command.write_text(script)
        command.chmod(0o755)
        config = ("docker", "--config", str(self._folder))
        host = f"host={os.environ.get('DOCKER_HOST', 'unix:///var/run/docker.sock')}"
        create = (*config, "context", "create", "here", "--docker", host)
        subprocess.run(create, capture_output=True, check=True, timeout=60)

    @property
    def environment(self) -> Mapping[str, str]:
        """What to set for it to be used."""
        return {
            "PATH": f"{self._folder / 'bin'}:{os.environ['PATH']}",
            "DOCKER_CONFIG": str(self._folder),
            "DOCKER_CONTEXT": "here",
        }

    def set_for(self, victim: subprocess.Popen[str]) -> None:
        """Name the victim."""
        (self._folder / "victim").write_text(str(victim.pid))

    @property
    def num_changes(self) -> int:
        """How many changing calls were begun."""
        return len(list((self._folder / "calls").iterdir()))


AUDIT = '''\
"""Kills this process right before the k-th step by which it changes something in a folder."""

import os
import signal
import sys

AT, FOLDER, LOG = int(os.environ["TRIP_AT"]), os.environ["TRIP_FOLDER"], os.environ["TRIP_LOG"]
FILES = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.truncate"}
state = {"steps": 0, "busy": False}


def changes(event, args):
    if event in {"subprocess.Popen", "os.kill", "os.killpg"}:
        return True
    if event == "open":
        path, _, flags = args
        writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
        return bool(writes) and isinstance(path, str) and path.startswith(FOLDER)
    return event in FILES and str(args[0]).startswith(FOLDER)


def hook(event, args):
    if state["busy"] or not changes(event, args):
        return
    state["busy"] = True
    state["steps"] += 1
    with open(LOG, "a") as log:
        log.write(f"{event} {args[0]}\\n")
    if state["steps"] == AT:
        os.kill(os.getpid(), signal.SIGKILL)
    state["busy"] = False


sys.addaudithook(hook)
'''


class AuditTrap:
    """Kills orchestrate right before the k-th of its own steps: files, processes, signals.

    Before a step is after the one before, so that counting up covers both. Python tells its
    audit hooks of each; a `sitecustomize` adds one, and product code knows nothing of it.
    """

    def __init__(self, desk: Desk, at: int) -> None:
        self._folder = desk.folder / f"audit-{at}"
        self._folder.mkdir()
        self._log = self._folder / "steps"
        (self._folder / "sitecustomize.py").write_text(AUDIT)
        self.environment: Mapping[str, str] = {
            "PYTHONPATH": str(self._folder),
            "TRIP_AT": str(at),
            "TRIP_FOLDER": str(desk.folder),
            "TRIP_LOG": str(self._log),
        }

    @property
    def steps(self) -> list[str]:
        """What was about to be done, in order."""
        return self._log.read_text().splitlines() if self._log.exists() else []
