"""What all unit tests share: no test fails because the machine was busy."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("unit")


@pytest.fixture
def a_part() -> str:
    """The name of a file that a process which is no more had begun to write."""
    with subprocess.Popen(["true"]) as writer:
        writer.wait()
    return f".run.json.{writer.pid}.part"
