"""An embedded engine for one test, and nothing left of it afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.engines.local.engine import LocalEngine


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The engine's folder."""
    return tmp_path / "root"


@pytest.fixture
def engine(root: Path) -> Iterator[LocalEngine]:
    """An engine on `root`."""
    made = LocalEngine(root)
    yield made
    for project in made.projects():
        made.remove_nodes(made.observe_nodes(project.name))
