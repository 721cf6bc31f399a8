"""What all tests share: nothing may be skipped in CI, and nothing may depend on a user's state."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep locks and the embedded engine's folders out of the user's home."""
    root = tmp_path_factory.mktemp("xdg")
    os.environ["XDG_STATE_HOME"] = str(root / "state")
    os.environ["ORCHESTRATE_LOCAL_ROOT"] = str(root / "local")


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int):  # type: ignore[no-untyped-def]
    """In CI a test that would be skipped has not shown what it is there to show."""
    yield
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and os.environ.get("CI") and skipped and session.exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, which fails in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]
