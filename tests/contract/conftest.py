"""The engines that the contract is tested on."""

from __future__ import annotations

import io
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.choose import docker_answers

from .stand import DockerStand, LocalStand, Stand, docker


@pytest.fixture(params=["local", pytest.param("docker", marks=pytest.mark.docker)])
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """An engine under test. What its projects leave behind is removed."""
    made: Stand
    if request.param == "local":
        made = LocalStand(tmp_path)
    else:
        made = DockerStand(tmp_path, request.getfixturevalue("busybox_image"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def busybox_image() -> Iterator[str]:
    """An image of 2 MB with a shell in it, made from this machine's static busybox.

    It needs no registry and no build: Debian and Ubuntu have it as `busybox-static`.
    """
    if not docker_answers():
        pytest.skip("no Docker engine answers")
    busybox = shutil.which("busybox")
    assert busybox is not None, "the contract tests need busybox: apt-get install busybox-static"
    tag = f"orchestrate-contract:{secrets.token_hex(5)}"
    subprocess.run(
        ["docker", "import", "-", tag],
        input=_root_filesystem(Path(busybox)),
        capture_output=True,
        check=True,
        timeout=60,
    )
    yield tag
    docker("rmi", tag)


def _root_filesystem(busybox: Path) -> bytes:
    listed = subprocess.run([busybox, "--list"], capture_output=True, check=True, timeout=60)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        entry = tarfile.TarInfo("bin/busybox")
        entry.mode = 0o755
        content = busybox.read_bytes()
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
        for applet in sorted(set(listed.stdout.decode().split()) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return archive.getvalue()
