"""A folder and a machine to check playbooks against, and the faults that they get there."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import InvalidPlaybook
from orchestrator.playbook.loader import load_text


@pytest.fixture
def site(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder with a folder, a link out of it and a link to an engine, on 8 GiB."""
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "here").mkdir()
    (folder / "link").symlink_to(tmp_path)
    (folder / "token").write_text("hf_1234")
    (folder / "empty").write_text("")
    (folder / "big").write_bytes(b"A=" + bytes(512 * 1024))
    (folder / "bad.env").write_text("# mine\nRANK=1\nA=1\nexport B=2\nORCHESTRATE_X\n")
    (folder / "latin1.env").write_bytes(b"A=1\nB=\xe4\n")
    engine_folder = tmp_path_factory.mktemp("engine")
    monkeypatch.chdir(engine_folder)  # the path of a socket is at most 107 bytes
    with socket.socket(socket.AF_UNIX) as engine:
        engine.bind("e.sock")
    (folder / "engine.sock").symlink_to(engine_folder / "e.sock")
    monkeypatch.setenv("DOCKER_HOST", f"unix://{engine_folder}/e.sock")
    sizes = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": 2 * 1024**2}
    monkeypatch.setattr(os, "sysconf", sizes.__getitem__)
    return folder


@pytest.fixture
def faults_of(site: Path) -> Callable[[str], list[str]]:
    """Load a playbook in `site` and give its faults, without the file's name."""

    def load(text: str) -> list[str]:
        try:
            load_text(text.encode(), name="p.yaml", folder=site)
        except InvalidPlaybook as exc:
            return [line.removeprefix("p.yaml:") for line in str(exc).splitlines()]
        return []

    return load
