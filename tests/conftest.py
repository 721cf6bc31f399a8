"""What all tests share: nothing may be skipped in CI, nothing may depend on a user's state, and
what a test vouches for is recorded for docs/reliability.md."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator import redaction
from tests.reliability.record import RecordCase, Results

_RESULTS = pytest.StashKey[Results]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--reliability-out",
        metavar="DIR",
        help="run the tests that record what they measured, write it to DIR/results.json",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what records nothing, if only the record was asked for."""
    if config.getoption("reliability_out"):
        silent = [item for item in items if "record_case" not in getattr(item, "fixturenames", ())]
        config.hook.pytest_deselected(items=silent)
        items[:] = [item for item in items if item not in set(silent)]


@pytest.fixture(scope="session")
def record_case(request: pytest.FixtureRequest) -> RecordCase:
    """Adds a row to a table: see `tests/reliability/record.py`."""
    return request.config.stash.setdefault(_RESULTS, Results()).record


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep locks and the embedded engine's folders out of the user's home."""
    root = tmp_path_factory.mktemp("xdg")
    os.environ["XDG_STATE_HOME"] = str(root / "state")
    os.environ["ORCHESTRATE_LOCAL_ROOT"] = str(root / "local")


@pytest.fixture(autouse=True)
def _forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no test hide what another one has learned to be secret."""
    monkeypatch.setattr(redaction, "_known", set())


@pytest.hookimpl(wrapper=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int):  # type: ignore[no-untyped-def]
    """Write the record; in CI a test that would be skipped has not shown what it is there for."""
    yield
    folder = session.config.getoption("reliability_out")
    if folder and _RESULTS in session.config.stash:
        session.config.stash[_RESULTS].write(Path(folder))
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if reporter and os.environ.get("CI") and skipped and session.exitstatus == 0:
        reporter.write_line(f"{len(skipped)} tests were skipped, which fails in CI", red=True)
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def busybox_image() -> Iterator[str]:
    """An image of 2 MB with a shell in it, made from this machine's static busybox.

    It needs no registry and no build: Debian and Ubuntu have it as `busybox-static`, which
    `make test` installs. Without an engine the test that asks for it fails.
    """
    busybox = shutil.which("busybox")
    assert busybox is not None, "the tests need busybox: apt-get install busybox-static"
    tag = f"orchestrate-test:{secrets.token_hex(5)}"
    subprocess.run(
        ["docker", "import", "-", tag],
        input=_root_filesystem(Path(busybox)),
        capture_output=True,
        check=True,
        timeout=60,
    )
    yield tag
    subprocess.run(["docker", "rmi", tag], capture_output=True, check=True, timeout=60)


def _root_filesystem(busybox: Path) -> bytes:
    listed = subprocess.run([busybox, "--list"], capture_output=True, check=True, timeout=60)
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        folder = tarfile.TarInfo("bin")  # a folder that is only implied may get any mode
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        tar.addfile(folder)
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
