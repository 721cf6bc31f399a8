"""A `dockerd` that knows CDI: this machine's own, or else one from Debian's archive.

It is fetched by apt with lists and a cache of its own, so that the machine's packages stay as
they are, and checked against Debian's keys as any package is; `dpkg-deb` unpacks the program.
The folder is kept for the next time.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

FIRST_WITH_CDI = 25
MIRROR = "http://deb.debian.org/debian"
RELEASE = "trixie"  # Docker 26.1.5
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
DEADLINE_S = 300.0


def dockerd_with_cdi() -> str:
    """The path of one."""
    own = shutil.which("dockerd")
    if own and _major(own) >= FIRST_WITH_CDI:
        return own
    folder = cache_folder()
    program = folder / f"dockerd-{RELEASE}"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _fetch(program)
    assert _major(str(program)) >= FIRST_WITH_CDI
    return str(program)


def cache_folder() -> Path:
    """Where tests keep what they have fetched."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = home / "orchestrate-tests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _major(program: str) -> int:
    said = _run([program, "--version"])
    found = re.search(r"version (\d+)\.", said)
    assert found, said
    return int(found[1])


def _fetch(program: Path) -> None:
    with tempfile.TemporaryDirectory(dir=program.parent) as name:
        folder = Path(name)
        for part in ("lists/partial", "cache/archives/partial"):
            (folder / part).mkdir(parents=True)
        sources = folder / "sources.list"
        source = f"deb [signed-by={KEYS}] {MIRROR} {RELEASE} main\n"
        sources.write_text(source)
        apt = [
            "apt-get",
            "--option=Acquire::Retries=3",
            "--option=APT::Sandbox::User=root",  # the cache is no folder for another user
            f"--option=Dir::Etc::SourceList={sources}",
            "--option=Dir::Etc::SourceParts=/dev/null",
            f"--option=Dir::State::Lists={folder}/lists",
            f"--option=Dir::Cache={folder}/cache",
        ]
        _run([*apt, "update"], folder)
        _run([*apt, "download", "docker.io"], folder)
        (package,) = folder.glob("docker.io_*.deb")
        _run(["dpkg-deb", "--extract", str(package), "unpacked"], folder)
        (folder / "unpacked/usr/sbin/dockerd").rename(program)


def _run(argv: list[str], folder: Path | None = None) -> str:
    done = subprocess.run(
        argv, cwd=folder, capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert done.returncode == 0, f"{argv}: {done.stdout}{done.stderr}"
    return done.stdout
