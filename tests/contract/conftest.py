"""The engines that the contract is tested on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .stand import DockerStand, LocalStand, Stand

WAYS = (
    "local",
    pytest.param("docker", marks=pytest.mark.docker),
    pytest.param("docker by its command", marks=pytest.mark.docker),
)


@pytest.fixture(params=WAYS)
def stand(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stand]:
    """An engine under test. What its projects leave behind is removed."""
    made: Stand
    if request.param == "local":
        made = LocalStand(tmp_path)
    else:
        image = request.getfixturevalue("busybox_image")
        made = DockerStand(tmp_path, image, by_cli=request.param != "docker")
    yield made
    made.close()
