"""Desks for many runs side by side, and bystanders that must not be touched."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from .scenes import SECRET
from .world import Bystanders, Yard


@pytest.fixture(scope="session")
def bystanders(
    busybox_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bystanders]:
    """Objects on the engine that no test here may change; all are compared in the end."""
    with Bystanders.standing(busybox_image, tmp_path_factory.mktemp("bystanders")) as standing:
        yield standing
        assert standing.changes() == {}


@pytest.fixture(autouse=True)
def _a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the scene that has one, in the commands and in this process."""
    monkeypatch.setenv(SECRET, "not-to-be-left")


@pytest.fixture
def docker_yard(tmp_path: Path, busybox_image: str, bystanders: Bystanders) -> Iterator[Yard]:
    """Desks on Docker, whose projects are named like the bystanders'."""
    yard = Yard(tmp_path, "docker", busybox_image, bystanders.project)
    yield yard
    yard.clear()
    assert bystanders.changes() == {}


@pytest.fixture
def local_yard(tmp_path: Path) -> Iterator[Yard]:
    """Desks on the embedded engine, each with a state folder of its own."""
    yard = Yard(tmp_path, "local", "unused:1", f"rel-{secrets.token_hex(3)}")
    yield yard
    yard.clear()
