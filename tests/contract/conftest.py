"""The engines that the contract is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .stand import DockerStand, LocalStand, Stand


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
