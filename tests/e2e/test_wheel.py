"""The wheel, installed where nothing of the checkout is, used from another folder."""

from __future__ import annotations

import json
import os
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from hatchling.build import build_wheel

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def orchestrate(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of a fresh environment that has the wheel; what it needs is borrowed."""
    folder = tmp_path_factory.mktemp("wheel")
    here = Path.cwd()
    os.chdir(repository)
    try:
        wheel = folder / build_wheel(str(folder))
    finally:
        os.chdir(here)
    venv.create(folder / "venv")
    python = folder / "venv/bin/python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps"]
    subprocess.run(
        [*install, "--no-index", "--disable-pip-version-check", "--quiet", str(wheel)],
        check=True,
        capture_output=True,
        timeout=120,
    )
    packages = next((folder / "venv/lib").glob("python*/site-packages"))
    # A line of a .pth file is a folder alone: an editable install that is in it stays unseen.
    borrowed = {path for path in sys.path if path.endswith("site-packages")}
    (packages / "borrowed.pth").write_text("\n".join(borrowed | set(site.getsitepackages())))
    return folder / "venv/bin/orchestrate"


def run(command: Path, *argv: str, folder: Path) -> str:
    environment = {name: of for name, of in os.environ.items() if name != "PYTHONPATH"}
    path = f"{command.parent}:{environment['PATH']}"
    done = subprocess.run(
        [command, *argv],
        cwd=folder,
        env=environment | {"PATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_new_user_gets_from_init_to_a_proven_run(
    orchestrate: Path, repository: Path, tmp_path: Path
) -> None:
    where = "import orchestrator, trainer; print(orchestrator.__file__, trainer.__file__)"
    python = orchestrate.with_name("python")
    done = subprocess.run(
        [python, "-c", where], cwd=tmp_path, capture_output=True, text=True, check=True, timeout=60
    )
    assert str(repository) not in done.stdout
    run(orchestrate, "init", "demo", "--kind", "trainer", "--yes", folder=tmp_path)
    run(orchestrate, "init", "own", "--kind", "script", "--yes", folder=tmp_path)
    for path in ("demo/playbook.yaml", "own/playbook.yaml"):
        assert ": valid (" in run(orchestrate, "validate", path, folder=tmp_path)
    made = tmp_path / "demo/image/docker/Dockerfile"
    assert made.read_bytes() == (repository / "docker/Dockerfile").read_bytes()
    apply = ("apply", "demo/playbook.yaml", "--engine", "local", "--json")
    result = json.loads(run(orchestrate, *apply, folder=tmp_path))
    assert [check["status"] for check in result["checks"]] == ["ok"] * 5
    assert "demo" in run(orchestrate, "destroy", "demo", "--engine", "local", folder=tmp_path)
